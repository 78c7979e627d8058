"""Makes cards: each scene as a still picture with its type as it stands in the end, and the words that nobody says.

A card is composed in RGB and written as a JPEG of full chroma resolution (4:4:4), so that coloured type stays sharp; JPEG
files without a profile are read as sRGB.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import ffmpeg
import numpy as np

from chimera.domain.folding import sentences
from chimera.errors import ChimeraError
from chimera.media import process
from chimera.media.composing import Stage
from chimera.media.fonts import font_file, write_fontconfig
from chimera.media.layers import Area, KineticLayer, Layer, ShapeLayer, TextLayer
from chimera.media.layout import Layout, layout_of
from chimera.media.models import RenderJob, Theme
from chimera.media.planes import OFFSET, TO_YUV, Plane, planes_of
from chimera.media.text import clean, is_rtl
from chimera.media.theme import theme_for
from chimera.media.timeline import Clip, Timeline, build
from chimera.media.type.sheet import Page
from chimera.media.type.text import measure
from chimera.media.typeset import page_of, typeset

QUALITY = 92
LOWEST_QUALITY = 60
SECONDS, AT = 14.0, 13.0
"""How long a card's scene lasts, and when it is looked at: every animation (the longest is a chart's, 8 s) has ended."""
LARGEST_WORDS, SMALLEST_WORDS = 60, 36
"""Size of the words that nobody says, reference pixels: 36 of 1080 is 13 points on a phone."""
MOST_LINES = 12
_GAP = 40.0
_PAD = 30.0
_LEAST_HEIGHT = 64.0
_DESCENT = 40.0  # what hangs below the last line of a block that fills its box
_SOURCE_SIZE = 30
_MATRIX = re.compile(r"^YCbCr Matrix:.*$", re.M)  # a script's colours are changed by it, and here nothing is YCbCr
Format = Literal["image", "carousel", "thread"]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Card:
    """A finished card. `areas`: where its type is, in pixels (x, y, width, height); `words`: what of the scene's narration
    stands on it; `dropped`: the sentences for which there was no room."""

    path: Path
    key: str
    scene: int | None
    kind: str
    words: str = ""
    dropped: tuple[str, ...] = ()
    areas: tuple[tuple[int, int, int, int], ...] = ()


def make_cards(
    job: RenderJob, folder: Path, *, format: Format, progress: Callable[[float], None] = lambda _share: None
) -> tuple[Card, ...]:
    """Writes `card-01.jpg`, … into `folder`, in the order of the job's scenes; a carousel's sources have the last card.

    Captions are never drawn: a scene's narration stands in the captions' box (`job.captions.box`), as many whole sentences
    as fit, unless its layers show them already. Raises `VALIDATION_FAILED` for pictures, fonts or a logo that cannot be
    used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layout = layout_of(job.aspect, job.platform)
    theme = job.theme or theme_for(job.seed)
    for family in (theme.display, theme.text):
        font_file(family)
    timeline = _timeline(job, format, layout)
    page = page_of(timeline, layout)
    fonts = write_fontconfig(folder / "fonts", (theme.display, theme.text))
    stage = Stage(timeline)
    signed_off = _signed_off(timeline, format)
    made = []
    for clip in timeline.clips:
        foot = _foot(job, page, layout) if clip.index == signed_off else ()
        words = _words_layers(clip, timeline.captions.box, theme, layout, foot)
        layers = (*(settled(layer, clip, theme) for layer in clip.layers if stays(layer)), *words.layers, *foot)
        shown = clip.model_copy(update={"layers": layers})
        overlay = typeset(shown, (), page)
        ground = bgr_of(stage.still(clip, round(AT * job.fps)), job.size)
        pixels = lettered(ground, overlay, at=AT, folder=folder / f"type-{clip.index}", fonts=fonts)
        path = folder / f"card-{clip.index + 1:02d}.jpg"
        write_jpeg(path, pixels)
        made.append(
            Card(
                path=path, key=clip.scene.key or f"scene-{clip.index}", kind=clip.kind,
                scene=clip.index if clip.index < len(job.scenes) else None, words=words.text, dropped=words.dropped,
                areas=_areas(layers, theme, layout, job.size),
            )
        )  # fmt: skip
        progress((clip.index + 1) / len(timeline.clips))
    shutil.rmtree(folder / "fonts", ignore_errors=True)
    return tuple(made)


