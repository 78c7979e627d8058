"""A picture or footage that does not fill the frame: set into a window with soft corners and a shadow, on a ground."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import ffmpeg
import numpy as np
import skia

from chimera.errors import ChimeraError
from chimera.media.layers import Area
from chimera.media.layout import OVERSIZE, layout_for
from chimera.media.process import command, full_disk_reported, run

_SHADOW = 0.42
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Box:
    """A window in pixels of a picture, all of it even, and the radius of its corners."""

    x: int
    y: int
    width: int
    height: int
    corner: float


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """How large a still is made for a frame: with the margin that motion needs, even."""
    return round(size[0] * OVERSIZE / 2) * 2, round(size[1] * OVERSIZE / 2) * 2


def window_box(area: Area, corner: float, size: tuple[int, int], *, margin: bool) -> Box:
    """The window (reference pixels) in a frame of `size`, or with `margin` in the larger still around that frame."""
    layout = layout_for(size)
    scale = size[0] / layout.width
    left, top = (((p - s) / 2) for p, s in zip(picture_size(size), size, strict=True)) if margin else (0.0, 0.0)
    x, y = max(area.x, 0.0), max(area.y, 0.0)
    width, height = min(area.x + area.width, layout.width) - x, min(area.y + area.height, layout.height) - y
    if width * scale < 16 or height * scale < 16:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"window: got {area.width:g}x{area.height:g} at ({area.x:g}, {area.y:g}), expected a part of the frame",
        )
    from_left, from_top = left + x * scale, top + y * scale
    to_right, to_bottom = from_left + width * scale, from_top + height * scale
    if margin and not corner:  # what reaches the frame's edge goes on to the still's, so that no rounding shows a seam
        whole = picture_size(size)
        from_left, from_top = from_left if x > 0 else 0.0, from_top if y > 0 else 0.0
        to_right = to_right if x + width < layout.width - 1 else whole[0]
        to_bottom = to_bottom if y + height < layout.height - 1 else whole[1]
    return Box(
        x=_even(from_left), y=_even(from_top), width=_even(to_right - from_left), height=_even(to_bottom - from_top),
        corner=min(corner * scale, width * scale / 2, height * scale / 2),
    )  # fmt: skip


def _even(value: float) -> int:
    return max(round(value / 2) * 2, 0)


def set_into(ground: Path, picture: Path, box: Box, out: Path) -> Path:
    """`picture` (of the box's size) in its window on `ground`, as a PNG."""
    base = _read(ground)
    canvas_pixels = np.ascontiguousarray(cv2.cvtColor(base, cv2.COLOR_BGR2BGRA))
    inside = np.ascontiguousarray(cv2.cvtColor(_read(picture), cv2.COLOR_BGR2BGRA))
    surface = skia.Surface(canvas_pixels, colorType=skia.ColorType.kBGRA_8888_ColorType)
    canvas = surface.getCanvas()
    shape = _shape(box)
    _shadow(canvas, shape, box)
    canvas.save()
    canvas.clipRRect(shape, doAntiAlias=True)
    image = skia.Image.fromarray(inside, colorType=skia.ColorType.kBGRA_8888_ColorType)
    canvas.drawImageRect(image, skia.Rect.MakeXYWH(box.x, box.y, box.width, box.height))
    canvas.restore()
    surface.flushAndSubmit()
    _write(out, canvas_pixels[:, :, :3])
    return out


def footage_into(ground: Path, footage: Path, box: Box, *, size: tuple[int, int], fps: int, out: Path) -> Path:
    """`footage` (of the box's size) in its window, in a frame of `size`: the ground is laid over it with a hole."""
    base = _read(ground)
    top, left = (base.shape[0] - size[1]) // 2, (base.shape[1] - size[0]) // 2
    pixels = np.ascontiguousarray(cv2.cvtColor(base[top : top + size[1], left : left + size[0]], cv2.COLOR_BGR2BGRA))
    surface = skia.Surface(pixels, colorType=skia.ColorType.kBGRA_8888_ColorType)
    canvas, shape = surface.getCanvas(), _shape(box)
    _shadow(canvas, shape, box)
    canvas.drawRRect(shape, skia.Paint(AntiAlias=True, BlendMode=skia.BlendMode.kClear))
    surface.flushAndSubmit()
    overlay = out.with_name(f".{out.stem}-ground.png")
    try:
        _write(overlay, _straight(np.asarray(pixels, dtype=np.uint8)))
        over = ffmpeg.input(str(overlay)).filter("scale", out_color_matrix="bt709", out_range="tv")
        moving = ffmpeg.input(str(footage)).filter("pad", size[0], size[1], box.x, box.y)
        laid = ffmpeg.filter([moving, over.filter("format", "yuva444p")], "overlay", 0, 0, format="yuv420")
        stream = laid.output(
            str(out), vcodec="libx264", preset="ultrafast", crf=12, g=15, bf=0, r=fps, pix_fmt="yuv420p",
            color_primaries="bt709", color_trc="bt709", colorspace="bt709", color_range="tv", map_metadata=-1, an=None,
        )  # fmt: skip
        with full_disk_reported("footage in a window"):
            run(command(stream))
    finally:
        overlay.unlink(missing_ok=True)
    return out


def plain_ground(colour: str, size: tuple[int, int], out: Path) -> Path:
    """A ground of one colour, of the size of a still for that frame."""
    width, height = picture_size(size)
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    _write(out, np.full((height, width, 3), (blue, green, red), np.uint8))
    return out


def _shape(box: Box) -> Any:
    return skia.RRect.MakeRectXY(skia.Rect.MakeXYWH(box.x, box.y, box.width, box.height), box.corner, box.corner)


def _shadow(canvas: Any, shape: Any, box: Box) -> None:
    soft = 0.03 * min(box.width, box.height)
    paint = skia.Paint(AntiAlias=True, Color=skia.ColorSetARGB(round(255 * _SHADOW), 0, 0, 0))
    paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, max(soft, 1.0)))
    canvas.save()
    canvas.translate(0, soft * 0.8)
    canvas.drawRRect(shape, paint)
    canvas.restore()


def _straight(pixels: Pixels) -> Pixels:
    """Undoes the premultiplication, which PNG does not have."""
    alpha = pixels[:, :, 3:].astype(np.float32)
    colour = np.where(alpha > 0, pixels[:, :, :3] * 255.0 / np.maximum(alpha, 1.0), 0.0)
    return np.concatenate([np.clip(colour, 0, 255), alpha], axis=2).astype(np.uint8)


def _read(path: Path) -> Pixels:
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ChimeraError(
            "VALIDATION_FAILED", f"{path.name[:80]}: got bytes that are no picture, expected PNG or JPEG"
        )
    return np.asarray(picture, dtype=np.uint8)


def _write(path: Path, pixels: Any) -> None:
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ChimeraError("INTERNAL", "the picture could not be encoded as PNG")
    with full_disk_reported("a picture"):
        path.write_bytes(data.tobytes())
