"""Where a Lambda function, a container or a request enters: its event is checked, its work logged and measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from chimera.bootstrap import App
from chimera.errors import ChimeraError
from chimera.metrics import flush, measure
from chimera.settings import Settings

Event = TypeVar("Event", bound=BaseModel)


def function(model: type[Event]) -> Callable[[Callable[[Event, App], Any]], Callable[[Any, Any], Any]]:
    """A Lambda handler: the event is checked against `model`, the answer is plain JSON, the connection is closed.

    An event that does not fit raises `ValidationFailed`, naming each field.
    """

    def decorate(use: Callable[[Event, App], Any]) -> Callable[[Any, Any], Any]:
        @wraps(use)
        def handler(event: Any, context: Any) -> Any:
            app = App()
            name = use.__module__.split(".")[1]
            log = _logger(name, app.settings, context, event)
            started, status = time.monotonic(), "failed"
            try:
                answer = use(parse(model, event), app)
            except ChimeraError as error:
                log.warning(error.message, extra={"code": error.code, "milliseconds": _since(started)})
                raise
            except Exception:
                log.exception("the function broke", extra={"milliseconds": _since(started)})
                raise
            else:
                status = "completed"
            finally:
                app.close()
                _measured(name, status, time.monotonic() - started, app.settings)
            log.info("done", extra={"milliseconds": _since(started)})
            return answer

        return handler

    return decorate


def _measured(name: str, status: str, seconds: float, settings: Settings) -> None:
    """Write what the invocation counted, and the invocation itself."""
    from chimera.domain.agents import AGENT_OF

    role = AGENT_OF.get(name, "people")
    measure("agent_tasks_total", role=role, status=status)
    measure("agent_response_time_seconds", seconds, role=role)
    flush(settings.metrics_namespace)


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
        # one trace from the trigger to the receipt: the run's id, as OpenTelemetry writes trace ids
        trace_id=ids["run_id"].replace("-", "") if "run_id" in ids else None,
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
            "expected": problem["msg"].removeprefix("Value error, "),
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
    from chimera.usecases.containers import Rendering, run

    app = App()
    # a job on AWS begins in an empty folder at every attempt, a laptop's finds its own again
    try:
        how = Rendering(
            encoder=app.settings.video_encoder,
            keep_segments=app.settings.world == "aws",
            credentials=lambda: app.content_signer,
            mining=app.settings.content_mining,
            timestamps=app.settings.timestamp_url,
        )
        return run(arguments, app.media, Path.cwd(), app.purse, how)
    finally:
        app.close()
        flush(app.settings.metrics_namespace)


def transcriber_main(arguments: list[str]) -> int:
    """The entry of the transcribe container, on AWS Batch and on a laptop alike; works in the current folder."""
    from chimera.usecases.transcription import run

    app = App()
    try:
        return run(
            arguments,
            app.media,
            Path.cwd(),
            lambda: _with_weights(app).providers("transcribers"),
            app.settings.transcriber,
        )
    finally:
        app.close()
        flush(app.settings.metrics_namespace)


def _with_weights(app: App) -> App:
    """The app, with Whisper's weights brought from the media store into the current folder if that is where they are."""
    kind, _, prefix = app.settings.whisper_model.partition(":")
    if kind != "media":
        return app
    folder = Path.cwd() / "weights" / prefix.rstrip("/").rpartition("/")[2]
    for key in app.media.keys(prefix):
        app.media.fetch(key, folder / key.removeprefix(prefix.rstrip("/") + "/"))
    return App(app.settings.model_copy(update={"whisper_model": str(folder)}), media=app.media)