def _timeline(job: RenderJob, format: Format, layout: Layout) -> Timeline:
    """Every scene silent and long enough to settle. Only a carousel is given a closing card by itself."""
    scenes = tuple(
        scene.model_copy(update={"audio": None, "words": (), "footage": None, "motion": "still", "seconds": SECONDS})
        for scene in job.scenes
    )
    sources = job.sources if format == "carousel" else ()
    still = job.model_copy(update={"scenes": scenes, "sources": sources, "music": "off", "music_file": None})
    timeline = build(still, tuple(0.0 for _ in scenes), layout)
    long = round(SECONDS * job.fps)
    clips = [
        clip.model_copy(update={"frames": long, "start_frame": number * long, "transition": "cut", "transition_frames": 0})
        for number, clip in enumerate(timeline.clips)
    ]  # fmt: skip
    return timeline.model_copy(update={"clips": tuple(clips)})


def stays(layer: Layer) -> bool:
    """Whether a layer is there at the end: one with a time to leave has left."""
    return layer.until == 0


def settled(layer: Layer, clip: Clip, theme: Theme) -> Layer:
    """A layer as it is when it has come: at once, without an entrance. Kinetic words stand all together."""
    there: dict[str, Any] = {"at": 0.0, "until": 0.0, "at_word": -1}
    if isinstance(layer, KineticLayer):
        return _whole(layer, clip, theme)
    if layer.kind in ("text", "shape", "icon"):
        there["enter"] = "none"
    if layer.kind in ("number", "chart"):
        there["seconds"] = 0.5
    return layer.model_copy(update=there)


def _whole(layer: KineticLayer, clip: Clip, theme: Theme) -> TextLayer:
    """The scene's words as one block of type, the longest word emphasised, as many whole sentences as fit."""
    said = clean(clip.scene.narration) or clean(clip.scene.on_screen_text)
    box = layer.box.model_copy(update={"height": max(layer.box.height - _DESCENT, layer.box.height * 0.8)})

    def block(text: str) -> TextLayer:
        return TextLayer(
            box=box, depth=layer.depth, opacity=layer.opacity, text=_emphasised(text), size=layer.size,
            smallest=max(layer.size * 0.3, SMALLEST_WORDS), lines=MOST_LINES, leading=1.08, weight=layer.weight,
            align=layer.align, valign="middle", colour=layer.colour, emphasis=layer.emphasis, upper=layer.upper,
            enter="none",
        )  # fmt: skip

    lines = sentences(said) or [said]
    for count in range(len(lines), 0, -1):
        layer_of = block(" ".join(lines[:count]))
        if _is_whole(layer_of, theme):
            return layer_of
    return block(lines[0])


def _emphasised(text: str) -> str:
    words = text.replace("*", "").split()
    if len(words) < 3:
        return " ".join(words)
    at = max(range(len(words)), key=lambda i: len(words[i].strip(".,;:!?\"'“”’()")))
    return " ".join(f"*{word}*" if i == at else word for i, word in enumerate(words))


@dataclass(frozen=True)
class _Words:
    layers: tuple[Layer, ...] = ()
    text: str = ""
    dropped: tuple[str, ...] = ()


def _words_layers(clip: Clip, place: Area, theme: Theme, layout: Layout, foot: Sequence[Layer]) -> _Words:
    """What nobody says, in the room that the scene's own type leaves of `place`."""
    shown = [_plain(text) for text in _texts(clip)]
    if any(layer.kind == "kinetic" for layer in clip.layers):
        return _Words(text=clean(clip.scene.narration))
    lines = [s for s in sentences(clean(clip.scene.narration)) if not any(_plain(s) in text for text in shown)]
    if not lines:
        return _Words()
    photo = clip.scene.scrim > 0
    taken = [
        _extent(layer, theme) for layer in (*clip.layers, *foot) if layer.kind != "shape" and layer.kind != "progress"
    ]
    headline = _headline(clip, place, theme)
    if headline is not None and layout.aspect == "16:9":  # in wide frames a picture may stand beside the headline
        place = _below(headline, place, theme)
    box = _room(place, taken, layout)
    align, ground = (headline.align if headline else "start"), _ground(clip, box, headline)
    pad = _PAD if photo else 0.0
    for count in range(len(lines), 0, -1):
        text = " ".join(lines[:count])
        layer = TextLayer(
            text=text.replace("*", "∗"), box=_inside(box, pad), font="text", weight=600, size=LARGEST_WORDS,
            smallest=SMALLEST_WORDS - 4, lines=MOST_LINES, leading=1.3, valign="top",
            align=align, ground=ground, colour=_ink(headline), enter="none", depth=6,
        )  # fmt: skip
        if box.height >= _LEAST_HEIGHT and _is_whole(layer, theme):
            return _Words((*_plate(layer, pad, theme), layer), text, tuple(lines[count:]))
    return _Words(dropped=tuple(lines))


