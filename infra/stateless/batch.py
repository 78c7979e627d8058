"""Where containers run: Fargate Spot, on demand when Spot has none, and a GPU queue if asked for; nothing when idle."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Aws, Duration, RemovalPolicy, Size
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledge import acknowledge_managed_policy, acknowledge_wildcards, wildcards
from infra.catalogue import LOOKS, RENDER_READS, RENDER_WRITES, SPENDS, Kind
from infra.config import Config
from infra.metrics import namespace
from infra.names import MEDIA, bucket_name, log_group_name, table_name, version
from infra.policies import Grounds, data_key_statements, hot_statements, media_statements
from infra.provider import arn_of
from infra.stateful.network import Network
from infra.stateless.functions import retention

GPU_TYPES = ("g6.xlarge", "g5.xlarge")
RETRIES = 3
JOB_SECONDS = 3600
SPOT_INTERRUPTED = "Your Spot Task was interrupted*"
"""The status reason of a Fargate Spot task that was reclaimed (ECS, "Task stopped reasons")."""


@dataclass(frozen=True)
class Job:
    """What a container may touch and how big it is; `gpu` is used if the deployment has the queue."""

    name: str
    reads: tuple[Kind, ...]
    writes: tuple[Kind, ...]
    vcpus: int
    memory: int
    gpu: bool
    signs_content: bool = False


# 2 vCPUs and 4 GB are what the CFO's estimate and upper bound rest on (domain/prices.py)
RENDER = Job("render", RENDER_READS, RENDER_WRITES, vcpus=2, memory=4096, gpu=False, signs_content=True)
TRANSCRIBE = Job(
    "transcribe",
    ("audio", "video", "uploads"),
    ("captions", "reports", "costs", "uploads"),
    vcpus=4,
    memory=8192,
    gpu=True,
)


class Jobs(Construct):
    """`substitutions`: the state machines' placeholders for queues and job definitions."""

    def __init__(self, scope: Construct, id: str, *, config: Config, grounds: Grounds, network: Network) -> None:
        super().__init__(scope, id)
        self._config, self._grounds, self._network = config, grounds, network
        self.queue = self._fargate()
        self.gpu_queue = self._gpu() if config.gpu else None
        self.definitions = {job.name: self._definition(job) for job in (RENDER, TRANSCRIBE)}

    @property
    def substitutions(self) -> dict[str, str]:
        """Placeholder -> ARN. Transcription goes to the GPU queue where there is one."""
        return {
            "render_job_definition": self.definitions["render"].job_definition_arn,
            "render_job_queue": self.queue.job_queue_arn,
            "transcribe_job_definition": self.definitions["transcribe"].job_definition_arn,
            "transcribe_job_queue": (self.gpu_queue or self.queue).job_queue_arn,
        }

    def _fargate(self) -> batch.JobQueue:
        places = [
            batch.FargateComputeEnvironment(
                self,
                name,
                compute_environment_name=f"{self._config.name}-{name}",
                spot=spot,
                maxv_cpus=self._config.fargate_vcpus,
                vpc=self._network.vpc,
                vpc_subnets=self._network.batch_subnets(),
                security_groups=[self._network.batch_group],
            )
            for name, spot in (("fargate-spot", True), ("fargate", False))
        ]
        return batch.JobQueue(
            self,
            "queue",
            job_queue_name=f"{self._config.name}-render",
            compute_environments=[
                batch.OrderedComputeEnvironment(compute_environment=place, order=order)
                for order, place in enumerate(places, 1)
            ],
        )

    def _gpu(self) -> batch.JobQueue:
        role = iam.Role(
            self,
            "gpu-host-role",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonEC2ContainerServiceforEC2Role")
            ],
        )
        acknowledge_managed_policy(
            role,
            "the host's agent registers with clusters that Batch makes and names itself; jobs have a role of their own",
            "service-role/AmazonEC2ContainerServiceforEC2Role",
        )
        template = ec2.LaunchTemplate(
            self,
            "gpu-host",
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(60, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3),
                )
            ],
        )
        place = batch.ManagedEc2EcsComputeEnvironment(
            self,
            "gpu",
            compute_environment_name=f"{self._config.name}-gpu",
            images=[batch.EcsMachineImage(image_type=batch.EcsMachineImageType.ECS_AL2023_NVIDIA)],
            instance_types=[ec2.InstanceType(name) for name in GPU_TYPES],
            use_optimal_instance_classes=False,
            instance_role=role,
            launch_template=template,
            spot=True,
            allocation_strategy=batch.AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED,
            minv_cpus=0,
            maxv_cpus=8,
            vpc=self._network.vpc,
            vpc_subnets=self._network.batch_subnets(),
            security_groups=[self._network.batch_group],
        )
        return batch.JobQueue(
            self,
            "gpu-queue",
            job_queue_name=f"{self._config.name}-gpu",
            compute_environments=[batch.OrderedComputeEnvironment(compute_environment=place, order=1)],
        )

    def _definition(self, job: Job) -> batch.EcsJobDefinition:
        config = self._config
        scope = Construct(self, job.name)
        group = logs.LogGroup(
            scope,
            "logs",
            log_group_name=log_group_name(config, job.name),
            retention=retention(config),
            encryption_key=self._grounds.keys.data,
            removal_policy=RemovalPolicy.DESTROY,
        )
        shared = {
            "image": ecs.ContainerImage.from_registry(self._image(job.name)),
            "cpu": job.vcpus,
            "memory": Size.mebibytes(job.memory),
            "job_role": self._job_role(scope, job),
            "execution_role": self._execution_role(scope, job),
            "logging": ecs.LogDriver.aws_logs(stream_prefix=job.name, log_group=group),
            "readonly_root_filesystem": True,
            "environment": {
                "CHIMERA_WORLD": "aws",
                "CHIMERA_REGION": config.region,
                "CHIMERA_DYNAMO_TABLE": table_name(config),
                "CHIMERA_METRICS_NAMESPACE": namespace(config.name),
                "CHIMERA_MEDIA_BUCKET": bucket_name(config, MEDIA),
                "TMPDIR": "/work",
                **self._content_variables(job),
            },
            "volumes": [batch.EcsVolume.host(name="work", container_path="/work")],
        }
        container: batch.IEcsContainerDefinition
        if job.gpu and config.gpu:
            # a host has 4 vCPUs and 16 GiB, some of which is its agent's
            shared |= {"cpu": 4, "memory": Size.mebibytes(14_000)}
            container = batch.EcsEc2ContainerDefinition(scope, "container", gpu=1, user="10001", **shared)  # type: ignore[arg-type]
        else:
            container = batch.EcsFargateContainerDefinition(
                scope,
                "container",
                assign_public_ip=True,
                fargate_cpu_architecture=ecs.CpuArchitecture.X86_64,
                ephemeral_storage_size=Size.gibibytes(30),
                **shared,  # type: ignore[arg-type]
            )
        return batch.EcsJobDefinition(
            scope,
            "definition",
            job_definition_name=f"{config.name}-{job.name}",
            container=container,
            timeout=Duration.seconds(JOB_SECONDS),
            propagate_tags=True,
            retry_attempts=RETRIES,
            retry_strategies=[
                # reclaimed by Spot: again, from the checkpoints; whatever else the job says is its answer
                batch.RetryStrategy.of(batch.Action.RETRY, batch.Reason.SPOT_INSTANCE_RECLAIMED),
                batch.RetryStrategy.of(batch.Action.RETRY, batch.Reason.custom(on_status_reason=SPOT_INTERRUPTED)),
                batch.RetryStrategy.of(batch.Action.RETRY, batch.Reason.custom(on_exit_code="143")),
                batch.RetryStrategy.of(batch.Action.EXIT, batch.Reason.custom(on_exit_code="*")),
            ],
        )

    def _content_variables(self, job: Job) -> dict[str, str]:
        """The manifest's key and certificates (public), for the container that signs it."""
        config = self._config
        if not (job.signs_content and config.content_key and config.content_certificates):
            return {}
        return {
            "CHIMERA_CONTENT_KEY_ARN": config.content_key,
            "CHIMERA_CONTENT_CERTIFICATES": config.content_certificates.read_text(encoding="ascii"),
        }

    def _image(self, name: str) -> str:
        given = {"render": self._config.render_image, "transcribe": self._config.transcribe_image}[name]
        repository = f"{Aws.ACCOUNT_ID}.dkr.ecr.{self._config.region}.{Aws.URL_SUFFIX}/{self._config.name}/{name}"
        return f"{repository}@{given}" if given else f"{repository}:{version()}"

    def _job_role(self, scope: Construct, job: Job) -> iam.Role:
        statements = [
            *media_statements(self._config, job.reads, job.writes),
            # what it uses is drawn from the approval's allowance, and the switch is looked at before
            *hot_statements(self._grounds, (*SPENDS, *LOOKS), SPENDS),
            *data_key_statements(self._grounds),
        ]
        if job.signs_content and self._config.content_key:
            statements.append(
                iam.PolicyStatement(sid="SignManifest", actions=["kms:Sign"], resources=[self._config.content_key])
            )
        role = iam.Role(
            scope,
            "role",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description=f"{self._config.name} {job.name}: its own kinds of media files and its allowance",
            inline_policies={"own": iam.PolicyDocument(statements=statements)},
        )
        acknowledge_wildcards(role, f"{job.name}: files of any tenant and content, of its own kinds only",
                              *wildcards(statements))  # fmt: skip
        return role

    def _execution_role(self, scope: Construct, job: Job) -> iam.IRole:
        statements = [
            iam.PolicyStatement(
                sid="Pull",
                actions=["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
                resources=[arn_of(self, "ecr", f"repository/{self._config.name}/{job.name}")],
            ),
            iam.PolicyStatement(sid="RegistryLogin", actions=["ecr:GetAuthorizationToken"], resources=["*"]),
            iam.PolicyStatement(
                sid="Log",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[arn_of(self, "logs", f"log-group:{log_group_name(self._config, job.name)}:*")],
            ),
        ]
        role = iam.Role(
            scope,
            "execution-role",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            inline_policies={"own": iam.PolicyDocument(statements=statements)},
        )
        acknowledge_wildcards(role, "a registry login names no repository; log streams are named by ECS",
                              *wildcards(statements))  # fmt: skip
        return role.without_policy_updates()
