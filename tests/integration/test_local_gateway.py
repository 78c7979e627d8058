"""The gateway over real sockets: API Gateway's events, authorizer, the channel's files, rough clients."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chimera.errors import ChimeraError, error_class
from chimera_local.functions import FunctionError
from chimera_local.gateway import Gateway

VIDEO = bytes(range(256)) * 4000


class Api:
    """Stands for the function: remembers events, answers what it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answer: Any = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": "{}"}

    def __call__(self, event: dict[str, Any]) -> Any:
        self.events.append(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(event) if callable(self.answer) else self.answer


def verify(token: str) -> dict[str, Any]:
    if token != "good":
        raise ChimeraError("UNAUTHENTICATED", "the token is not accepted", {})
    return {"sub": "kim", "roles": ["viewer", "admin"], "exp": 5}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def views() -> list[str]:
    return []


@pytest.fixture
def gateway(tmp_path: Path, api: Api, views: list[str]) -> Iterator[Gateway]:
    post = tmp_path / "channel" / "posts" / "abc"
    post.mkdir(parents=True)
    (post / "video.mp4").write_bytes(VIDEO)
    (post / "captions.vtt").write_text("WEBVTT\n")
    (post / ".hidden.html").write_text("no")
    (tmp_path / "channel" / "stats").mkdir()
    (tmp_path / "channel" / "stats" / "abc.json").write_text("{}")
    (tmp_path / "channel" / "feed.xml").write_text("<rss/>")
    (tmp_path / "channel" / "index.html").write_text("<p>page")
    (tmp_path / "secret.html").write_text("secret")
    (tmp_path / "channel" / "link.html").symlink_to(tmp_path / "secret.html")
    made = Gateway(
        port=0,
        invoke=api,
        verify=verify,
        channel=tmp_path / "channel",
        on_media_view=views.append,
        access_log=tmp_path / "logs" / "access.log",
    )
    with made:
        yield made


def ask(
    gateway: Gateway, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def code_of(body: bytes) -> str:
    value = json.loads(body)
    assert value["success"] is False
    assert value["error"]["request_id"]
    return str(value["error"]["code"])


def test_a_request_becomes_a_version_2_event(gateway: Gateway, api: Api) -> None:
    body = '{"topic":"é"}'.encode()
    status, headers, _ = ask(
        gateway,
        "POST",
        "/v1/runs%20x?a=1&a=2&b=%C3%A9&c",
        body,
        Authorization="Bearer good",
        Cookie="x=1; y=2",
        Content_Type="application/json",
        X_Thing="T",
    )
    assert status == 200
    [event] = api.events
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", "/v1/runs x")
    assert event["rawQueryString"] == "a=1&a=2&b=%C3%A9&c"
    assert event["queryStringParameters"] == {"a": "1,2", "b": "é", "c": ""}
    assert event["cookies"] == ["x=1", "y=2"]
    assert event["headers"]["x-thing"] == "T"
    assert "cookie" not in event["headers"]
    assert (event["body"], event["isBase64Encoded"]) == (body.decode(), False)
    context = event["requestContext"]
    assert context["http"]["method"] == "POST"
    assert context["http"]["path"] == "/v1/runs x"
    assert context["authorizer"] == {
        "jwt": {"claims": {"sub": "kim", "roles": "[viewer admin]", "exp": "5"}, "scopes": None}
    }
    assert context["requestId"] == headers["x-request-id"]


def test_a_binary_body_is_base64(gateway: Gateway, api: Api) -> None:
    data = b"\x00\xff\x01"
    ask(gateway, "POST", "/v1/x", data, Authorization="Bearer good", Content_Type="application/octet-stream")
    assert api.events[0]["isBase64Encoded"] is True
    assert base64.b64decode(api.events[0]["body"]) == data


def test_an_answer_is_sent_as_the_function_gave_it(gateway: Gateway, api: Api) -> None:
    api.answer = {
        "statusCode": 201,
        "headers": {
            "Content-Type": "text/plain",
            "X-Name": "é",
            "Content-Length": "999",
            "Connection": "keep",
        },
        "cookies": ["a=1", "b=2"],
        "body": base64.b64encode(b"\x00bytes").decode(),
        "isBase64Encoded": True,
    }
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("GET", "/health")
    response = connection.getresponse()
    assert response.status == 201
    assert response.read() == b"\x00bytes"
    assert [v for k, v in response.getheaders() if k.lower() == "set-cookie"] == ["a=1", "b=2"]
    api.answer = {"plain": True}
    connection.request("GET", "/health")  # over the same connection
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())) == (200, {"plain": True})
    connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": 200, "headers": {"X-A": "1\r\nX-B: 2"}, "body": ""},
        {"statusCode": 7},
        {"statusCode": "many"},
        {"statusCode": 200, "body": "%%%", "isBase64Encoded": True},
    ],
)
def test_an_answer_that_cannot_be_sent_is_an_internal_error(gateway: Gateway, api: Api, answer: Any) -> None:
    api.answer = answer
    status, _, body = ask(gateway, "GET", "/health")
    assert (status, code_of(body)) == (500, "INTERNAL")


