"""Downloads against real servers: what comes through, what goes on after a break, and that no trick reaches further."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import resource
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.downloads.download import Downloader, DownloadLimits
from chimera.adapters.downloads.naming import title_of
from chimera.errors import ChimeraError, error_class
from chimera.settings import Settings
from tests.fakes.loopback import Answer, served
from tests.fakes.own_media import film

ANY = DownloadLimits()


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **{"allow_private_addresses": True, **values})  # type: ignore[call-arg]


def file(data: bytes, status: int = 200, **headers: str) -> Answer:
    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            if value:
                request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return send


def breaking(data: bytes, pieces: int, tag: str = '"v1"', *, changes: bool = False) -> Answer:
    """Serves ranges, and breaks off after a third of the file on each of the first `pieces` connections."""
    calls = [0]

    def send(request: BaseHTTPRequestHandler) -> None:
        calls[0] += 1
        label = f'"v{calls[0]}"' if changes else tag
        asked = request.headers.get("Range", "")
        if asked and request.headers.get("If-Range") == label:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            start = 0
            request.send_response(200)
        request.send_header("ETag", label)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        rest = data[start:]
        request.wfile.write(rest[: len(data) // 3] if calls[0] <= pieces else rest)

    return send


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "c.mp4"
    return film(
        path, "-f", "lavfi", "-i", "testsrc2=s=128x96:d=1:r=25", "-f", "lavfi", "-i", "sine=d=1", "-c:v", "libx264"
    ).read_bytes()


def test_a_film_comes_with_its_facts_title_and_hash(clip: bytes, tmp_path: Path) -> None:
    named = file(clip, Content_Type="text/html", Content_Disposition="attachment; filename*=UTF-8''My%20first_clip.mp4")
    with served({"/get": named, "/a/Harbour-bridge_2026.mp4": file(clip)}) as (base, seen):
        made = Downloader(settings()).download(f"{base}/get?id=7", ANY, tmp_path)
        again = Downloader(settings()).download(f"{base}/a/Harbour-bridge_2026.mp4", ANY, tmp_path)
    assert made.contract() == {
        "local_path": str(tmp_path / f"{hashlib.sha256(clip).hexdigest()[:32]}.mp4"), "title": "My first clip",
        "duration_seconds": 1.0, "resolution": "128x96", "size_bytes": len(clip), "sha256": hashlib.sha256(clip).hexdigest(),
    }  # fmt: skip
    assert made.path.read_bytes() == clip
    assert (again.title, again.path) == ("Harbour-bridge 2026", made.path)
    assert [path.name for path in tmp_path.iterdir()] == [made.path.name]
    assert "authorization" not in seen[0] and "cookie" not in seen[0] and "?" in seen[0]["path"]


@pytest.mark.parametrize("changes", [False, True])
def test_a_broken_connection_goes_on_where_it_was_only_with_the_same_file(
    clip: bytes, tmp_path: Path, changes: bool
) -> None:
    with served({"/c.mp4": breaking(clip, 2, changes=changes)}) as (base, seen):
        made = Downloader(settings()).download(f"{base}/c.mp4", ANY, tmp_path)
    assert made.path.read_bytes() == clip
    assert [call.get("range", "") != "" for call in seen] == [False, True, True]
    assert seen[1]["if-range"] == '"v1"'


def test_another_call_goes_on_with_what_an_earlier_one_got(clip: bytes, tmp_path: Path) -> None:
    with served({"/c.mp4": breaking(clip, 99)}) as (base, seen):
        short = DownloadLimits(seconds=0.05)
        with pytest.raises(ChimeraError) as caught:
            Downloader(settings()).download(f"{base}/c.mp4", short, tmp_path)
        assert caught.value.code in {"PROVIDER_REJECTED", "PROVIDER_TIMEOUT"}
        before = len(seen)
        parts = sorted(tmp_path.glob(".*.part"))
        got = Downloader(settings()).download(f"{base}/c.mp4", ANY, tmp_path)
    assert len(parts) == 1 and "range" in seen[before]
    assert got.path.read_bytes() == clip


def test_without_a_validator_it_begins_again_and_leaves_nothing(clip: bytes, tmp_path: Path) -> None:
    weak = served({"/c.mp4": breaking(clip, 99, tag='W/"weak"')})
    with weak as (base, seen), pytest.raises(error_class("PROVIDER_REJECTED"), match="broke off after"):
        Downloader(settings()).download(f"{base}/c.mp4", ANY, tmp_path)
    assert len(seen) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "headers", "limits", "code", "says"),
    [
        (
            b"<!doctype html><html><video>watch</video>" * 50,
            {"Content_Type": "video/mp4"},
            {},
            "VALIDATION_FAILED",
            "a page",
        ),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n", {}, {}, "VALIDATION_FAILED", "a playlist"),
        (b"", {}, {}, "VALIDATION_FAILED", "0 bytes"),
        (None, {}, {"max_bytes": 1000}, "FILE_TOO_LARGE", "at most 1,000"),
        (None, {"Content_Length": ""}, {"max_bytes": 1000}, "FILE_TOO_LARGE", "at most 1,000"),
        (None, {}, {"max_duration_seconds": 0.5}, "VIDEO_TOO_LONG", "got 1 s"),
        (None, {}, {"format": "picture"}, "VALIDATION_FAILED", r"got footage \(mp4\), expected picture"),
        (None, {"Content_Encoding": "br"}, {}, "PROVIDER_REJECTED", "packed as 'br'"),
    ],
)
def test_what_is_not_wanted_is_one_clear_error_and_leaves_nothing(
    clip: bytes,
    tmp_path: Path,
    body: bytes | None,
    headers: dict[str, str],
    limits: dict[str, Any],
    code: str,
    says: str,
) -> None:
    answer = file(clip if body is None else body, ETag='"v1"', **headers)
    with served({"/c.mp4": answer}) as (base, _), pytest.raises(error_class(code), match=says):
        Downloader(settings()).download(f"{base}/c.mp4", DownloadLimits(**limits), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "code"), [(404, "PROVIDER_REJECTED"), (503, "PROVIDER_REJECTED"), (429, "RATE_LIMITED")]
)
def test_an_answer_that_is_no_file_is_said(tmp_path: Path, status: int, code: str) -> None:
    with served({"/c.mp4": file(b"no", status)}) as (base, _), pytest.raises(error_class(code)) as caught:
        Downloader(settings()).download(f"{base}/c.mp4", ANY, tmp_path)
    assert caught.value.retryable is (status != 404)


def test_a_packed_bomb_is_unpacked_to_the_limit_only(clip: bytes, tmp_path: Path) -> None:
    bomb = gzip.compress(clip + bytes(80_000_000))
    answers = {"/b": file(bomb, Content_Encoding="gzip"), "/ok": file(gzip.compress(clip), Content_Encoding="gzip")}
    with served(answers) as (base, _):
        with pytest.raises(error_class("FILE_TOO_LARGE")):
            Downloader(settings()).download(f"{base}/b", DownloadLimits(max_bytes=1_000_000), tmp_path)
        assert list(tmp_path.iterdir()) == []
        assert Downloader(settings()).download(f"{base}/ok", ANY, tmp_path).path.read_bytes() == clip


def test_a_server_that_drips_or_says_nothing_is_cut_off(clip: bytes, tmp_path: Path) -> None:
    stop = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(clip[:5000])
        while not stop.wait(0.02):
            request.wfile.write(b"x")
            request.wfile.flush()

    with served({"/d": drip}) as (base, _), socket.create_server(("127.0.0.1", 0)) as silent:
        for url in (f"{base}/d", f"http://127.0.0.1:{silent.getsockname()[1]}/"):
            with pytest.raises(error_class("PROVIDER_TIMEOUT")):
                Downloader(settings()).download(url, DownloadLimits(seconds=0.4), tmp_path)
        stop.set()
    assert list(tmp_path.iterdir()) == []


def test_redirects_are_followed_three_times_and_checked_each_time(clip: bytes, tmp_path: Path) -> None:
    def only_first(address: str) -> bool:
        return address == "127.0.0.1"

    canary: dict[str, Answer] = {"/c.mp4": file(clip)}
    with served(canary, host="127.0.0.2") as (inner, touched), served({}) as (base, seen):
        hops = {f"/{n}": file(b"", 302, Location=f"{base}/{n + 1}") for n in range(5)}
        hops |= {
            "/in": file(b"", 302, Location=f"{inner}/c.mp4"),
            "/odd": file(b"", 302, Location="file:///etc/passwd"),
        }
        hops |= {"/meta": file(b"", 302, Location="http://169.254.169.254/latest/meta-data/"), "/2": file(clip)}
        with served(hops) as (start, _):
            hops["/0"], hops["/1"] = (file(b"", 302, Location=f"{start}/{n}") for n in (1, 2))
            guarded = Downloader(settings(), allowed=only_first)
            assert guarded.download(f"{start}/0", ANY, tmp_path).path.read_bytes() == clip
            hops["/2"] = file(b"", 302, Location=f"{start}/0")
            for path, code in (
                ("/in", "FORBIDDEN"),
                ("/meta", "FORBIDDEN"),
                ("/odd", "VALIDATION_FAILED"),
                ("/0", "PROVIDER_REJECTED"),
            ):
                with pytest.raises(error_class(code)):
                    guarded.download(f"{start}{path}", ANY, tmp_path / "x")
    assert touched == [] and seen == [] and list((tmp_path / "x").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc/passwd", "VALIDATION_FAILED"), ("ftp://example.com/a.mp4", "VALIDATION_FAILED"),
        ("http://93.184.215.14/a.mp4", "VALIDATION_FAILED"), ("https://user:secret@example.com/a.mp4", "VALIDATION_FAILED"),
        ("https://127.0.0.1/a.mp4", "FORBIDDEN"), ("https://2130706433/a.mp4", "FORBIDDEN"), ("https://0x7f.1/a.mp4", "FORBIDDEN"),
        ("https://0177.0.0.1/a.mp4", "FORBIDDEN"), ("https://[::1]/a.mp4", "FORBIDDEN"), ("https://10.1.2.3/", "FORBIDDEN"),
        ("https://[::ffff:169.254.169.254]/", "FORBIDDEN"), ("https://[64:ff9b::a9fe:a9fe]/", "FORBIDDEN"),
        ("https://169.254.169.254/latest/meta-data/", "FORBIDDEN"), ("https://100.64.0.1/", "FORBIDDEN"),
        ("https://93.184.215.14:22/a.mp4", "FORBIDDEN"), ("https://exa\nmple.com/", "VALIDATION_FAILED"),
        ("https://%31%32%37.0.0.1/", "VALIDATION_FAILED"), ("concat:/etc/passwd|/etc/hosts", "VALIDATION_FAILED"),
    ],
)  # fmt: skip
def test_addresses_that_lead_inside_are_never_connected_to(tmp_path: Path, url: str, code: str) -> None:
    with pytest.raises(error_class(code)) as caught:
        Downloader(settings(allow_private_addresses=False)).download(url, ANY, tmp_path)
    assert "secret" not in caught.value.message or "user" in url
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_changes_its_address_is_asked_once_and_held_to_it(clip: bytes, tmp_path: Path) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]])
    with (
        served({"/c.mp4": file(clip)}) as (base, seen),
        served({"/c.mp4": file(clip)}, host="127.0.0.2") as (_, touched),
    ):
        port = base.rpartition(":")[2]
        rebinding = Downloader(
            settings(), resolver=lambda _host, _port: next(answers), allowed=lambda address: address == "127.0.0.1"
        )
        assert rebinding.download(f"http://film.example:{port}/c.mp4", ANY, tmp_path).path.is_file()
        with pytest.raises(error_class("FORBIDDEN"), match=r"leads to 127\.0\.0\.2"):
            rebinding.download(f"http://film.example:{port}/c.mp4", ANY, tmp_path)
    assert seen[0]["host"] == f"film.example:{port}" and touched == []


def test_the_same_download_runs_once_at_a_time(clip: bytes, tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def waits(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        go_on.wait(10)
        file(clip)(request)

    with served({"/c.mp4": waits}) as (base, _):
        first = threading.Thread(target=lambda: Downloader(settings()).download(f"{base}/c.mp4", ANY, tmp_path))
        first.start()
        assert asked.wait(10)
        with pytest.raises(error_class("CONFLICT")):
            Downloader(settings()).download(f"{base}/c.mp4", ANY, tmp_path)
        go_on.set()
        first.join()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


def test_a_full_disk_is_told_as_such_and_leaves_nothing(clip: bytes, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with served({"/c.mp4": file(clip + bytes(400_000), ETag='"v1"')}) as (base, seen):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # as with a quota: a part of it can be written
        try:
            with pytest.raises(error_class("INTERNAL"), match="the disk is full") as caught:
                Downloader(settings()).download(f"{base}/c.mp4", ANY, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.details["reason"] == "disk_full" and len(seen) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_ends_as_another_begins_keeps_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = fcntl.flock

    def finished_first(handle: Any, how: int) -> None:
        lock(handle, how)
        handle.write(b"whole")
        Path(handle.name).rename(tmp_path / "final.mp4")

    monkeypatch.setattr(fcntl, "flock", finished_first)
    with served({}) as (base, seen), pytest.raises(error_class("CONFLICT")):
        Downloader(settings()).download(f"{base}/c.mp4", ANY, tmp_path)
    assert seen == [] and (tmp_path / "final.mp4").read_bytes() == b"whole"


@pytest.mark.parametrize(
    ("disposition", "url", "title"),
    [
        ('attachment; filename="../../etc/pass<b>wd.mp4"', "https://e.example/x.mp4", "passwd"),
        ("attachment; filename=\"a\u202eb\x07.mp4\"", "https://e.example/", "ab"),
        ("attachment; filename*=utf-99''.mp4", "https://e.example/%D0%BC%D0%BE%D1%81%D1%82.webm", "мост"),
        ("", "https://e.example/a/" + "x" * 500 + ".mp4", ""),
        ("", "https://e.example/", "Untitled"),
        ('inline; filename=""', "https://e.example/..%2f..%2fy_z.mov?t=1", "y z"),
    ],
)  # fmt: skip
def test_titles_are_plain_short_lines(disposition: str, url: str, title: str) -> None:
    got = title_of(disposition, url)
    assert got == title if title else 0 < len(got) <= 120
