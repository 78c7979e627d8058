"""The OpenAPI document's own parts, and the page that shows it: self-contained, it needs no network."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import openapi
from aws_lambda_powertools.event_handler.api_gateway import APIGatewayHttpResolver, Response

from functions.api.access import OPEN
from functions.api.models import ErrorBody

VERSION = "1.0.0"
ERRORS = {
    "401": "No valid token",
    "403": "The role does not allow it",
    "404": "There is none of that id in this tenant",
    "409": "Another version, another body under the same key, or decided otherwise",
    "413": "The body is above 64 KB",
    "422": "A field does not fit; `details` names each and why",
    "500": "Unexpected; logged under the request id",
    "503": "A part is away or stopped; `retryable` says whether to try again",
}
UNUSED = ("HTTPValidationError", "ValidationError", "ResponseValidationError")
TAGS = {
    "system": "Health, metrics and the control switch",
    "trends": "What is rising",
    "runs": "From a trend to a published video",
    "content": "What was made",
    "approvals": "Decisions of the CFO",
    "reviews": "Questions to people",
    "ledger": "The append-only, hash-chained record of all money",
    "budgets": "Limits and what is left of them",
    "publications": "Where it went",
    "personas": "For whom and in whose voice",
    "templates": "How a brief becomes scenes",
    "uploads": "Pictures, footage and recordings of your own",
}
DESCRIPTION = """\
An autonomous content studio whose money cannot be overspent.

Send an access token (`Authorization: Bearer …`; `chimera token --role operator` prints one on a laptop).
Roles, each with the rights of those before it: `viewer` reads, `reviewer` decides reviews, `operator` starts
runs, decides spending, sets budgets and uses the switch, `admin`.
Amounts are USD as decimal strings; times are ISO 8601 UTC. Lists are paged with `limit` and `cursor`.
`Idempotency-Key` makes a POST that starts something safe to repeat. Every error has the same body:
`{"success": false, "error": {code, message, details, timestamp, request_id, retryable}}`.
"""


@lru_cache(maxsize=1)
def openapi_json(resolver: APIGatewayHttpResolver) -> str:
    """The OpenAPI 3.1 document of all routes."""
    # 80 ms that a request for data need not pay
    from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, License, Server, Tag

    schema = resolver.get_openapi_schema(
        title="Chimera API",
        version=VERSION,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        tags=[Tag(name=name, description=description) for name, description in TAGS.items()],
        servers=[Server(url="/")],
        license_info=License(name="Apache-2.0", identifier="Apache-2.0"),
        security_schemes={"bearer": HTTPBearer(bearerFormat="JWT")},
        security=[{"bearer": []}],
    )
    document: dict[str, Any] = json.loads(schema.model_dump_json(by_alias=True, exclude_none=True))
    return json.dumps(_with_our_errors(document), ensure_ascii=False)


def _with_our_errors(document: dict[str, Any]) -> dict[str, Any]:
    """The document with this API's one error body in place of the framework's."""
    components = document["components"]
    error = ErrorBody.model_json_schema(ref_template="#/components/schemas/{model}")
    kept = {name: schema for name, schema in components["schemas"].items() if name not in UNUSED}
    components["schemas"] = dict(sorted({**kept, **error.pop("$defs"), "ErrorBody": error}.items()))
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    components["responses"] = {
        f"Error{status}": {"description": text, "content": content} for status, text in ERRORS.items()
    }
    document["paths"] = dict(sorted(document["paths"].items()))
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            ours = {status: {"$ref": f"#/components/responses/Error{status}"} for status in ERRORS}
            given = {k: v for k, v in operation["responses"].items() if k not in ("422", "500")}
            if (method.upper(), path) in OPEN:
                ours = {"500": ours["500"]}
                operation["security"] = []
            operation["responses"] = dict(sorted({**ours, **given}.items()))
    return document


@lru_cache(maxsize=1)
def swagger_page(resolver: APIGatewayHttpResolver) -> bytes:
    """Swagger UI with script, style and document inside, gzipped (1.7 MB become 0.5)."""
    from aws_lambda_powertools.event_handler.openapi.swagger_ui.html import generate_swagger_html

    folder = Path(openapi.__file__).parent / "swagger_ui"
    page = generate_swagger_html(
        openapi_json(resolver).replace("</", "<\\/"),
        (folder / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
        (folder / "swagger-ui.min.css").read_text(encoding="utf-8"),
        "",
        None,
        persist_authorization=True,
    )
    for generic, own in (
        ("<title>Swagger UI</title>", "<title>Chimera API</title>"),
        ('currentUrl.pathname + "?format=json"', '"/openapi.json"'),
    ):
        page = page.replace(generic, own)
    return gzip.compress(page.encode(), 6, mtime=0)


def docs_response(resolver: APIGatewayHttpResolver, headers: Mapping[str, str]) -> Response[Any]:
    """The page, gzipped for those who take that (every browser does)."""
    packed = swagger_page(resolver)
    takes_gzip = any(k.lower() == "accept-encoding" and "gzip" in v.lower() for k, v in headers.items())
    return Response(
        status_code=200,
        content_type="text/html; charset=utf-8",
        body=packed if takes_gzip else gzip.decompress(packed).decode(),
        headers={
            **({"Content-Encoding": "gzip"} if takes_gzip else {}),
            "Vary": "Accept-Encoding",
            "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline';"
            " style-src 'unsafe-inline'; img-src data:; connect-src 'self'; frame-ancestors 'none';"
            " base-uri 'none'",
        },
    )
