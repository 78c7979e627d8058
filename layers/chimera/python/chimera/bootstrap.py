"""The only place where things are wired: settings in, use cases' dependencies out; every one can be overridden."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from chimera.settings import Settings, get_settings

if TYPE_CHECKING:
    from chimera.adapters.local.issuer import LocalIssuer
    from chimera.adapters.postgres.content import PostgresContent
    from chimera.adapters.postgres.controls import PostgresControls
    from chimera.adapters.postgres.database import Database
    from chimera.adapters.postgres.engagement import PostgresEngagement
    from chimera.adapters.postgres.ledger import PostgresLedger
    from chimera.adapters.postgres.overview import PostgresOverview
    from chimera.adapters.postgres.personas import PostgresPersonas
    from chimera.adapters.postgres.publications import PostgresPublications
    from chimera.adapters.postgres.reviews import PostgresReviews
    from chimera.adapters.postgres.runs import PostgresRuns
    from chimera.adapters.postgres.tasks import PostgresTasks
    from chimera.adapters.postgres.trends import PostgresTrends
    from chimera.ports import Clock, MediaStore, PageReader, Signer, Source, Verifier, Workflows
    from chimera.usecases.cfo import Cfo
    from chimera.usecases.production import MadeContent
    from chimera.usecases.scope import Scope

Event = TypeVar("Event", bound=BaseModel)


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

        return Database(self.settings.database_url)

    @cached_property
    def media(self) -> MediaStore:
        """The media store."""
        from chimera.adapters.local.media import FolderMediaStore

        return FolderMediaStore(self.settings.media_path)

    @cached_property
    def clock(self) -> Clock:
        """The time."""
        from chimera.adapters.local.clock import SystemClock

        return SystemClock()

    @cached_property
    def signer(self) -> Signer:
        """The CFO's key."""
        from chimera.adapters.local.keys import KeyFileSigner

        return KeyFileSigner(self.settings.keys_path)

    @cached_property
    def verifier(self) -> Verifier:
        """The public keys."""
        from chimera.adapters.local.keys import KeyFolderVerifier

        return KeyFolderVerifier(self.settings.keys_path)

    @cached_property
    def issuer(self) -> LocalIssuer:
        """Tokens for people and publish grants."""
        from chimera.adapters.local.issuer import LocalIssuer

        return LocalIssuer(self.settings.keys_path)

    @cached_property
    def workflows(self) -> Workflows:
        """The state machines."""
        from chimera.adapters.local.workflows import HttpWorkflows

        return HttpWorkflows(self.settings.workflows_endpoint, self.settings.workflows_secret)

    @cached_property
    def pages(self) -> PageReader:
        """Reads pages, safely."""
        from chimera.adapters.pages import SafePageReader

        return SafePageReader(self.settings)

    def providers(self, kind: str) -> dict[str, Any]:
        """Every provider of a kind, by name."""
        from chimera.plugins.loader import providers

        return providers(kind, ProviderContext(settings=self.settings))

    def first(self, kind: str) -> Any:
        """The provider of a kind with the lowest `priority`."""
        found = self.providers(kind)
        if not found:
            raise ChimeraError("NOT_FOUND", f"no provider of kind {kind!r} is installed", {"kind": kind})
        return min(found.values(), key=lambda p: (getattr(p, "priority", 100), p.name))

    def source(self, name: str) -> Source:
        """A source by a plugin's name, `file:PATH` or `rss:ADDRESS`; files only on a laptop."""
        from chimera.adapters.sources.registry import open_source

        context = ProviderContext(settings=self.settings)
        return open_source(name, context, allow_files=self.settings.world == "local")

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

    def cfo(self, tenant_id: str) -> Cfo:
        """The CFO of a tenant."""
        from chimera.usecases.cfo import Cfo, policy_of

        return Cfo(self.ledger(tenant_id), self.signer, self.verifier, self.clock, policy_of(self.settings))

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

    def controls(self, tenant_id: str) -> PostgresControls:
        """The control switch of a tenant."""
        from chimera.adapters.postgres.controls import PostgresControls

        return PostgresControls(self.db, tenant_id)

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


def function(model: type[Event]) -> Callable[[Callable[[Event, App], Any]], Callable[[Any, Any], Any]]:
    """A Lambda handler: the event is checked against `model`, the answer is plain JSON, the connection is closed.

    An event that does not fit raises `ValidationFailed`, naming each field.
    """

    def decorate(use: Callable[[Event, App], Any]) -> Callable[[Any, Any], Any]:
        @wraps(use)
        def handler(event: Any, context: Any) -> Any:
            app = App()
            log = _logger(use.__module__.split(".")[1], app.settings, context, event)
            started = time.monotonic()
            try:
                answer = use(parse(model, event), app)
            except ChimeraError as error:
                log.warning(error.message, extra={"code": error.code, "milliseconds": _since(started)})
                raise
            except Exception:
                log.exception("the function broke", extra={"milliseconds": _since(started)})
                raise
            finally:
                app.close()
            log.info("done", extra={"milliseconds": _since(started)})
            return answer

        return handler

    return decorate


def _logger(name: str, settings: Settings, context: Any, event: Any) -> Any:
    """The function's logger with the ids of the work at hand, and nothing else of the event."""
    from chimera.telemetry import bind, logger

    log = logger(name, settings.log_level)
    given = event if isinstance(event, dict) else {}
    ids = {key: str(given[key])[:64] for key in ("run_id", "task_id", "content_id", "publication_id") if given.get(key)}
    tenant, request = given.get("tenant_id"), getattr(context, "aws_request_id", None)
    return bind(
        log,
        **ids,
        tenant=str(tenant)[:64] if tenant else None,
        function=name,
        function_request_id=str(request) if request else None,
    )


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def parse(model: type[Event], value: Any) -> Event:
    """The value as the model; what does not fit is one `VALIDATION_FAILED` that names each field and why."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> ChimeraError:
    """A pydantic error as the contract's: each field, what came, what was expected."""
    details = {
        ".".join(str(part) for part in problem["loc"]) or "body": {
            "got": repr(problem.get("input"))[:120],
            "expected": problem["msg"],
        }
        for problem in error.errors()[:20]
    }
    first = next(iter(details.items()))
    message = f"{first[0]}: got {first[1]['got']}, expected: {first[1]['expected']}"
    if len(details) > 1:
        message += f" (and {len(details) - 1} more)"
    return ChimeraError("VALIDATION_FAILED", message, details)


def container_main(arguments: list[str]) -> int:
    """The entry of the render container, on AWS Batch and on a laptop alike; works in the current folder."""
    from chimera.usecases.containers import run

    app = App()
    return run(arguments, app.media, Path.cwd())