def _headline(clip: Clip, box: Area, theme: Theme) -> TextLayer | None:
    """The large text right above a place."""
    above = [
        one
        for one in clip.layers
        if isinstance(one, TextLayer) and one.size >= LARGEST_WORDS and one.plate != "pill" and one.box.y < box.y
    ]
    return max(above, key=lambda one: _extent(one, theme).y) if above else None


def _below(headline: TextLayer, place: Area, theme: Theme) -> Area:
    """From under a headline, as wide as its box, to the foot of the place."""
    box, extent = headline.box, _extent(headline, theme)
    foot, top = place.y + place.height, extent.y + extent.height + _GAP
    return Area(x=box.x, y=min(top, foot - 20), width=box.width, height=max(foot - top, 20.0))


def _ink(headline: TextLayer | None) -> str:
    """The headline's colour where it stands on a ground of its own, as dark type on a bright pane."""
    return headline.colour if headline is not None and headline.ground != "background" else "ink"


def _ground(clip: Clip, box: Area, headline: TextLayer | None) -> str:
    """The colour under the words: the headline's, or the uppermost filled form's that they stand on, or the theme's."""
    if headline is not None and headline.ground != "background":
        return headline.ground
    x, y = box.x + box.width / 2, box.y + box.height / 3
    under = [
        layer
        for layer in clip.layers
        if isinstance(layer, ShapeLayer) and layer.form in ("rectangle", "rounded") and layer.stroke == 0
        and layer.opacity > 0.6 and layer.box.x <= x <= layer.box.x + layer.box.width
        and layer.box.y <= y <= layer.box.y + layer.box.height
    ]  # fmt: skip
    return max(under, key=lambda layer: layer.depth).colour if under else "background"


def _plate(layer: TextLayer, pad: float, theme: Theme) -> tuple[Layer, ...]:
    """On a photograph the words stand on a pane of the ground's colour."""
    block = measure(layer, theme)
    if pad <= 0 or block is None:
        return ()
    box = layer.box
    area = Area(
        x=box.x - pad, y=block.top - pad, width=box.width + 2 * pad, height=block.height + 2 * pad + block.size * 0.2
    )
    return (ShapeLayer(box=area, form="rounded", radius=24, colour="background", opacity=0.82, enter="none", depth=5),)


def _inside(box: Area, pad: float) -> Area:
    return Area(
        x=box.x + pad, y=box.y + pad, width=max(box.width - 2 * pad, 60.0), height=max(box.height - 2 * pad, 20.0)
    )


def _room(place: Area, taken: Sequence[Area], layout: Layout) -> Area:
    """What is left of a place between what stands above and below its middle."""
    top, foot = place.y, place.y + place.height
    for area in taken:
        beside = area.x + area.width <= place.x or area.x >= place.x + place.width
        if beside or area.y + area.height + _GAP <= top or area.y - _GAP >= foot:
            continue
        if area.y + area.height / 2 <= (top + foot) / 2:
            top = max(top, area.y + area.height + _GAP)
        else:
            foot = min(foot, area.y - _GAP)
    return Area(x=place.x, y=min(top, layout.height - 21.0), width=place.width, height=max(foot - top, 20.0))


def _extent(layer: Layer, theme: Theme) -> Area:
    """Where a layer's type really is: a text may fill only a part of its box."""
    block = measure(layer, theme) if isinstance(layer, TextLayer) else None
    if block is None or not isinstance(layer, TextLayer):
        return layer.box
    if layer.plate == "panel":
        return layer.box
    more = block.size * (0.5 if layer.plate in ("boxes", "pill", "outline") else 0.24)
    return Area(x=layer.box.x, y=block.top - more, width=layer.box.width, height=block.height + 2 * more)


def _is_whole(layer: TextLayer, theme: Theme) -> bool:
    """Whether all of a text is drawn, inside its box."""
    block = measure(layer, theme)
    if block is None:
        return False
    last = "".join(token.text for token in block.lines[-1])
    cut = last.endswith("…") and not layer.text.rstrip("*").endswith("…")
    return not cut and block.height <= layer.box.height + 1


def _texts(clip: Clip) -> list[str]:
    found = []
    for layer in clip.layers:
        if layer.kind == "text":
            found.append(layer.text)
        elif layer.kind == "list":
            found += layer.items
    return found


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _signed_off(timeline: Timeline, format: Format) -> int:
    """The index of the clip whose foot names sources and making; -1 where a card of their own, or a thread's last post, does.

    A carousel without sources has no such card: its last one says what it was made with.
    """
    if format == "thread":
        return -1
    said = any(clip.kind == "outro" or any(layer.kind == "sources" for layer in clip.layers) for clip in timeline.clips)
    return -1 if said and format == "carousel" else len(timeline.clips) - 1


