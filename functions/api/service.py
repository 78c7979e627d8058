"""Answers one request: who asks, may they, does the body fit, then the route. Every failure becomes the
contract's body."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from aws_lambda_powertools.event_handler.api_gateway import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestValidationError,
    ResponseValidationError,
)

from chimera.bootstrap import App
from chimera.errors import ChimeraError
from functions.api import (
    routes_ledger,
    routes_money,
    routes_personas,
    routes_proof,
    routes_publications,
    routes_reviews,
    routes_runs,
    routes_system,
    routes_templates,
    routes_trends,
    routes_uploads,
)
from functions.api.access import caller_of, needed_role
from functions.api.body import parse_object, with_text_body
from functions.api.call import CONTEXT_KEY, Call
from functions.api.docs import docs_response, openapi_json
from functions.api.refusals import enter_refusal

logger = logging.getLogger("chimera.api")
# what these say is about our machine, not about the request: it is for the log
PRIVATE_DETAILS = frozenset({"INTERNAL", "DATABASE_WAKING", "AGENT_OFFLINE"})
SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

resolver = APIGatewayHttpResolver(
    enable_validation=True,
    json_body_deserializer=parse_object,
    response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,
)
for module in (
    routes_system,
    routes_trends,
    routes_runs,
    routes_money,
    routes_ledger,
    routes_proof,
    routes_reviews,
    routes_publications,
    routes_templates,
    routes_uploads,
    routes_personas,
):
    resolver.include_router(module.router)


def respond(event: Any, context: Any, app: App) -> dict[str, Any]:
    """The HTTP answer to an API Gateway event (payload 2.0)."""
    try:
        request = _request_id(event, context)
        http = event["requestContext"]["http"]
        method, path = str(http["method"]).upper(), _path(event)
    except (KeyError, TypeError, AttributeError):
        error = ChimeraError("VALIDATION_FAILED", "the event is not an API Gateway HTTP request (payload 2.0)", {})
        return _finished(_built(_failure(error)), "")
    try:
        _known_route(method, path)
        role = needed_role(method, path)
        caller = caller_of(event) if role else None
        if caller and role:
            caller.require(role)
    except ChimeraError as error:
        return _finished(_built(_failure(error)), request)
    call = Call(app, caller)
    try:
        event = {**with_text_body(event), "rawPath": path}
        resolver.append_context(**{CONTEXT_KEY: call})  # type: ignore[no-untyped-call]
        answer = resolver.resolve(event, context)
    except ChimeraError as error:
        answer = _built(_failure(error))
    try:
        enter_refusal(call, method, path, event, answer)
    except ChimeraError as error:
        answer = _built(_failure(error))
    return _finished(answer, request)


@resolver.get("/openapi.json", include_in_schema=False, enable_validation=False)
def openapi_document() -> Response[str]:
    """The document that describes this API."""
    return Response(status_code=200, content_type="application/json", body=openapi_json(resolver))


@resolver.get("/docs", include_in_schema=False, enable_validation=False)
def docs() -> Response[Any]:
    """The document as a page."""
    return docs_response(resolver, resolver.current_event.headers)


def on_error(error: ChimeraError) -> Response[str]:
    """An error of ours."""
    return _failure(error)


def on_invalid(error: RequestValidationError) -> Response[str]:
    """What does not fit, field by field."""
    details = {
        _field(problem["loc"]): {
            "got": repr(problem.get("input"))[:120],
            "expected": str(problem.get("msg"))[:200],
        }
        for problem in error.errors()[:20]
    }
    name, first = next(iter(details.items()))
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    message = f"{name}: got {first['got']}, expected: {first['expected']}{more}"
    return _failure(ChimeraError("VALIDATION_FAILED", message, details))


def on_no_route(_: NotFoundError) -> Response[str]:
    """No such route."""
    return _failure(_no_route(resolver.current_event.http_method, resolver.current_event.path))


def on_database_away(error: psycopg.OperationalError) -> Response[str]:
    """The database went away in the middle."""
    logger.error("the database went away: %s", error)
    return _failure(ChimeraError("DATABASE_WAKING", "the database does not answer; ask again", {}))


def on_bad_value(error: psycopg.DataError) -> Response[str]:
    """A value that no column can hold, such as text with a NUL character."""
    logger.warning("a value was refused by the database: %s", error)
    return _failure(ChimeraError("VALIDATION_FAILED", "a value cannot be stored; is there a NUL character in it?", {}))


def on_unexpected(error: Exception) -> Response[str]:
    """Anything else: logged whole, told without its inside."""
    logger.error("unexpected error in the API", exc_info=error)
    return _failure(ChimeraError("INTERNAL", "something went wrong here; it is logged under this request id", {}))


for kind, answer in {
    ChimeraError: on_error,
    RequestValidationError: on_invalid,
    NotFoundError: on_no_route,
    psycopg.OperationalError: on_database_away,
    psycopg.DataError: on_bad_value,
    ResponseValidationError: on_unexpected,
    Exception: on_unexpected,
}.items():
    resolver.exception_handler(kind)(answer)


class MethodNotAllowedError(ChimeraError):
    """The path is there, the method is not: `NOT_FOUND`, answered as HTTP 405."""

    @property
    def http_status(self) -> int:
        """405."""
        return 405


def _no_route(method: str, path: str) -> ChimeraError:
    allowed = sorted({r.method for r in (*resolver._static_routes, *resolver._dynamic_routes) if r.rule.match(path)})
    if allowed:
        details = {"method": method, "allowed": allowed}
        return MethodNotAllowedError(
            "NOT_FOUND", f"no {method[:20]} for {path[:200]}; there is {', '.join(allowed)}", details
        )
    return ChimeraError("NOT_FOUND", f"no route {path[:200]}; the routes are in /openapi.json", {"path": path[:200]})


def _known_route(method: str, path: str) -> None:
    """`NOT_FOUND` before the question of rights: an unknown route is unknown to everybody."""
    routes = (*resolver._static_routes, *resolver._dynamic_routes)
    if not any(r.method == method and r.rule.match(path) for r in routes):
        raise _no_route(method, path)


def _failure(error: ChimeraError) -> Response[str]:
    body = error.body()
    if error.code in PRIVATE_DETAILS and error.details:
        logger.error("%s: %s %s", error.code, error.message, error.details)
        body["error"]["details"] = {}
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowedError):
        headers["Allow"] = ", ".join(error.details["allowed"])
    text = json.dumps(body, ensure_ascii=False, default=str)
    return Response(status_code=error.http_status, content_type="application/json", body=text, headers=dict(headers))


def _built(response: Response[str]) -> dict[str, Any]:
    return {
        "statusCode": response.status_code,
        "body": response.body,
        "isBase64Encoded": False,
        "headers": dict(response.headers),
        "cookies": [],
    }


def _finished(answer: dict[str, Any], request_id: str) -> dict[str, Any]:
    """The answer with the request's id in it, and the headers that all answers have."""
    if answer["statusCode"] >= HTTPStatus.BAD_REQUEST and isinstance(answer["body"], str):
        body = json.loads(answer["body"])
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            body["error"]["request_id"] = body["error"]["request_id"] or request_id
            answer["body"] = json.dumps(body, ensure_ascii=False)
    answer["headers"] = {**SAFE_HEADERS, **answer["headers"], "X-Request-Id": request_id}
    return answer


def _request_id(event: Mapping[str, Any], context: Any) -> str:
    given = event["requestContext"].get("requestId") or getattr(context, "aws_request_id", "")
    return str(given)[:200]


def _path(event: Mapping[str, Any]) -> str:
    """The path without its stage and without a slash at its end."""
    path, stage = str(event["rawPath"]), event["requestContext"].get("stage", "$default")
    if stage != "$default":
        path = path.removeprefix(f"/{stage}")
    return path.rstrip("/") or "/"


def _field(location: tuple[Any, ...]) -> str:
    """`("body", "duration_seconds")` -> `duration_seconds`: the name as the caller wrote it."""
    parts = [str(part) for part in location]
    return (
        ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("body", "query", "path", "header") else parts) or "body"
    )
