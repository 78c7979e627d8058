"""The OpenAPI document is whole and valid; the page that shows it needs no network."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from functions.api import service

PATHS = {
    "/health": {"get"},
    "/metrics": {"get"},
    "/v1/trends": {"get"},
    "/v1/trends/scan": {"post"},
    "/v1/content": {"get"},
    "/v1/content/{content_id}": {"get"},
    "/v1/content/{content_id}/costs": {"get"},
    "/v1/content/{content_id}/timeline": {"get"},
    "/v1/runs": {"get", "post"},
    "/v1/runs/{run_id}": {"get"},
    "/v1/runs/{run_id}/timeline": {"get"},
    "/v1/approvals": {"get", "post"},
    "/v1/approvals/{request_id}": {"get"},
    "/v1/approvals/{request_id}/decide": {"post"},
    "/v1/reviews": {"get"},
    "/v1/reviews/{review_id}": {"get"},
    "/v1/reviews/{review_id}/approve": {"post"},
    "/v1/reviews/{review_id}/reject": {"post"},
    "/v1/ledger": {"get"},
    "/v1/ledger/verify": {"get"},
    "/v1/ledger/export": {"get"},
    "/v1/ledger/{entry_id}": {"get"},
    "/v1/ledger/{entry_id}/proof": {"get"},
    "/v1/ledger/{request_id}/refund": {"post"},
    "/v1/budgets": {"get", "put"},
    "/v1/budgets/unfreeze": {"post"},
    "/v1/publications": {"get"},
    "/v1/publications/{publication_id}": {"get"},
    "/v1/personas": {"get", "post"},
    "/v1/personas/{persona_id}": {"get", "patch", "delete"},
    "/v1/templates": {"get", "post"},
    "/v1/templates/{name}": {"get"},
    "/v1/templates/{name}/pin": {"post"},
    "/v1/templates/{name}/rollback": {"post"},
    "/v1/uploads": {"post"},
    "/v1/uploads/{upload_id}": {"get"},
    "/v1/uploads/{upload_id}/ingest": {"post"},
    "/v1/operations": {"get"},
    "/v1/operations/log": {"get"},
    "/v1/operations/pause-publishing": {"post"},
    "/v1/operations/pause-spending": {"post"},
    "/v1/operations/resume": {"post"},
    "/v1/operations/stop": {"post"},
}


@pytest.fixture
def document(api: Any) -> dict[str, Any]:
    answer = api("GET", "/openapi.json", role=None)
    assert answer.status == 200
    found: dict[str, Any] = answer.body
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_every_route_is_in_the_document_and_nothing_else(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert {path: set(operations) for path, operations in document["paths"].items()} == PATHS
    served = {
        (route.openapi_path, route.method.lower())
        for route in (*service.resolver._static_routes, *service.resolver._dynamic_routes)
        if route.include_in_schema
    }
    assert served == {(path, method) for path, method, _ in _operations(document)}


def test_the_document_is_sound(document: dict[str, Any]) -> None:
    assert {"title", "version"} <= set(document["info"])
    for reference in _references(document):
        assert reference.startswith("#/")
        target: Any = document
        for part in reference[2:].split("/"):
            target = target[part]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in document["tags"]}
    for path, method, operation in _operations(document):
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))
        assert all(p["required"] for p in operation.get("parameters", []) if p["in"] == "path")
        assert any(status.startswith("2") for status in operation["responses"])
        assert all(re.fullmatch(r"[1-5]\d\d", status) for status in operation["responses"])
        assert ("requestBody" in operation) == (method in ("post", "put", "patch"))


def test_every_error_has_the_contracts_schema(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["ErrorInfo"]["properties"]) == {
        "code", "message", "details", "timestamp", "request_id", "retryable",
    }  # fmt: skip
    for path, _, operation in _operations(document):
        failures = {status: a for status, a in operation["responses"].items() if status[0] in "45"}
        if path != "/health":
            assert {"401", "403", "404", "422", "500"} <= set(failures)
            assert all(a["$ref"] == f"#/components/responses/Error{status}" for status, a in failures.items())
    assert "HTTPValidationError" not in json.dumps(document)
    assert document["security"] == [{"bearer": []}]
    assert document["paths"]["/health"]["get"]["security"] == []


def test_requests_refuse_unknown_fields(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for _, _, operation in _operations(document):
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert schemas[reference.rsplit("/", 1)[-1]]["additionalProperties"] is False


def test_the_page_needs_no_network(api: Any, document: dict[str, Any]) -> None:
    plain = api("GET", "/docs", role=None)
    assert plain.status == 200
    assert plain.headers["Content-Type"].startswith("text/html")
    page = plain.body
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", page.split("<script>")[0])
    assert "SwaggerUIBundle(swaggerUIOptions)" in page
    assert "/v1/ledger/verify" in page
    assert 'updateUrl("/openapi.json")' in page
    packed = api("GET", "/docs", role=None, headers={"accept-encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.raw["isBase64Encoded"] is True
    assert gzip.decompress(base64.b64decode(packed.raw["body"])).decode() == page
    assert len(packed.raw["body"]) < 1_000_000