def test_open_paths_need_no_token_and_all_others_do(gateway: Gateway, api: Api) -> None:
    for path in ("/health", "/openapi.json", "/docs", "/docs/x.css", "/docs?x=1"):
        assert ask(gateway, "GET", path)[0] == 200, path
    assert all("authorizer" not in event["requestContext"] for event in api.events)
    api.events.clear()
    for path in (
        "/v1/runs",
        "/healthy",
        "/health/x",
        "/openapi.jsonx",
        "/Health",
        "/docs/../v1/runs",
        "/metrics",
    ):
        for headers in ({}, {"Authorization": "Bearer bad"}, {"Authorization": "Basic good"}):
            status, given, body = ask(gateway, "GET", path, **headers)
            if ".." in path:
                assert status == 404
                continue
            assert (status, code_of(body)) == (401, "UNAUTHENTICATED"), path
            assert given["www-authenticate"] == "Bearer"
    assert api.events == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (FunctionError("Lambda.TooManyRequestsException", ""), 429, "RATE_LIMITED"),
        (FunctionError("Sandbox.Timedout", ""), 504, "PROVIDER_TIMEOUT"),
        (FunctionError("Runtime.ExitError", "secret text"), 500, "INTERNAL"),
        (RuntimeError("secret text"), 500, "INTERNAL"),
        (ChimeraError("AGENT_OFFLINE", "starting"), 503, "AGENT_OFFLINE"),
    ],
)
def test_a_function_that_fails_is_answered_in_the_contracts_shape(
    gateway: Gateway, api: Api, error: Exception, status: int, code: str
) -> None:
    api.answer = error
    got, _, body = ask(gateway, "GET", "/health")
    assert (got, code_of(body)) == (status, code)
    assert b"secret" not in body


def test_a_body_over_the_limit_is_413(gateway: Gateway, api: Api) -> None:
    status, _, body = ask(gateway, "POST", "/v1/x", b"x" * 3_000_000, Authorization="Bearer good")
    assert (status, code_of(body)) == (413, "VALIDATION_FAILED")
    assert api.events == []
    assert ask(gateway, "POST", "/v1/x", b"x" * 1_000_000, Authorization="Bearer good")[0] == 200


def test_files_of_the_channel_have_their_types(gateway: Gateway) -> None:
    for path, kind, content in [
        ("/channel/feed.xml", "application/rss+xml; charset=utf-8", b"<rss/>"),
        ("/channel/", "text/html; charset=utf-8", b"<p>page"),
        ("/channel/posts/abc/video.mp4", "video/mp4", VIDEO),
        ("/channel/posts/abc/captions.vtt", "text/vtt; charset=utf-8", b"WEBVTT\n"),
    ]:
        status, headers, body = ask(gateway, "GET", path)
        assert (status, headers["content-type"], body) == (200, kind, content)
        status, headers, body = ask(gateway, "HEAD", path)
        assert (status, headers["content-length"], body) == (200, str(len(content)), b"")
    assert ask(gateway, "GET", "/")[1]["location"] == "/channel/"
    tag = ask(gateway, "GET", "/channel/feed.xml")[1]["etag"]
    assert ask(gateway, "GET", "/channel/feed.xml", If_None_Match=tag)[0] == 304
    status, headers, _ = ask(gateway, "POST", "/channel/feed.xml", b"")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_ranges(gateway: Gateway) -> None:
    path, size = "/channel/posts/abc/video.mp4", len(VIDEO)
    for asked, first, last in [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        (f"bytes={size - 5}-", size - 5, size - 1),
        ("bytes=-7", size - 7, size - 1),
        ("bytes=5-99999999999", 5, size - 1),
    ]:
        status, headers, body = ask(gateway, "GET", path, Range=asked)
        assert (status, headers["content-range"]) == (206, f"bytes {first}-{last}/{size}"), asked
        assert body == VIDEO[first : last + 1]
    for asked in (f"bytes={size}-", "bytes=-0"):
        status, headers, _ = ask(gateway, "GET", path, Range=asked)
        assert (status, headers["content-range"]) == (416, f"bytes */{size}"), asked
    for asked in ("bytes=9-2", "bytes=-", "lines=1-2", "bytes=0-1,5-6", "bytes=a-b"):
        assert ask(gateway, "GET", path, Range=asked)[0] == 200, asked
    assert ask(gateway, "GET", path, Range="bytes=0-1", If_Range='"old"')[0] == 200


