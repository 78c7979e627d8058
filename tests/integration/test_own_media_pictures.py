"""People's own pictures: upright, in sRGB, opaque, cut to what they show, and without a word of metadata."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skia

from chimera.errors import error_class
from chimera.media.own.crop import smart_crop
from chimera.media.own.decode import load
from chimera.media.own.hashing import ALIKE, hash_of
from chimera.media.own.picture import distance, perceptual_hash, prepare_picture
from chimera.media.own.probe import probe
from tests.fakes.heic import tiled_heic
from tests.fakes.own_media import chunk, corners, encoded, film, gif, into_png, scene, stored, with_exif

RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)


def written(path: Path) -> Any:
    return cv2.imread(str(path))


def upright_quarters(picture: Any) -> bool:
    spots = [picture[40, 60], picture[40, 180], picture[120, 60], picture[120, 180]]
    pairs = zip(spots, (RED, GREEN, BLUE, WHITE), strict=True)
    return all(np.abs(spot[:3].astype(int) - colour).max() < 12 for spot, colour in pairs)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    source = tmp_path / "p.jpg"
    source.write_bytes(with_exif(encoded(stored(corners(), orientation)), orientation))
    pixels, _ = load(source, "jpeg")
    assert pixels.shape == (160, 240, 4) and upright_quarters(pixels)


def test_a_phones_picture_comes_out_upright(tmp_path: Path) -> None:
    source = tmp_path / "p.jpg"
    source.write_bytes(with_exif(encoded(stored(corners(), 6)), 6))
    made = prepare_picture(source, size=(240, 160), out=tmp_path / "o.png")
    assert (made.source_width, made.source_height) == (240, 160) and upright_quarters(written(made.path))


def test_nothing_of_the_metadata_is_written(tmp_path: Path) -> None:
    jpeg, png = tmp_path / "p.jpg", tmp_path / "p.png"
    jpeg.write_bytes(with_exif(encoded(corners()), 1, b"SECRET-GPS"))
    png.write_bytes(into_png(encoded(corners(), ".png"), chunk(b"tEXt", b"Place\0SECRET-GPS")))
    for source, suffix in ((jpeg, ".png"), (png, ".jpg")):
        assert b"SECRET-GPS" in source.read_bytes()
        out = prepare_picture(source, size=(120, 80), out=tmp_path / f"o{suffix}").path.read_bytes()
        assert b"SECRET" not in out and b"Exif" not in out and b"tEXt" not in out and b"ICC" not in out


def display_p3_png() -> bytes:
    p3 = skia.ColorSpace.MakeRGB(skia.cms.TransferFunction.kSRGB, skia.cms.Matrix3x3.kDisplayP3)
    info = skia.ImageInfo.Make(96, 96, skia.kRGBA_8888_ColorType, skia.kOpaque_AlphaType, p3)
    pixels = np.full((96, 96, 4), (200, 100, 60, 255), np.uint8)
    return bytes(skia.Image.MakeRasterCopy(skia.Pixmap(info, pixels, 96 * 4)).encodeToData())


def test_colours_of_a_profile_become_srgb(tmp_path: Path) -> None:
    source = tmp_path / "p.png"
    source.write_bytes(display_p3_png())
    assert b"iCCP" in source.read_bytes()
    got = written(prepare_picture(source, size=(96, 96), out=tmp_path / "o.png").path)[48, 48][::-1]

    def linear(v: Any) -> Any:
        return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)

    # Display P3 to sRGB, both D65 (W3C CSS Color 4)
    matrix = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
    light = np.clip(matrix @ linear(np.array([200, 100, 60]) / 255), 0, 1)
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(got - expected).max() <= 3
    assert np.abs(got - np.array([200, 100, 60])).max() > 8


def test_transparency_lies_on_white_and_a_light_logo_on_dark(tmp_path: Path) -> None:
    for colour, asked, background in (
        (20, None, [255] * 3),
        (250, None, [20] * 3),
        (250, "#102030", [0x30, 0x20, 0x10]),
    ):
        logo = np.zeros((100, 100, 4), np.uint8)
        logo[30:70, 30:70] = (colour, colour, colour, 255)
        (tmp_path / "l.png").write_bytes(encoded(logo, ".png"))
        made = prepare_picture(tmp_path / "l.png", size=(100, 100), out=tmp_path / "o.png", background=asked)
        picture = written(made.path)
        assert picture[5, 5].tolist() == background
        assert abs(int(picture[50, 50, 0]) - colour) <= 1


def test_of_an_animation_the_first_frame_that_shows_something_is_taken(tmp_path: Path) -> None:
    source = gif(tmp_path / "a.gif", [np.zeros((96, 128, 3), np.uint8)] * 3 + [scene(128, 96, (0.5, 0.4))] * 3)
    facts = probe(source)
    assert (facts.kind, facts.container, facts.animated) == ("picture", "gif", True)
    made = prepare_picture(source, size=(128, 96), out=tmp_path / "o.png")
    assert made.animated and written(made.path).std() > 10
    assert not probe(gif(tmp_path / "s.gif", [scene(128, 96, (0.5, 0.4))])).animated


def test_avif_and_webp_are_pictures(tmp_path: Path) -> None:
    source = tmp_path / "p.png"
    source.write_bytes(encoded(corners(), ".png"))
    for name in ("p.avif", "p.webp"):
        coder = ("-c:v", "libsvtav1", "-preset", "12") if name == "p.avif" else ("-c:v", "libwebp", "-lossless", "1")
        made = film(tmp_path / name, "-i", str(source), "-frames:v", "1", *coder)
        facts = probe(made)
        assert (facts.kind, facts.width, facts.height) == ("picture", 240, 160)
        picture = written(prepare_picture(made, size=(240, 160), out=tmp_path / "o.png").path)
        assert np.abs(picture[40, 60].astype(int) - RED).max() < 30


def test_a_phones_heic_is_put_together_from_its_tiles_upright_and_in_its_colours(tmp_path: Path) -> None:
    turned = np.ascontiguousarray(np.rot90(corners(500, 360), -1))
    source = tiled_heic(tmp_path / "p.heic", turned, turns=1)  # 48 tiles and a small picture
    facts = probe(source)
    assert (facts.kind, facts.container, facts.width, facts.height) == ("picture", "heif", 500, 360)
    picture = written(prepare_picture(source, size=(500, 360), out=tmp_path / "o.png").path)
    assert upright_quarters(cv2.resize(picture, (240, 160)))

    png = display_p3_png()
    at = png.index(b"iCCP")
    body = png[at + 4 : at + 4 + int.from_bytes(png[at - 4 : at], "big")]
    flat = np.full((96, 96, 3), (60, 100, 200), np.uint8)
    wide = tiled_heic(tmp_path / "w.heic", flat, icc=zlib.decompress(body[body.index(b"\0") + 2 :]))
    (tmp_path / "p3.png").write_bytes(png)
    ours, same = (
        written(prepare_picture(p, size=(96, 96), out=tmp_path / "o.png").path) for p in (wide, tmp_path / "p3.png")
    )
    assert np.abs(ours[48, 48].astype(int) - same[48, 48]).max() <= 4


def test_a_heic_that_breaks_off_or_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    whole = tiled_heic(tmp_path / "p.heic", corners(128, 128)).read_bytes()
    (tmp_path / "cut.heic").write_bytes(whole[: whole.index(b"mdat") + 40])
    small = tiled_heic(tmp_path / "lies.heic", corners(128, 128), says=(640, 640))
    large = tiled_heic(tmp_path / "huge.heic", corners(128, 128), says=(60_000, 60_000))
    for source, code in (
        (tmp_path / "cut.heic", "VALIDATION_FAILED"),
        (small, "VALIDATION_FAILED"),
        (large, "FILE_TOO_LARGE"),
    ):
        with pytest.raises(error_class(code)):
            prepare_picture(source, size=(120, 120), out=tmp_path / "out" / "o.png")
        assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("size", [(540, 960), (500, 500)])
@pytest.mark.parametrize("x", [0.08, 0.3, 0.72, 0.93])
def test_a_subject_off_the_middle_stays_in_the_picture(x: float, size: tuple[int, int]) -> None:
    picture = scene(1600, 900, (x, 0.35))
    box = smart_crop(picture, size)
    radius = 0.12 * 900
    assert box.x <= max(x * 1600 - radius, 0) + 4
    assert box.x + box.width >= min(x * 1600 + radius, 1600) - 4
    assert abs(box.width / box.height - size[0] / size[1]) < 0.01


@pytest.mark.parametrize("y", [0.12, 0.75])
def test_a_subject_at_the_top_or_bottom_of_a_tall_picture_stays_too(y: float) -> None:
    picture = scene(900, 1600, (0.5, y), radius=0.08)
    box = smart_crop(picture, (1600, 900))
    assert box.y <= (y * 1600 - 72) + 4 and box.y + box.height >= min(y * 1600 + 72, 1600) - 4


def test_a_panorama_is_cut_to_its_subject(tmp_path: Path) -> None:
    source = tmp_path / "wide.jpg"
    source.write_bytes(encoded(scene(20_000, 400, (0.81, 0.4), radius=0.2)))
    made = prepare_picture(source, size=(180, 320), out=tmp_path / "o.png")
    assert made.crop.x < 0.81 * 20_000 < made.crop.x + made.crop.width
    assert (made.source_width, made.crop.height) == (20_000, 400)


def test_the_same_file_gives_the_same_bytes_and_any_name_will_do(tmp_path: Path) -> None:
    outs = []
    for name in ("plain.jpg", "-i\nfile:passwd 'und' \"mehr\" %d ; $(x) фото 日本 🎞.mp4"):
        source = tmp_path / name
        source.write_bytes(encoded(scene(640, 480, (0.3, 0.4))))
        outs.append(prepare_picture(source, size=(200, 200), out=tmp_path / f"{name}.png").path.read_bytes())
    assert len(set(outs)) == 1


def test_a_hash_knows_a_picture_again_and_tells_others_apart(tmp_path: Path) -> None:
    picture = scene(800, 600, (0.3, 0.4))
    small = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)
    brighter = np.clip(picture.astype(int) + 18, 0, 255).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(encoded(picture, ".png"))
    (tmp_path / "b.jpg").write_bytes(encoded(small))
    first = perceptual_hash(tmp_path / "a.png")
    assert first == hash_of(picture)
    assert distance(first, perceptual_hash(tmp_path / "b.jpg")) <= ALIKE
    assert distance(first, hash_of(brighter)) <= ALIKE
    others = [
        hash_of(scene(800, 600, spot, seed=seed)) for seed, spot in enumerate([(0.7, 0.5), (0.5, 0.2), (0.15, 0.7)])
    ]
    assert min(distance(first, other) for other in others) > ALIKE
    assert hash_of(np.zeros((90, 90, 3), np.uint8)) == hash_of(np.full((90, 90, 3), 200, np.uint8))


def test_footage_is_no_picture_and_a_wrong_wish_is_named(tmp_path: Path) -> None:
    clip = film(tmp_path / "f.mp4", "-f", "lavfi", "-i", "testsrc2=s=128x96:d=0.4")
    with pytest.raises(error_class("VALIDATION_FAILED"), match="got footage, expected a picture"):
        prepare_picture(clip, size=(90, 90), out=tmp_path / "o.png")
    assert not (tmp_path / "o.png").exists()
    with pytest.raises(error_class("VALIDATION_FAILED"), match=r"expected \.png or \.jpg"):
        prepare_picture(clip, size=(90, 90), out=tmp_path / "o.webp")
    with pytest.raises(error_class("VALIDATION_FAILED"), match="expected 16 to 8192"):
        prepare_picture(clip, size=(9, 90), out=tmp_path / "o.png")
    assert 0 <= perceptual_hash(clip) < 2**64
