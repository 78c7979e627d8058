"""People's own footage: its best stretch, upright, cut to what happens in it, at a constant rate and without sound."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from chimera.errors import error_class
from chimera.media.own.footage import prepare_footage
from chimera.media.own.probe import probe
from tests.fakes.own_media import encoded, film, scene

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def lavfi(out: Path, *sources: str, graph: str = "", more: tuple[str, ...] = ()) -> Path:
    inputs = [part for source in sources for part in ("-f", "lavfi", "-i", source)]
    filters = ["-filter_complex", graph] if graph else []
    return film(out, *inputs, *filters, *H264, *more)


def frames_of(path: Path) -> tuple[list[Any], Any]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [(frame.pts, frame.to_ndarray(format="bgr24")) for frame in container.decode(stream)]
        return pictures, (len(container.streams), stream.codec_context.pix_fmt, container.metadata)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of black, two of blur, three that are good, two frozen."""
    return lavfi(
        tmp_path_factory.mktemp("own") / "uneven.mp4",
        "color=black:s=320x180:d=2:r=25", "testsrc2=s=320x180:d=2:r=25,gblur=12", "testsrc2=s=320x180:d=3:r=25",
        "smptebars=s=320x180:d=2:r=25", "sine=d=9",
        graph="[0][1][2][3]concat=n=4:v=1", more=("-metadata", "location=SECRET-GPS", "-metadata", "title=SECRET"),
    )  # fmt: skip


def test_the_best_stretch_is_taken_never_black_blurred_or_frozen(uneven: Path, tmp_path: Path) -> None:
    made = prepare_footage(uneven, size=(160, 90), fps=30, seconds=2.5, out=tmp_path / "o.mp4")
    assert 4.0 <= made.start <= 4.5 and made.flaws == () and made.score > 0.5
    assert (made.frames, made.seconds) == (75, 2.5)
    pictures, (streams, pixels, metadata) = frames_of(made.path)
    assert (len(pictures), streams, pixels) == (75, 1, "yuv420p")
    steps = {b[0] - a[0] for a, b in pairwise(pictures)}
    assert len(steps) == 1
    assert min(picture.std() for _, picture in pictures) > 20
    assert "SECRET" not in str(metadata) and b"SECRET" in uneven.read_bytes()
    assert b"SECRET" not in made.path.read_bytes()


def test_a_start_that_is_named_is_kept_and_its_flaws_are_said(uneven: Path, tmp_path: Path) -> None:
    made = prepare_footage(uneven, size=(90, 160), fps=24, start=7.2, seconds=30, out=tmp_path / "o.mp4")
    assert (made.start, made.flaws) == (7.2, ("frozen",))
    assert made.seconds == pytest.approx(1.8, abs=0.05)
    with pytest.raises(error_class("VALIDATION_FAILED"), match=r"start: got 9\.5 s, expected .* less than the 9"):
        prepare_footage(uneven, size=(90, 160), fps=24, start=9.5, seconds=1, out=tmp_path / "p.mp4")
    assert not (tmp_path / "p.mp4").exists()


def test_the_same_file_gives_the_same_bytes_under_any_name(uneven: Path, tmp_path: Path) -> None:
    outs = []
    for name in ("-f lavfi.mp4", "neue\nZeile 'q' %03d 日本.gif"):
        source = tmp_path / name
        source.write_bytes(uneven.read_bytes())
        made = prepare_footage(source, size=(160, 90), fps=25, seconds=0.4, start=5, out=tmp_path / f"{name}.mp4")
        outs.append(made.path.read_bytes())
    assert outs[0] == outs[1]


def test_in_a_long_film_the_one_good_stretch_is_found(tmp_path: Path) -> None:
    long = lavfi(
        tmp_path / "long.mp4", "color=gray:s=128x72:d=60:r=5", "testsrc2=s=128x72:d=12:r=5", "color=black:s=128x72:d=48:r=5",
        graph="[0][1][2]concat=n=3:v=1", more=("-g", "10"),
    )  # fmt: skip
    made = prepare_footage(long, size=(128, 72), fps=24, seconds=3, out=tmp_path / "o.mp4")
    assert 60 <= made.start <= 69 and made.flaws == ()


