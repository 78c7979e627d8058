"""The page reader against real servers: what it reads, and that no trick brings it to an address it must not
touch.
"""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from chimera.adapters.page_text import decode, extract
from chimera.adapters.pages import MAX_BYTES, SafePageReader, is_public
from chimera.errors import ChimeraError
from chimera.settings import Settings
from tests.fakes.loopback import Answer, served

ARTICLE = """<!doctype html><html><head><title>Bridge &amp; tunnel</title>
<meta name="description" content="What closes, and for how long."><style>p{color:red}</style>
</head><body><nav><p>Home, news, sport, weather and a lot of
other links to click on today</p></nav>
<article><h1>Bridge closes</h1><p>The Harbour Bridge will close for six weeks from March 3,
the city said on Monday.</p>
<script>var secret = "The script is not text and it must never be
read out loud.";</script>
<p>Engineers will replace 48 cables, and buses will use the <a href="/t">tunnel</a> instead
of the bridge.</p>
<div class="cookie-consent"><p>We use cookies to make this site better for all
of you, please accept them.</p></div>
<p>Repairs cost 31 million euros, which the city pays from its reserve
for the coming winter season.</p></article>
<footer><p>All rights reserved by the Harbour Times and its many
partners around the world.</p></footer></body></html>"""


def page(body: bytes | str, status: int = 200, **headers: str) -> Answer:
    data = body.encode() if isinstance(body, str) else body

    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    return send


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **{"http_timeout_seconds": 5, **values})  # type: ignore[call-arg]


@pytest.fixture
def local() -> SafePageReader:
    return SafePageReader(settings(allow_private_addresses=True))


def only_first(address: str) -> bool:
    """Stands for "public": 127.0.0.1 is the internet here, 127.0.0.2 the private network with the canary."""
    return address == "127.0.0.1"


def code_of(read: Callable[[], Any]) -> str:
    with pytest.raises(ChimeraError) as caught:
        read()
    return caught.value.code


def test_the_main_text_is_read_and_the_rest_left_out(local: SafePageReader) -> None:
    with served({"/n": page(ARTICLE)}) as (base, _):
        snippet = local.snippet(f"{base}/n")
    assert snippet.title == "Bridge & tunnel"
    assert snippet.url == f"{base}/n"
    lines = snippet.text.splitlines()
    assert lines[0] == "What closes, and for how long."
    assert lines[1].startswith("The Harbour Bridge will close")
    assert "tunnel instead" in snippet.text
    for absent in ("cookies", "secret", "weather", "reserved", "color"):
        assert absent not in snippet.text


def test_redirects_are_followed_three_times_and_relative_ones_too(local: SafePageReader) -> None:
    pages = {f"/{n}": page("", 302, Location=f"/{n + 1}") for n in range(9)}
    with served({**pages, "/3": page(ARTICLE)}) as (base, seen):
        assert local.snippet(f"{base}/0").url == f"{base}/3"
        assert [call["path"] for call in seen] == ["/0", "/1", "/2", "/3"]
    with served(pages) as (base, _):
        assert code_of(lambda: local.snippet(f"{base}/0")) == "PROVIDER_REJECTED"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/x",
        "//169.254.169.254/x",
    ],
)
def test_a_redirect_to_a_forbidden_place_ends_there_even_when_private_addresses_are_allowed(
    local: SafePageReader, target: str
) -> None:
    with served({"/n": page("", 302, Location=target)}) as (base, _):
        assert code_of(lambda: local.snippet(f"{base}/n")) in {"FORBIDDEN", "VALIDATION_FAILED"}


def test_a_redirect_into_the_private_network_never_reaches_it() -> None:
    reader = SafePageReader(settings(), allowed=only_first)
    with served({"/c": page(ARTICLE)}, host="127.0.0.2") as (canary, hits):
        with served({"/n": page("", 302, Location=f"{canary}/c")}) as (base, _):
            assert code_of(lambda: reader.snippet(f"{base}/n")) == "FORBIDDEN"
        assert code_of(lambda: reader.snippet(f"{canary}/c")) == "FORBIDDEN"
        assert hits == []


