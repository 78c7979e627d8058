"""An HTTP request as the event that API Gateway's HTTP API hands to a function (payload format 2.0)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

JSON: TypeAlias = Any
_TEXT_TYPES = re.compile(r"text/|application/(json|xml|javascript)\b|application/[\w.-]+\+(json|xml)\b", re.I)


def event_of(
    *,
    method: str,
    path: str,
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    source_ip: str,
    domain: str,
    request_id: str,
    claims: Mapping[str, Any] | None,
) -> dict[str, JSON]:
    """A request as API Gateway's HTTP API hands it to a function (payload format 2.0)."""
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in headers:
        lower = name.lower()
        if lower == "cookie":
            cookies += [part.strip() for part in value.split(";") if part.strip()]
        else:
            joined[lower] = f"{joined[lower]},{value}" if lower in joined else value
    now = datetime.now(UTC)
    context: dict[str, JSON] = {
        "accountId": "000000000000",
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": "local",
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": source_ip,
            "userAgent": joined.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if claims is not None:
        told = {name: _claim(value) for name, value in claims.items()}
        context["authorizer"] = {"jwt": {"claims": told, "scopes": None}}
    event: dict[str, JSON] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=200):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    if parameters:
        event["queryStringParameters"] = parameters
    if body:
        try:
            if not _TEXT_TYPES.match(joined.get("content-type", "text/plain")):
                raise ValueError("binary")
            event["body"] = body.decode("utf-8")
        except ValueError:
            event["body"] = base64.b64encode(body).decode()
            event["isBase64Encoded"] = True
    return event


def _claim(value: Any) -> str:
    """Claims reach a function as text; a list as `[a b]`, as API Gateway writes it."""
    if isinstance(value, list):
        return "[" + " ".join(str(part) for part in value) + "]"
    return json.dumps(value) if isinstance(value, bool | dict) or value is None else str(value)