def _foot(job: RenderJob, page: Page, layout: Layout) -> tuple[Layer, ...]:
    """A card names its sources and its making at its foot."""
    from chimera.media.text import source_names

    one, many, made_with = page.labels
    names = source_names(job.sources, limit=3)
    said = f"{many if len(names) > 1 else one}: {', '.join(names)} · {made_with}" if names else made_with
    edge = layout.headline.x
    box = Area(
        x=edge, y=layout.height - 64 - (16 if layout.aspect == "9:16" else 0), width=layout.width - 2 * edge, height=36
    )
    return (
        TextLayer(
            text=said, box=box, font="text", weight=600, size=_SOURCE_SIZE, smallest=20, lines=1, valign="bottom",
            opacity=0.8, enter="none", depth=6, align="right" if is_rtl(said) else "left",
        ),
    )  # fmt: skip


def _areas(
    layers: Sequence[Layer], theme: Theme, layout: Layout, size: tuple[int, int]
) -> tuple[tuple[int, int, int, int], ...]:
    """Where type stands, in pixels of the card."""
    scale = size[0] / layout.width
    found = []
    for layer in layers:
        if not isinstance(layer, TextLayer):
            continue
        block = measure(layer, theme)
        if block is None:
            continue
        left, top = max(layer.box.x, 0.0), max(block.top, 0.0)
        right = min(layer.box.x + layer.box.width, layout.width)
        foot = min(block.top + block.height, layout.height)
        if right - left >= 8 and foot - top >= 8:
            x, y = round(left * scale), round(top * scale)
            found.append((x, y, round(right * scale) - x, round(foot * scale) - y))
    return tuple(found)


# --- pixels


def bgr_of(frame: Plane, size: tuple[int, int]) -> Pixels:
    """An I420 frame (BT.709, limited range) as BGR."""
    y, u, v = planes_of(frame, size)
    whole = [y, *(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (u, v))]
    yuv = np.dstack(whole).astype(np.float32) - OFFSET
    back = np.linalg.inv(TO_YUV)[::-1]  # OpenCV's pictures are BGR
    return np.clip(np.round(yuv @ back.T.astype(np.float32)), 0, 255).astype(np.uint8)


def lettered(picture: Pixels, overlay: str, *, at: float, folder: Path, fonts: Path) -> Pixels:
    """The picture with an ASS script's type at `at` seconds, in RGB from end to end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "overlay.ass").write_text(_MATRIX.sub("YCbCr Matrix: None", overlay), "utf-8")
    height, width = picture.shape[:2]
    stream = ffmpeg.input("pipe:0", format="rawvideo", pix_fmt="bgr24", s=f"{width}x{height}", framerate=30)
    stream = stream.filter("setpts", f"PTS+{at:.3f}/TB").filter("ass", "overlay.ass").filter("format", "bgr24")
    target = ffmpeg.output(stream, "lettered.raw", vframes=1, format="rawvideo", pix_fmt="bgr24", fflags="+bitexact")
    command = process.command(target, options=("-loglevel", "error"))
    process.run(command, cwd=folder, data=np.ascontiguousarray(picture).tobytes(), fonts=fonts)
    found = np.fromfile(folder / "lettered.raw", np.uint8)
    shutil.rmtree(folder, ignore_errors=True)
    if found.size != picture.size:
        raise ChimeraError("INTERNAL", f"a card came out with {found.size} bytes, expected {picture.size}")
    return found.reshape(height, width, 3)


def write_jpeg(path: Path, pixels: Pixels, *, most_bytes: int = 0) -> Path:
    """Writes a JPEG of quality 92 and full chroma, atomically; with `most_bytes` of less, down to 60, until it fits.

    Raises `FILE_TOO_LARGE` where even that is too large.
    """
    for quality in range(QUALITY, LOWEST_QUALITY - 1, -8):
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        whole, data = cv2.imencode(".jpg", pixels, options)
        if not whole:
            raise ChimeraError("INTERNAL", f"{path.name} cannot be written", {"file": path.name})
        if not most_bytes or len(data) <= most_bytes:
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.write_bytes(data.tobytes())
            return temporary.replace(path)
    raise ChimeraError(
        "FILE_TOO_LARGE",
        f"{path.name} has {len(data):,} bytes; at most {most_bytes:,} are allowed",
        {"file": path.name},
    )