def test_a_view_is_a_whole_video_or_its_first_range(gateway: Gateway, views: list[str]) -> None:
    path = "/channel/posts/abc/video.mp4"
    ask(gateway, "HEAD", path)
    ask(gateway, "GET", path, Range="bytes=0-1")  # how Safari asks whether ranges work
    ask(gateway, "GET", path, Range="bytes=500000-")
    ask(gateway, "GET", "/channel/posts/abc/captions.vtt")
    assert views == []
    ask(gateway, "GET", path)
    ask(gateway, "GET", path, Range="bytes=0-")
    assert views == ["abc", "abc"]


@pytest.mark.parametrize(
    "path",
    [
        "/channel/../secret.html",
        "/channel/%2e%2e/secret.html",
        "/channel/..%2fsecret.html",
        "/channel/%2e%2e%2fsecret.html",
        "/channel/posts/..\\..\\secret.html",
        "/channel//etc/passwd",
        "/channel/%00",
        "/channel/link.html",
        "/channel/posts/abc/.hidden.html",
        "/channel/posts/abc",
        "/channel/stats/abc.json",
        "/channel/nothing.html",
        "/channel/" + "a" * 5000 + ".html",
    ],
)
def test_nothing_outside_the_channel_is_served(gateway: Gateway, path: str) -> None:
    status, _, body = ask(gateway, "GET", path)
    assert status == 404
    assert b"secret" not in body.replace(path.encode(), b"").replace(b"secret.html", b"")


def test_another_host_name_is_refused(gateway: Gateway, api: Api) -> None:
    status, _, _ = ask(gateway, "GET", "/health", Host="evil.example:80")
    assert status == 421
    assert api.events == []


def spoken(gateway: Gateway, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(text)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_malformed_requests_get_an_error_and_the_connection_is_closed(gateway: Gateway, api: Api, text: bytes) -> None:
    answer = spoken(gateway, text)
    assert b'"success": false' in answer
    assert api.events == []
    assert ask(gateway, "GET", "/health")[0] == 200


def test_a_slow_sender_is_cut_off_though_bytes_keep_coming(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chimera_local.gateway.HEAD_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        with pytest.raises(OSError):
            while True:
                connection.sendall(b"X-A: b\r\n")
                time.sleep(0.02)


def test_closing_lets_a_running_request_end(tmp_path: Path, api: Api) -> None:
    began, go = threading.Event(), threading.Event()

    def slow(event: dict[str, Any]) -> Any:
        began.set()
        assert go.wait(20)
        return {"statusCode": 200, "body": "done"}

    api.answer = slow
    gateway = Gateway(port=0, invoke=api, verify=verify, channel=tmp_path)
    gateway.start()
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(ask(gateway, "GET", "/health")[2]))
    thread.start()
    assert began.wait(20)
    closing = threading.Thread(target=gateway.close)
    closing.start()
    go.set()
    thread.join(20)
    closing.join(20)
    assert answers == [b"done"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port), timeout=5)


def test_a_port_in_use_is_said_clearly(gateway: Gateway, tmp_path: Path, api: Api) -> None:
    with pytest.raises(error_class("CONFLICT"), match=f"port {gateway.port}.*--port"):
        Gateway(port=gateway.port, invoke=api, verify=verify, channel=tmp_path)


def test_the_access_log_has_no_query_and_no_body(gateway: Gateway, tmp_path: Path) -> None:
    _, headers, _ = ask(gateway, "POST", "/v1/x?token=hidden", b"hidden too", Authorization="Bearer good")
    log = tmp_path / "logs" / "access.log"
    until = time.monotonic() + 20
    while not log.exists() or not log.read_text():
        assert time.monotonic() < until
        time.sleep(0.01)
    [line] = log.read_text().splitlines()
    entry = json.loads(line)
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/v1/x", 200)
    assert entry["request_id"] == headers["x-request-id"]
    assert "hidden" not in line