def test_a_name_that_changes_its_address_is_asked_once_and_the_checked_address_is_used() -> None:
    with served({"/n": page(ARTICLE)}) as (base, seen):
        port = int(base.rsplit(":", 1)[1])
        with served({"/n": page("canary")}, host="127.0.0.2", port=port) as (_, hits):
            answers = iter([["127.0.0.1"], ["127.0.0.2"]])
            reader = SafePageReader(settings(), resolver=lambda host, p: next(answers), allowed=only_first)
            assert "Harbour Bridge" in reader.snippet(f"http://rebind.example:{port}/n").text
            assert [(call["path"], call["host"]) for call in seen] == [("/n", f"rebind.example:{port}")]
            assert code_of(lambda: reader.snippet(f"http://rebind.example:{port}/n")) == "FORBIDDEN"
            assert hits == []


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    reader = SafePageReader(settings(), resolver=lambda host, p: ["127.0.0.1", "127.0.0.2"], allowed=only_first)
    with served({"/n": page(ARTICLE)}) as (base, seen):
        assert code_of(lambda: reader.snippet(base.replace("127.0.0.1", "mixed.example") + "/n")) == "FORBIDDEN"
        assert seen == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[0:0:0:0:0:ffff:7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[64:ff9b::7f00:1]/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://172.16.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://192.88.99.1/",
        "http://198.18.0.1/",
        "http://[fc00::1]/",
        "http://[ff02::1]/",
        "http://0/",
        "http://user:pw@93.184.215.14/",
        "http://93.184.215.14:22/",
        "http://93.184.215.14:6379/",
        "ftp://93.184.215.14/",
        "javascript:alert(1)",
        "http://",
        "",
        "http://exa mple.com/",
        "http://a.example/\r\nX: y",
        "http://a.example\\@127.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://①②⑦.⓪.⓪.①/",
        "http://a.example:99999/",
        "http://" + "a" * 3000,
    ],
)
def test_addresses_that_lead_inside_or_are_no_page_are_refused(url: str) -> None:
    reader = SafePageReader(settings())
    assert code_of(lambda: reader.snippet(url)) in {"FORBIDDEN", "VALIDATION_FAILED", "PROVIDER_REJECTED"}


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
        ("8.8.8.8", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("64:ff9b::808:808", False),
        ("2002:808:808::", False),
        ("2001:0:1::1", False),
        ("fec0::1", False),
        ("::808:808", False),
        ("not an address", False),
    ],
)
def test_only_hosts_of_the_open_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (page("gone", 404), "PROVIDER_REJECTED"),
        (page("busy", 503), "PROVIDER_REJECTED"),
        (page("slow down", 429, Retry_After="7"), "RATE_LIMITED"),
        (page(b"%PDF-1.7", Content_Type="application/pdf"), "PROVIDER_REJECTED"),
        (page("", Content_Type="text/html"), "PROVIDER_REJECTED"),
        (page(b"\x1f\x8bbroken", Content_Encoding="gzip"), "PROVIDER_REJECTED"),
        (page("x", Content_Encoding="br"), "PROVIDER_REJECTED"),
    ],
)
def test_what_is_no_readable_page_is_one_clear_error(local: SafePageReader, answer: Answer, code: str) -> None:
    with served({"/n": answer}) as (base, _):
        assert code_of(lambda: local.snippet(f"{base}/n")) == code


def test_a_server_that_drips_is_cut_off() -> None:
    reader = SafePageReader(settings(allow_private_addresses=True, http_timeout_seconds=0.4))
    stop = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.end_headers()
        while not stop.wait(0.05):
            request.wfile.write(b"<p>drop</p>")
            request.wfile.flush()

    with served({"/n": drip}) as (base, _):
        try:
            assert code_of(lambda: reader.snippet(f"{base}/n")) == "PROVIDER_TIMEOUT"
        finally:
            stop.set()


def test_a_server_that_says_nothing_is_cut_off() -> None:
    reader = SafePageReader(settings(allow_private_addresses=True, http_timeout_seconds=0.3))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert code_of(lambda: reader.snippet(f"http://127.0.0.1:{port}/")) == "PROVIDER_TIMEOUT"


def test_a_resolver_that_hangs_is_left_behind() -> None:
    def hang(host: str, port: int) -> list[str]:
        time.sleep(1.0)
        return ["127.0.0.1"]

    reader = SafePageReader(settings(http_timeout_seconds=0.2), resolver=hang, allowed=only_first)
    assert code_of(lambda: reader.snippet("http://slow.example/")) == "PROVIDER_TIMEOUT"


def test_a_page_of_many_megabytes_is_read_to_its_limit(local: SafePageReader) -> None:
    paragraph = "<p>" + "The bridge closes for six weeks, the city said on Monday. " * 3 + "</p>"
    sent: list[int] = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.end_headers()
        for _ in range(400):
            request.wfile.write(paragraph.encode() * 400)
            sent.append(len(paragraph) * 400)

    with served({"/n": endless}) as (base, _):
        snippet = local.snippet(f"{base}/n")
    assert 0 < len(snippet.text) <= 20_000
    assert sum(sent) < 400 * 400 * len(paragraph)


def test_a_packed_bomb_is_unpacked_to_the_limit_only(local: SafePageReader) -> None:
    bomb = gzip.compress(b"<p>" + b"a long line of words " * 2_000_000)
    assert len(bomb) < MAX_BYTES
    with served({"/n": page(bomb, Content_Encoding="gzip")}) as (base, _):
        assert len(local.snippet(f"{base}/n").text) <= 20_000


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("<p>grün".encode("cp1252"), "text/html; charset=iso-8859-1", "grün"),
        ("<p>grün".encode(), "text/html; charset=ascii", "grün"),
        ("<p>мост".encode("koi8-r"), "text/html; charset=KOI8-R", "мост"),
        ("<meta charset='shift_jis'><p>橋".encode("shift_jis"), "text/html", "橋"),
        ("\ufeff<p>橋".encode("utf-16"), "text/html", "橋"),
        ("<p>橋".encode("utf-8-sig"), "text/html; charset=latin-1", "橋"),
        ("<p>grün".encode("cp1252"), "text/html; charset=utf-8", "grün"),
        (b"<p>ok", "text/html; charset=zlib_codec", "ok"),
        (b"<p>ok", "text/html; charset=../../etc", "ok"),
        (b"<p>ok", "text/html; charset=punycode", "ok"),
    ],
)
def test_wrong_and_hostile_encodings(body: bytes, content_type: str, expected: str) -> None:
    text = decode(body, content_type)
    if expected == "grün" and "ascii" in content_type:
        assert "gr" in text  # browsers read ASCII as Windows-1252 too
    else:
        assert expected in text


@pytest.mark.parametrize(
    "hostile",
    [
        "<" * 300_000,
        "<a " * 100_000,
        "<!--" * 80_000,
        "<div>" * 80_000,
        "<script>" * 40_000,
        '<p ">' * 80_000,
    ],
    ids=["less-than", "links", "comments", "divisions", "scripts", "quotes"],
)
def test_hostile_html_is_read_in_linear_time(hostile: str) -> None:
    assert isinstance(extract(hostile).text, str)


def test_an_unclosed_navigation_does_not_swallow_the_article() -> None:
    body = ARTICLE.replace("</nav>", "")
    assert "48 cables" in extract(body).text
