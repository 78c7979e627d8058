"""What attackers bring as media: nothing is read or called that was not named, limits hold, one error says what came."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from chimera.errors import ChimeraError, error_class
from chimera.media.own.footage import prepare_footage
from chimera.media.own.picture import prepare_picture
from chimera.media.own.probe import probe
from tests.fakes.http_server import fake_server
from tests.fakes.own_media import chunk, corners, encoded, film, gif, into_png, png_header

SECRET = "the-secret-of-another-file"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


@pytest.mark.parametrize("name", ["clip.mp4", "photo.jpg", "list"])
def test_playlists_and_pages_are_refused_and_nothing_they_name_is_touched(
    tmp_path: Path, secret: Path, name: str
) -> None:
    with fake_server() as server:
        url = server.url
        for text, came in (
            (f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n{url}/a.ts\n", "playlist"),
            (f"ffconcat version 1.0\nfile {secret}\nfile {url}/a.ts\n", "list of files"),
            (f'<?xml version="1.0"?><MPD><BaseURL>{url}/</BaseURL></MPD>', "playlist in XML"),
            (f'<svg xmlns:x="l"><image x:href="file://{secret}"/><image x:href="{url}/a.png"/></svg>', "drawing"),
            (f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><x>&e;</x>', "XML"),
            ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video 9 RTP/AVP 96\r\n", "SDP"),
            (f"[InternetShortcut]\nURL={url}/a.mp4\n", "shortcut"),
            (f"{url}/a.mp4\n", "address"),
            ("PK\x03\x04rest", "archive"),
            ("%PDF-1.7", "document"),
            ("just some words", "bytes that begin 6a 75"),
        ):
            (tmp_path / name).write_text(text)
            with pytest.raises(error_class("VALIDATION_FAILED")) as caught:
                probe(tmp_path / name)
            assert came in caught.value.message and "expected a picture" in caught.value.message
            assert SECRET not in str(caught.value)
        assert server.requests == []


def test_a_playlist_behind_the_bytes_of_a_film_reaches_nothing(tmp_path: Path, secret: Path) -> None:
    with fake_server() as server:
        lines = f"\n#EXTM3U\n#EXTINF:9,\n{server.url}/a.ts\nfile://{secret}\n".encode()
        for head in (
            b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
            b"\x1a\x45\xdf\xa3",
            b"RIFF\x99\0\0\0AVI ",
            b"ID3\4\0\0\0\0\0\0",
        ):
            (tmp_path / "x.mp4").write_bytes(head + lines * 20)
            with pytest.raises(error_class("VALIDATION_FAILED")):
                probe(tmp_path / "x.mp4")
        assert server.requests == []


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    plain = tmp_path / "p.png"
    plain.write_bytes(encoded(corners(), ".png"))
    (tmp_path / "link.png").symlink_to(plain)
    os.mkfifo(tmp_path / "pipe.png")
    for path, came in (
        (tmp_path / "link.png", "a link"), (tmp_path / "pipe.png", "a pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device"),
    ):  # fmt: skip
        with pytest.raises(error_class("VALIDATION_FAILED"), match=f"got {came}, expected a regular file"):
            probe(path)
    with pytest.raises(error_class("NOT_FOUND")):
        probe(tmp_path / "none.png")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(error_class("VALIDATION_FAILED"), match="got 0 bytes"):
        probe(tmp_path / "empty.mp4")


def test_a_size_that_no_memory_holds_is_refused_by_its_header(tmp_path: Path) -> None:
    wide = bytearray(encoded(corners()))
    at = wide.find(b"\xff\xc0")
    wide[at + 5 : at + 9] = struct.pack(">HH", 65_000, 65_000)
    riff = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff" * 2
    many = bytearray(gif(tmp_path / "g.gif", [corners()]).read_bytes())
    many[6:10] = struct.pack("<HH", 65_000, 65_000)
    for name, data in {
        "a.png": png_header(100_000, 100_000),
        "b.jpg": bytes(wide),
        "c.webp": b"RIFF"
        + struct.pack("<I", len(riff) + 4)
        + b"WEBP"
        + riff
        + b"VP8 "
        + struct.pack("<I", 4)
        + bytes(4),
        "d.gif": bytes(many),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ChimeraError) as caught:
            probe(tmp_path / name)
        assert caught.value.code in {"FILE_TOO_LARGE", "VALIDATION_FAILED"} and len(data) < 10_000
    with pytest.raises(error_class("FILE_TOO_LARGE"), match="100,000 x 100,000 pixels, expected at most 64,000,000"):
        probe(tmp_path / "a.png")


def test_a_picture_of_one_pixel_cannot_be_used(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg"):
        (tmp_path / f"p{suffix}").write_bytes(encoded(np.zeros((1, 1, 3), np.uint8), suffix))
        with pytest.raises(error_class("VALIDATION_FAILED"), match="got a picture of 1 x 1 pixels, expected 64 pixels"):
            prepare_picture(tmp_path / f"p{suffix}", size=(90, 160), out=tmp_path / "o.png")
    assert not (tmp_path / "o.png").exists()


def test_texts_profiles_and_frames_that_explode_are_left_out(tmp_path: Path) -> None:
    plain = encoded(corners(), ".png")
    bomb = zlib.compress(bytes(60_000_000), 9)
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", n, 240, 160, 0, 0, 1, 10, 0, 0)) for n in range(20_000)
    )  # fmt: skip
    for name, extra in {
        "text": chunk(b"zTXt", b"Note\0\0" + bomb),
        "itxt": chunk(b"iTXt", b"Note\0\1\0\0\0" + bomb),
        "profile": chunk(b"iCCP", b"p\0\0" + bomb),
        "frames": chunk(b"acTL", struct.pack(">II", 1_000_000, 0)) + frames,
    }.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(into_png(plain, extra))
        facts = probe(path)
        assert (facts.width, facts.height, facts.animated) == (240, 160, name == "frames")


def test_a_gif_of_very_many_frames_is_read_no_further_than_needed(tmp_path: Path) -> None:
    source = gif(tmp_path / "g.gif", [np.zeros((96, 96, 3), np.uint8)] * 2).read_bytes()
    frame = source[source.find(b"\x21\xf9", source.find(b"\x21\xf9") + 1) : -1]
    path = tmp_path / "many.gif"
    path.write_bytes(source[:-1] + frame * (2_000_000 // len(frame)) + b";")
    assert probe(path).animated


def test_broken_files_are_one_clear_error_and_leave_nothing(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", "-f", "lavfi", "-i", "testsrc2=s=128x96:d=1", "-movflags", "+faststart")
    sound = np.random.default_rng(3)
    picture = sound.integers(0, 255, (200, 200, 3), dtype=np.uint8)
    whole = {"a.jpg": encoded(picture), "b.png": encoded(picture, ".png"), "c.mp4": clip.read_bytes()}
    for name, data in whole.items():
        path = tmp_path / f"cut-{name}"
        path.write_bytes(data[: len(data) // 2 if name != "c.mp4" else 1200])
        with pytest.raises(error_class("VALIDATION_FAILED")) as caught:
            if name == "c.mp4":
                prepare_footage(path, size=(96, 96), fps=25, seconds=0.5, out=tmp_path / "o.mp4")
            else:
                prepare_picture(path, size=(96, 96), out=tmp_path / "o.png")
        assert "expected" in caught.value.message and "\n" not in caught.value.message
    assert {p.name for p in tmp_path.iterdir()} == {"clip.mp4", "cut-a.jpg", "cut-b.png", "cut-c.mp4"}


def test_a_length_is_what_the_file_holds_not_what_it_claims(tmp_path: Path) -> None:
    clip = film(tmp_path / "c.mkv", "-f", "lavfi", "-i", "testsrc2=s=128x96:d=1:r=10", "-c:v", "libx264")
    data = bytearray(clip.read_bytes())
    at = data.find(b"\x44\x89\x88")
    data[at + 3 : at + 11] = struct.pack(">d", 3_600_000.0)
    clip.write_bytes(data)
    assert probe(clip).seconds == pytest.approx(1.0, abs=0.15)


def test_three_hours_are_too_long_and_too_many_bytes_too_large(tmp_path: Path) -> None:
    long = film(
        tmp_path / "long.mkv",
        "-f",
        "lavfi",
        "-i",
        "color=s=64x64:r=1/60:d=10800",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
    )
    with pytest.raises(error_class("VIDEO_TOO_LONG"), match=r"got 3\.0 hours, expected at most 2"):
        probe(long)
    for name, head, size in (
        ("p.png", encoded(corners(), ".png"), 100_000_001),
        ("f.mkv", long.read_bytes(), 4_000_000_001),
    ):
        path = tmp_path / name
        path.write_bytes(head)
        os.truncate(path, size)  # sparse: it takes no room
        with pytest.raises(error_class("FILE_TOO_LARGE"), match=f"got {size:,} bytes"):
            probe(path)


def test_codecs_and_streams_that_nobody_needs_are_refused(tmp_path: Path) -> None:
    odd = film(tmp_path / "odd.avi", "-f", "lavfi", "-i", "testsrc2=s=128x96:d=0.4", "-c:v", "zmbv")
    with pytest.raises(error_class("VALIDATION_FAILED"), match="encoded as 'zmbv', expected a common codec"):
        probe(odd)
    tones = [part for _ in range(33) for part in ("-map", "0:a")]
    many = film(tmp_path / "many.mka", "-f", "lavfi", "-i", "sine=d=0.1", *tones, "-c:a", "pcm_s16le")
    with pytest.raises(error_class("VALIDATION_FAILED"), match="33 streams, expected at most 32"):
        probe(many)
