"""The Lambda layers: our own package as it stands, and what `make layers` has built from the hashed locks."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import CfnRule, CfnRuleAssertion, Fn, RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.catalogue import ROOT
from infra.config import Config
from infra.errors import ConfigError

LAYERS = ROOT / "layers"
PACKAGE = LAYERS / "chimera"
STUB = Path(__file__).resolve().parent / "stub_layer"


def names() -> tuple[str, ...]:
    """Layers that have a lock: `core`, `db`, `llm`."""
    return tuple(sorted(path.parent.name for path in LAYERS.glob("*/requirements.lock")))


def is_built(name: str) -> bool:
    """Whether `make layers` has built this one."""
    return (LAYERS / name / "python").is_dir()


def built() -> bool:
    """Whether `make layers` has built all of them."""
    return all(is_built(name) for name in names())


def folder_of(name: str, mode: str) -> Path:
    """The folder to pack. `ConfigError` if it is to be a built one and is not there."""
    if mode == "stub":
        return STUB
    if not is_built(name):
        raise ConfigError(
            f"layers: layers/{name}/python is not there; say `make layers` first, "
            "or -c layers=stub to look at templates that are not to be deployed"
        )
    return LAYERS / name


class Layers(Construct):
    """`of(names)`: the layer versions of a function; our own package is always among them."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self._versions = {"chimera": self._version("chimera", PACKAGE, "Chimera's own package")}
        for name in names():
            folder = folder_of(name, config.layers)
            self._versions[name] = self._version(name, folder, f"Locked dependencies: {name}")
        if config.layers == "stub":
            # a deployment of templates with stubs ends before it begins, with this sentence
            CfnRule(
                self,
                "built",
                assertions=[
                    CfnRuleAssertion(
                        assert_=Fn.condition_equals("stub", "built"),
                        assert_description="synthesised without layers: say `make layers`, then deploy",
                    )
                ],
            )

    def of(self, wanted: tuple[str, ...]) -> list[lambda_.ILayerVersion]:
        """Our package and the wanted layers that have a lock (`llm` comes with the model SDKs)."""
        return [self._versions["chimera"], *(self._versions[name] for name in wanted if name in self._versions)]

    def _version(self, name: str, folder: Path, description: str) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            name,
            code=lambda_.Code.from_asset(str(folder), exclude=["**/__pycache__", "**/*.pyc", "requirements.*"]),
            compatible_architectures=[lambda_.Architecture.ARM_64],
            compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
            description=description,
            removal_policy=RemovalPolicy.RETAIN,
        )