def test_footage_held_upright_is_shown_upright(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    marked = np.full((180, 320, 3), 60, np.uint8)
    marked[:60, :60] = (0, 0, 255)  # the corner that a quarter turn moves
    picture.write_bytes(encoded(marked, ".png"))
    flat = film(tmp_path / "flat.mp4", "-loop", "1", "-i", str(picture), "-t", "0.6", *H264)
    turned = film(tmp_path / "turned.mp4", "-display_rotation:v:0", "90", "-i", str(flat), "-c", "copy")
    facts = probe(turned)
    assert (facts.width, facts.height) == (180, 320) and facts.rotation in {90, 270}
    made = prepare_footage(turned, size=(90, 160), fps=25, seconds=0.4, start=0, out=tmp_path / "o.mp4")
    first = frames_of(made.path)[0][0][1]
    assert first[150, 10, 2] > 180 and first[150, 10, 0] < 90  # turned by 90 against the clock: bottom left
    assert first[10, 10, 2] < 120


def test_the_crop_follows_what_happens(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    picture.write_bytes(encoded(scene(640, 360, (0.82, 0.4)), ".png"))
    still = film(tmp_path / "s.mp4", "-loop", "1", "-r", "10", "-i", str(picture), "-t", "1", *H264)
    made = prepare_footage(still, size=(90, 160), fps=25, seconds=0.8, out=tmp_path / "o.mp4")
    assert made.crop.x <= 0.82 * 640 - 43 and made.crop.x + made.crop.width >= 0.82 * 640 + 43
    moving = lavfi(
        tmp_path / "m.mp4", "color=0x607060:s=640x360:d=2:r=10", "color=0x9090a0:s=60x60:d=2:r=10",
        graph="[0][1]overlay=x=60+30*sin(8*t):y=150",
    )  # fmt: skip
    box = prepare_footage(moving, size=(90, 160), fps=25, seconds=1.5, out=tmp_path / "m_o.mp4").crop
    assert box.x <= 40 and box.x + box.width < 320


def test_squeezed_pixels_hdr_and_a_changing_rate_come_out_as_frames_should_be(tmp_path: Path) -> None:
    squeezed = lavfi(tmp_path / "s.mp4", "testsrc2=s=180x144:d=0.6:r=25,setsar=16/9")
    facts = probe(squeezed)
    assert (facts.width, facts.height, facts.anamorphic) == (320, 144, True)
    made = prepare_footage(squeezed, size=(320, 144), fps=25, seconds=0.4, out=tmp_path / "o.mp4")
    assert (made.crop.width, made.upscale) == (320, 1.0)
    hdr = film(
        tmp_path / "h.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x180:d=0.5:r=25", "-c:v", "libx265", "-preset", "ultrafast",
        "-x265-params", "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc", "-pix_fmt", "yuv420p10le",
    )  # fmt: skip
    assert probe(hdr).hdr
    toned = prepare_footage(hdr, size=(160, 90), fps=25, seconds=0.4, out=tmp_path / "h_o.mp4")
    assert toned.tone_mapped and frames_of(toned.path)[1][1] == "yuv420p"
    assert 20 < np.mean([picture.mean() for _, picture in frames_of(toned.path)[0]]) < 230
    jumpy = lavfi(
        tmp_path / "v.mkv", "testsrc2=s=160x90:d=2:r=30,select='lt(n,15)+not(mod(n,7))'", more=("-fps_mode", "vfr")
    )
    steady = prepare_footage(jumpy, size=(160, 90), fps=30, seconds=1.5, start=0, out=tmp_path / "v_o.mp4")
    times = [pts for pts, _ in frames_of(steady.path)[0]]
    assert len(times) == 45 and len({b - a for a, b in pairwise(times)}) == 1


def test_colours_of_plain_footage_stay_what_they_were(tmp_path: Path) -> None:
    for size in ("320x180", "1280x720"):  # BT.601 and BT.709 where the file does not say
        source = lavfi(tmp_path / "c.mp4", f"color=0x3060c0:s={size}:d=0.3:r=25,format=rgb24",
                       more=("-vf", "scale=out_color_matrix=" + ("bt601" if size == "320x180" else "bt709")))  # fmt: skip
        made = prepare_footage(source, size=(160, 90), fps=25, seconds=0.2, start=0, out=tmp_path / "c_o.mp4")
        with av.open(str(made.path)) as container:
            frame = next(container.decode(video=0))
            colour = frame.to_ndarray(format="yuv420p")
        y, u, v = (float(part.mean()) for part in np.split(colour.reshape(-1), [160 * 90, 160 * 90 * 5 // 4]))
        red = 1.1644 * (y - 16) + 1.7927 * (v - 128)
        blue = 1.1644 * (y - 16) + 2.1124 * (u - 128)
        assert abs(red - 0x30) < 6 and abs(blue - 0xC0) < 6


def test_footage_that_shows_nothing_and_wrong_wishes_are_refused(tmp_path: Path) -> None:
    black = lavfi(tmp_path / "b.mp4", "color=black:s=160x90:d=1")
    with pytest.raises(error_class("VALIDATION_FAILED"), match="black throughout"):
        prepare_footage(black, size=(160, 90), fps=25, seconds=0.5, out=tmp_path / "o.mp4")
    tone = film(tmp_path / "t.wav", "-f", "lavfi", "-i", "sine=d=0.5")
    assert (probe(tone).kind, probe(tone).has_sound, probe(tone).width) == ("sound", True, None)
    with pytest.raises(error_class("VALIDATION_FAILED"), match="got sound, expected footage"):
        prepare_footage(tone, size=(160, 90), fps=25, seconds=0.5, out=tmp_path / "o.mp4")
    for wish in ({"size": (161, 90)}, {"fps": 0}, {"seconds": 0.0}, {"seconds": 3601.0}):
        given: dict[str, Any] = {"size": (160, 90), "fps": 25, "seconds": 0.5, **wish}
        with pytest.raises(error_class("VALIDATION_FAILED"), match="expected"):
            prepare_footage(black, out=tmp_path / "o.mp4", **given)
    assert not (tmp_path / "o.mp4").exists()
    assert not list(tmp_path.glob(".footage-*"))
