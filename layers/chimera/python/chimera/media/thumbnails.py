"""A video's thumbnails in two variants, and its poster: what a person sees before anything plays.

A: the opening as it stands, without captions. B: the strongest other moment (a scene with a figure, else the one whose
picture has most contrast) with the title large on plates in the template's display type. YouTube takes at most 2 MB and
asks for 1280x720 in 16:9 (YouTube Help, "Add video thumbnails"); other shapes keep the video's own size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from chimera.media import encode
from chimera.media.cards import Pixels, bgr_of, lettered, settled, stays, write_jpeg
from chimera.media.composing import Stage
from chimera.media.layers import Area, Layer, TextLayer
from chimera.media.plan import Plan
from chimera.media.safe_areas import regions
from chimera.media.timeline import Clip
from chimera.media.type.text import measure
from chimera.media.typeset import typeset

MAX_BYTES = 2_000_000
WIDE = (1280, 720)
_AT = 1.6  # seconds into a scene, or less in a short one
_SIZE = {"9:16": 132, "16:9": 128, "1:1": 108}
_KEPT = frozenset({"number", "chart"})


@dataclass(frozen=True)
class Thumbnails:
    """Where they are: variants A and B, and the poster (half of the video's height)."""

    a: Path
    b: Path
    poster: Path


def make_thumbnails(plan: Plan, scratch: Path, fonts: Path, work_dir: Path) -> Thumbnails:
    """Writes `thumbnail.jpg`, `thumbnail-b.jpg` and `poster.jpg` into `work_dir`."""
    clips, stage = plan.timeline.clips, Stage(plan.timeline)
    made = Thumbnails(work_dir / "thumbnail.jpg", work_dir / "thumbnail-b.jpg", work_dir / "poster.jpg")
    opening = tuple(settled(layer, clips[0], plan.page.theme) for layer in clips[0].layers if stays(layer))
    first = _drawn(plan, stage, clips[0], opening, scratch / "still-a", fonts)
    whole = write_jpeg(scratch / "opening.jpg", first)
    encode.smaller(whole, made.poster, height=plan.job.size[1] // 2 // 2 * 2)
    write_jpeg(made.a, _sized(first), most_bytes=MAX_BYTES)
    strong = strongest(plan, stage)
    second = _drawn(plan, stage, strong, _titled(plan, strong), scratch / "still-b", fonts)
    write_jpeg(made.b, _sized(second), most_bytes=MAX_BYTES)
    return made


def strongest(plan: Plan, stage: Stage) -> Clip:
    """The clip for variant B; the opening itself where there is no other scene than the closing one."""
    others = [clip for clip in plan.timeline.clips[1:] if not any(layer.kind == "sources" for layer in clip.layers)]
    if not others:
        return plan.timeline.clips[0]

    def strength(clip: Clip) -> tuple[bool, float]:
        return any(layer.kind in _KEPT for layer in clip.layers), _contrast(plan, stage, clip)

    return max(others, key=strength)


def _moment(plan: Plan, clip: Clip) -> float:
    return min(_AT, clip.seconds(plan.job.fps) * 0.6)


def _contrast(plan: Plan, stage: Stage, clip: Clip) -> float:
    """Standard deviation of the picture's luma, 0–128."""
    frame = stage.still(clip, round(_moment(plan, clip) * plan.job.fps))
    width, height = plan.job.size
    return float(frame[: width * height].reshape(height, width)[::4, ::4].std())


def _titled(plan: Plan, clip: Clip) -> tuple[Layer, ...]:
    """The title, and the scene's figure or chart where that leaves it alone."""
    aspect = plan.job.aspect
    found = regions(aspect, plan.job.platform)
    box = found["title"]
    title = TextLayer(
        text=plan.timeline.title, box=box, size=_SIZE[aspect], smallest=_SIZE[aspect] * 0.5, weight=900, lines=5,
        leading=1.36, valign="middle" if aspect == "16:9" else "bottom", plate="boxes", colour="background",
        enter="none", depth=8,
    )  # fmt: skip
    block = measure(title, plan.page.theme)
    top = box.y + box.height if block is None else block.top - block.size * 0.4
    taken = Area(x=box.x, y=top, width=box.width, height=max(box.y + box.height - top, 1))
    figures = [
        settled(layer, clip, plan.page.theme)
        for layer in clip.layers
        if layer.kind in _KEPT and stays(layer) and not _overlap(layer.box, taken)
    ]
    return (*figures, title)


def _overlap(one: Area, other: Area) -> bool:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return across > 0 and down > 0


def _drawn(plan: Plan, stage: Stage, clip: Clip, layers: tuple[Layer, ...], folder: Path, fonts: Path) -> Pixels:
    at = _moment(plan, clip)
    ground = bgr_of(stage.still(clip, round(at * plan.job.fps)), plan.job.size)
    overlay = typeset(clip.model_copy(update={"layers": layers}), (), plan.page, captions=False)
    return lettered(ground, overlay, at=at, folder=folder, fonts=fonts)


def _sized(picture: Pixels) -> Pixels:
    """A wide picture as 1280x720, unless it is smaller; any other as it is."""
    height, width = picture.shape[:2]
    if width <= WIDE[0] or width * 9 != height * 16:
        return picture
    return np.asarray(cv2.resize(picture, WIDE, interpolation=cv2.INTER_AREA), np.uint8)
