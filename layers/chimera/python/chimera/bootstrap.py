"""The only place where things are wired: settings in, use cases' dependencies out; every one can be overridden."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from chimera.settings import Settings, get_settings

if TYPE_CHECKING:
    from chimera.adapters.aws.dynamo import Table
    from chimera.adapters.aws.dynamo_controls import MirroredControls
    from chimera.adapters.aws.keys import KmsKeyring
    from chimera.adapters.local.keys import KeyFiles
    from chimera.adapters.paid.http import Vault
    from chimera.adapters.postgres.content import PostgresContent
    from chimera.adapters.postgres.controls import PostgresControls
    from chimera.adapters.postgres.database import Database
    from chimera.adapters.postgres.engagement import PostgresEngagement
    from chimera.adapters.postgres.ledger import PostgresLedger
    from chimera.adapters.postgres.ledger_export import PostgresExport
    from chimera.adapters.postgres.ledger_verify import LedgerReport, SealSource
    from chimera.adapters.postgres.money_views import PostgresMoneyViews
    from chimera.adapters.postgres.overview import PostgresOverview
    from chimera.adapters.postgres.personas import PostgresPersonas
    from chimera.adapters.postgres.publications import PostgresPublications
    from chimera.adapters.postgres.recovery import PostgresRecovery
    from chimera.adapters.postgres.reviews import PostgresReviews
    from chimera.adapters.postgres.runs import PostgresRuns
    from chimera.adapters.postgres.schema import PostgresSchema
    from chimera.adapters.postgres.seals import PostgresSeals
    from chimera.adapters.postgres.tasks import PostgresTasks
    from chimera.adapters.postgres.trends import PostgresTrends
    from chimera.allowance_ports import AllowanceStore
    from chimera.domain.models import Draft
    from chimera.domain.options import OwnMaterial
    from chimera.domain.prices import Outside
    from chimera.ports import (
        Clock,
        ContentSigner,
        MediaStore,
        PageReader,
        Signer,
        Source,
        TokenIssuer,
        Verifier,
        Workflows,
    )
    from chimera.purse import Purse
    from chimera.templates.shelves import Templates
    from chimera.usecases.casting import Policy
    from chimera.usecases.cfo import Cfo
    from chimera.usecases.ingest import Downloads
    from chimera.usecases.keys import Keys
    from chimera.usecases.personas import PersonaDesk, Spelled
    from chimera.usecases.production import MadeContent
    from chimera.usecases.recovery import Recovery
    from chimera.usecases.run_checks import RunChecks
    from chimera.usecases.scope import Scope
    from chimera.usecases.sealing import SealAnchor, Sealer
    from chimera.usecases.spend_gateway import SpendGateway
    from chimera.usecases.uploads import UploadForms


class App:
    """Everything wired, made when first asked for, so that a function imports only what it uses.

    `App(settings, media=fake)` puts `fake` where the media store would be.
    """

    def __init__(self, settings: Settings | None = None, **overrides: Any) -> None:
        self.settings = settings or get_settings()
        for name, value in overrides.items():
            if not hasattr(type(self), name):
                raise TypeError(f"App has no dependency {name!r} to override")
            self.__dict__[name] = value

    @cached_property
    def db(self) -> Database:
        """The database, as the application's role."""
        from chimera.adapters.postgres.database import Database

        given = self.settings
        if not given.database_iam:
            return Database(given.database_url)
        from chimera.adapters.aws.rds import iam_password

        return Database(
            given.database_url, password=lambda: iam_password(self.aws("rds"), given.database_url, given.region)
        )

    @cached_property
    def schema(self) -> PostgresSchema:
        """The database as its owner; for migrations only."""
        from chimera.adapters.postgres.schema import PostgresSchema

        given = self.settings
        url = given.database_owner_url
        if not given.database_iam:
            return PostgresSchema(url, given)
        from chimera.adapters.aws.rds import iam_password

        return PostgresSchema(url, given, lambda: iam_password(self.aws("rds"), url, given.region))

    def aws(self, service: str) -> Any:
        """A boto3 client for a service of the stack's region; only on AWS."""
        from chimera.adapters.aws.clients import client

        return client(service, self.settings.region, self.settings.aws_endpoint)

    @cached_property
    def media(self) -> MediaStore:
        """The media store."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.media import S3MediaStore

            return S3MediaStore(self.aws("s3"), self.settings.media_bucket)
        from chimera.adapters.local.media import FolderMediaStore

        return FolderMediaStore(self.settings.media_path)

    @cached_property
    def upload_forms(self) -> UploadForms:
        """Forms with which a file is uploaded: S3's, or of the server that `chimera up` is."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.media import S3MediaStore

            return S3MediaStore(self.aws("s3"), self.settings.media_bucket)
        from chimera.adapters.local.issuer import LocalIssuer
        from chimera.adapters.local.upload_forms import LocalUploadForms

        return LocalUploadForms(LocalIssuer(self.settings.keys_path), self.settings.public_base_url)

    @cached_property
    def clock(self) -> Clock:
        """The time."""
        from chimera.adapters.local.clock import SystemClock

        return SystemClock()

    @cached_property
    def signer(self) -> Signer:
        """The CFO's key; on AWS see `cfo_signer`, for there the ledger says which key is in force."""
        from chimera.adapters.local.keys import KeyFileSigner

        return KeyFileSigner(self.settings.keys_path)

    def cfo_signer(self, tenant_id: str) -> Signer:
        """The CFO's key for a tenant's ledger."""
        if self.settings.world != "aws":
            return self.signer
        from chimera.adapters.aws.keys import LedgerSigner

        return LedgerSigner(self.keyring(tenant_id), "cfo")

    def keyring(self, tenant_id: str) -> KmsKeyring:
        """The KMS keys of the CFO and of the seals; only on AWS."""
        from chimera.adapters.aws.keys import KmsKeyring
        from chimera.adapters.postgres.money import PostgresMoney

        store, given = PostgresMoney(self.db, tenant_id), self.settings
        arns = {"cfo": given.cfo_key_arns.split(), "seal": given.seal_key_arns.split()}
        return KmsKeyring(self.aws("kms"), arns, lambda purpose: store.run(lambda tx: tx.key(purpose)))

    @cached_property
    def key_files(self) -> KeyFiles:
        """The private keys and their rotation."""
        from chimera.adapters.local.keys import KeyFiles

        return KeyFiles(self.settings.keys_path)

    def seal_signer(self, tenant_id: str) -> Signer:
        """The key that signs seals, and nothing else."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.keys import LedgerSigner

            return LedgerSigner(self.keyring(tenant_id), "seal")
        return self.key_files.signer("seal")

    @cached_property
    def content_signer(self) -> ContentSigner | None:
        """The key and certificates of provenance manifests; None on AWS while no key is set."""
        given = self.settings
        if given.world == "aws":
            if not given.content_key_arn:
                return None
            from chimera.adapters.aws.content_signer import KmsContentSigner

            return KmsContentSigner(self.aws("kms"), given.content_key_arn, given.content_certificates)
        from chimera.adapters.local.certificates import LocalContentSigner

        return LocalContentSigner(given.keys_path)

    @cached_property
    def verifier(self) -> Verifier:
        """The public keys."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.keys import KmsVerifier

            arns = [*self.settings.cfo_key_arns.split(), *self.settings.seal_key_arns.split()]
            return KmsVerifier(self.aws("kms"), arns)
        from chimera.adapters.local.keys import KeyFolderVerifier

        return KeyFolderVerifier(self.settings.keys_path)

    @cached_property
    def issuer(self) -> TokenIssuer:
        """Publish grants; on a laptop also tokens for people, which Cognito gives on AWS."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.keys import KmsTokenIssuer

            return KmsTokenIssuer(self.aws("kms"), self.settings.grant_key_arn, self.clock)
        from chimera.adapters.local.issuer import LocalIssuer

        return LocalIssuer(self.settings.keys_path)

    @cached_property
    def workflows(self) -> Workflows:
        """The state machines."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.workflows import StepFunctions

            return StepFunctions(self.aws("stepfunctions"), self.settings.workflows_prefix)
        from chimera.adapters.local.workflows import HttpWorkflows

        return HttpWorkflows(self.settings.workflows_endpoint, self.settings.workflows_secret)

    @cached_property
    def pages(self) -> PageReader:
        """Reads pages, safely."""
        from chimera.adapters.pages import SafePageReader

        return SafePageReader(self.settings)

    @cached_property
    def downloads(self) -> Downloads:
        """Downloads media files, safely."""
        from chimera.adapters.downloads.download import Downloader

        return Downloader(self.settings)

    @cached_property
    def vault(self) -> Vault:
        """The vendors' keys, given out only together with an open draw."""
        from chimera.adapters.paid.http import Vault

        if self.settings.world == "aws":
            from chimera.adapters.aws.secrets import SecretsManager

            return Vault(SecretsManager(self.aws("secretsmanager"), self.settings.secrets_prefix).get)
        from chimera.settings import secret

        return Vault(secret)

    def free_secret(self, name: str) -> str | None:
        """A key of a vendor that costs nothing, or None; asked for only by those who use it."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.secrets import SecretsManager

            try:
                return SecretsManager(self.aws("secretsmanager"), self.settings.secrets_prefix).get(name)
            except ChimeraError as error:
                if error.code not in {"PROVIDER_REJECTED", "FORBIDDEN"}:
                    raise
                return None
        from chimera.settings import secret

        return secret(name)

    def providers(self, kind: str, purse: Purse | None = None) -> dict[str, Any]:
        """Every provider of a kind, by name; without a purse they can pay for nothing."""
        from chimera.adapters.paid.http import PaidFactory
        from chimera.plugins.loader import providers

        paid = PaidFactory(lambda: self.vault, purse)
        return providers(kind, ProviderContext(settings=self.settings, paid=paid, secret=self.free_secret))

    @cached_property
    def voice_policy(self) -> Policy:
        """Which voices may be paid, and who speaks where a persona names nobody."""
        from chimera.usecases.casting import Policy

        return Policy(
            paid_voices=self.settings.paid_voices, preferred=self.settings.voice_model.partition(":")[0].strip()
        )

    def outside_work(self, draft: Draft, ask: dict[str, Any]) -> Outside:
        """What a draft's production may have to pay and wait for; `ask` is the content's `material.json`."""
        from chimera.usecases.paid_estimate import outside_work

        return outside_work(
            draft,
            ask,
            voices=self.providers("voices"),
            policy=self.voice_policy,
            makers={name: c for name, c in self.providers("canvases").items() if hasattr(c, "make")},
            paid_pictures=self.settings.paid_pictures,
        )

    def first(self, kind: str, purse: Purse | None = None) -> Any:
        """The provider of a kind with the lowest `priority`."""
        found = self.providers(kind, purse)
        if not found:
            raise ChimeraError("NOT_FOUND", f"no provider of kind {kind!r} is installed", {"kind": kind})
        return min(found.values(), key=lambda p: (getattr(p, "priority", 100), p.name))

    def source(self, name: str, material: OwnMaterial | None = None) -> Source:
        """A source by a plugin's name, `file:PATH` or `rss:ADDRESS`; files only on a laptop. `own`: the run's material."""
        from chimera.adapters.sources.registry import open_source

        context = ProviderContext(settings=self.settings)
        return open_source(name, context, allow_files=self.settings.world == "local", material=material)

    def sentiment(self, text: str) -> float:
        """−1 to 1, advisory."""
        from chimera.adapters.sources.sentiment import sentiment

        return sentiment(text)

    def runs(self, tenant_id: str) -> PostgresRuns:
        """Runs of a tenant."""
        from chimera.adapters.postgres.runs import PostgresRuns

        return PostgresRuns(self.db, tenant_id)

    def content(self, tenant_id: str) -> PostgresContent:
        """Content of a tenant."""
        from chimera.adapters.postgres.content import PostgresContent

        return PostgresContent(self.db, tenant_id)

    def personas(self, tenant_id: str) -> PostgresPersonas:
        """Personas of a tenant."""
        from chimera.adapters.postgres.personas import PostgresPersonas

        return PostgresPersonas(self.db, tenant_id)

    def persona_desk(self, tenant_id: str, *, by: str, files: bool, spelled: Spelled | None = None) -> PersonaDesk:
        """Where a person finds and sets personas. `files`: files of this machine may be named."""
        from chimera.adapters.registered import RegisteredNames
        from chimera.usecases.personas import PersonaDesk

        registered = RegisteredNames(
            tenant_id, providers=self.providers, templates=self.templates(tenant_id), media=self.media, files=files
        )
        return PersonaDesk(self.personas(tenant_id), registered, by=by, spelled=spelled)

    def templates(self, tenant_id: str) -> Templates:
        """The templates of a tenant: built in, from plugins, published."""
        from chimera.plugins.loader import template_folders
        from chimera.templates.shelves import templates

        return templates(self.media, tenant_id, template_folders())

    def run_checks(self, tenant_id: str) -> RunChecks:
        """What is checked before a run of a tenant begins."""
        from chimera.usecases.run_checks import RunChecks

        return RunChecks(
            tenant_id=tenant_id,
            templates=self.templates(tenant_id),
            personas=self.personas(tenant_id),
            media=self.media,
            allow_files=self.settings.world == "local",
        )

    def trends(self, tenant_id: str) -> PostgresTrends:
        """Trends of a tenant."""
        from chimera.adapters.postgres.trends import PostgresTrends

        return PostgresTrends(self.db, tenant_id)

    def tasks(self, tenant_id: str) -> PostgresTasks:
        """Tasks of a tenant."""
        from chimera.adapters.postgres.tasks import PostgresTasks

        return PostgresTasks(self.db, tenant_id)

    def ledger(self, tenant_id: str) -> PostgresLedger:
        """The ledger of a tenant."""
        from chimera.adapters.postgres.ledger import PostgresLedger

        return PostgresLedger(self.db, tenant_id)

    def seals(self, tenant_id: str) -> PostgresSeals:
        """The recorded seals of a tenant."""
        from chimera.adapters.postgres.seals import PostgresSeals

        return PostgresSeals(self.db, tenant_id)

    def seal_anchor(self, tenant_id: str) -> SealAnchor:
        """Where the seals of a tenant are anchored, outside the database."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.s3_seals import S3SealAnchor

            given = self.settings
            return S3SealAnchor(self.aws("s3"), given.seal_bucket, tenant_id, retain_days=given.seal_retain_days)
        from chimera.adapters.local.seals import FolderSealAnchor

        return FolderSealAnchor(self.settings.seals_path, tenant_id)

    def sealer(self, tenant_id: str) -> Sealer:
        """Seals the ledger of a tenant and proves that a row is in it."""
        from chimera.usecases.sealing import Sealer

        seals, anchor, keys = self.seals(tenant_id), self.seal_anchor(tenant_id), self.keys(tenant_id)
        return Sealer(
            seals,
            seals,
            anchor,
            self.seal_signer(tenant_id),
            self.verifier,
            self.clock,
            announce=lambda: keys.announce("seal"),
        )

    def keys(self, tenant_id: str, *, sweeps: bool = True) -> Keys:
        """Which key signs what in the ledger of a tenant, and their rotation.

        Without `sweeps` the CFO's key is not touched: for the function that may use the seals' key alone.
        """
        from chimera.adapters.postgres.money import PostgresMoney
        from chimera.usecases.keys import Keys

        return Keys(
            PostgresMoney(self.db, tenant_id),
            self.keyring(tenant_id) if self.settings.world == "aws" else self.key_files,
            sweep=lambda: self.cfo(tenant_id).sweep() if sweeps else None,
            seal=lambda: self.sealer(tenant_id).seal_due(force=True),
        )

    def ledger_export(self, tenant_id: str) -> PostgresExport:
        """The ledger of a tenant as an export reads it."""
        from chimera.adapters.postgres.ledger_export import PostgresExport

        return PostgresExport(self.db, tenant_id)

    def cfo(self, tenant_id: str) -> Cfo:
        """The CFO of a tenant."""
        from chimera.usecases.cfo import Cfo, policy_of

        signer = self.cfo_signer(tenant_id)
        return Cfo(self.ledger(tenant_id), signer, self.verifier, self.clock, policy_of(self.settings))

    @cached_property
    def dynamo(self) -> Table:
        """The DynamoDB table; only on AWS."""
        from chimera.adapters.aws.dynamo import Table

        return Table(client=self.aws("dynamodb"), name=self.settings.dynamo_table)

    def allowances(self, tenant_id: str) -> AllowanceStore:
        """What paid calls of a tenant draw from: Postgres on a laptop, DynamoDB on AWS."""
        if self.settings.world == "aws":
            from chimera.adapters.aws.dynamo_allowances import DynamoAllowances

            return DynamoAllowances(self.dynamo, tenant_id, self.clock)
        from chimera.adapters.postgres.allowances import PostgresAllowances

        return PostgresAllowances(self.db, tenant_id)

    def mirror(self, tenant_id: str) -> int:
        """Let DynamoDB say what Postgres says: the switch, and budgets that changed (how many). Each minute; only on AWS."""
        if self.settings.world != "aws":
            return 0
        from chimera.adapters.aws.dynamo_budgets import DynamoBudgets
        from chimera.adapters.aws.dynamo_controls import DynamoControls, MirroredControls
        from chimera.adapters.postgres.budget_rows import PostgresBudgetRows
        from chimera.adapters.postgres.controls import PostgresControls
        from chimera.usecases.budget_projection import project_budgets

        MirroredControls(PostgresControls(self.db, tenant_id), DynamoControls(self.dynamo, tenant_id)).sync()
        return project_budgets(PostgresBudgetRows(self.db, tenant_id), DynamoBudgets(self.dynamo, tenant_id))

    def gateway(self, tenant_id: str) -> SpendGateway:
        """Where an approval becomes a purse."""
        from chimera.usecases.spend_gateway import SpendGateway

        return SpendGateway(self.cfo(tenant_id), self.allowances(tenant_id), self.verifier, self.clock)

    def purse(self, scope: Scope, request_id: str) -> Purse:
        """The purse of a production that was dispatched: what its steps are paid from."""
        from chimera.purse import Purse

        return Purse(self.allowances(scope.tenant_id), request_id)

    def verify_ledger(self, tenant_id: str, **options: Any) -> LedgerReport:
        """Verify a tenant's ledger against its seals; `options` as of `adapters.postgres.ledger_verify.verify_ledger`."""
        from chimera.adapters.postgres.ledger_verify import verify_ledger

        options = {
            "seals": self.seal_source(tenant_id),
            "processes": None if self.settings.world == "local" else 1,
        } | options
        return verify_ledger(self.db, tenant_id, self.verifier, **options)

    def seal_source(self, tenant_id: str) -> SealSource:
        """A tenant's seals as they are anchored and as they are recorded."""
        from chimera.adapters.postgres.ledger_verify import read_seals

        return read_seals(self.seal_anchor(tenant_id).all(), self.seals(tenant_id).recorded)

    def books(self, tenant_id: str) -> PostgresRecovery:
        """A tenant's counters and waiting approvals, as the recovery job reads them."""
        from chimera.adapters.postgres.recovery import PostgresRecovery

        # Lambda has no shared memory for a pool of processes
        processes = None if self.settings.world == "local" else 1
        return PostgresRecovery(
            self.db, tenant_id, self.verifier, lambda: self.seal_source(tenant_id), processes=processes
        )

    def recovery(self, tenant_id: str) -> Recovery:
        """The recovery job of a tenant."""
        from chimera.usecases.recovery import Recovery, SealedElsewhere
        from chimera.usecases.spend_record import ProductionSpend

        books, cfo = self.books(tenant_id), self.cfo(tenant_id)
        spend = ProductionSpend(tenant_id, books.work_of, self.allowances(tenant_id), cfo, self.media, self.workflows)
        return Recovery(
            cfo,
            self.ledger(tenant_id),
            books,
            spend,
            SealedElsewhere() if self.settings.world == "aws" else self.sealer(tenant_id),
            reconcile_after_seconds=self.settings.reconcile_after_seconds,
        )

    def publications(self, tenant_id: str) -> PostgresPublications:
        """Publications of a tenant."""
        from chimera.adapters.postgres.publications import PostgresPublications

        return PostgresPublications(self.db, tenant_id)

    def reviews(self, tenant_id: str) -> PostgresReviews:
        """Reviews of a tenant."""
        from chimera.adapters.postgres.reviews import PostgresReviews

        return PostgresReviews(self.db, tenant_id)

    def engagement(self, tenant_id: str) -> PostgresEngagement:
        """Measurements of a tenant."""
        from chimera.adapters.postgres.engagement import PostgresEngagement

        return PostgresEngagement(self.db, tenant_id)

    def controls(self, tenant_id: str) -> PostgresControls | MirroredControls:
        """The control switch of a tenant."""
        from chimera.adapters.postgres.controls import PostgresControls

        rows = PostgresControls(self.db, tenant_id)
        if self.settings.world == "aws":
            from chimera.adapters.aws.dynamo_controls import DynamoControls, MirroredControls

            return MirroredControls(rows, DynamoControls(self.dynamo, tenant_id))
        return rows

    def money_views(self, tenant_id: str) -> PostgresMoneyViews:
        """What people ask of a tenant's money; decides nothing."""
        from chimera.adapters.postgres.money_views import PostgresMoneyViews

        return PostgresMoneyViews(self.db, tenant_id)

    def overview(self, tenant_id: str) -> PostgresOverview:
        """Reads across a tenant's tables."""
        from chimera.adapters.postgres.overview import PostgresOverview

        return PostgresOverview(self.db, tenant_id)

    def made(self, scope: Scope) -> MadeContent:
        """The files of one production."""
        from chimera.usecases.production import MadeContent

        return MadeContent(self.media, scope)

    def close(self) -> None:
        """Give the database connection back."""
        if "db" in self.__dict__:
            self.db.close()
