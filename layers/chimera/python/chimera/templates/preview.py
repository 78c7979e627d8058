"""A template shown with sample words: a sheet of every scene in all three aspects, and some seconds of video, in seconds.

No voice, no database, nothing paid: pictures are the procedural cards, words are spread evenly over time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from chimera.errors import ChimeraError
from chimera.media import encode
from chimera.media.fonts import write_fontconfig
from chimera.media.frames import load
from chimera.media.models import Aspect, HeightPreset, RenderJob, RenderScene, SceneSpec, Word, frame_size
from chimera.media.plan import Plan, make_plan
from chimera.media.render import render
from chimera.media.text import clean
from chimera.media.theme import resolved as colour_of
from chimera.media.windows import plain_ground, set_into, window_box
from chimera.templates.engine import expand
from chimera.templates.problems import ProblemsError, refused
from chimera.templates.resolving import Resolved
from chimera.templates.sample import sample_of, sample_wish
from chimera.templates.storyboard import PictureWish, Storyboard, StoryScene

if TYPE_CHECKING:
    from chimera.adapters.canvases.cards import CardCanvas

ASPECTS: tuple[Aspect, ...] = ("9:16", "16:9", "1:1")
CLIP_SECONDS = 5.0
_WORD_SECONDS = 0.24
_LEAD = 0.4
_TAIL = 0.3
_LONGEST_STILL = 9.0
_READ = frozenset({"text", "kinetic", "number", "chart", "list", "sources", "progress"})
_GAP = 12
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def make_preview(
    resolved: Resolved,
    folder: Path,
    painter: CardCanvas,
    *,
    clip_aspect: Aspect = "9:16",
    mode: Literal["dark", "light"] | None = None,
    parameters: Mapping[str, Any] | None = None,
    seed: int = 7,
    platform: str = "",
    with_clip: bool = True,
    sheet_height: HeightPreset = "360p",
    clip_height: HeightPreset = "720p",
) -> dict[str, Any]:
    """Write `sheet.jpg` (a row for each aspect, a column for each scene) and `clip.mp4` into `folder`; where, and how long it took.

    `VALIDATION_FAILED` where the template is at fault, as in `expand`.
    """
    started = time.monotonic()
    try:
        sample = sample_of(resolved.pack)
    except ProblemsError as error:
        raise refused(resolved.reference, error.problems) from None
    more: dict[str, Any] = {"mode": mode, "parameters": dict(parameters or {}), "seed": seed, "platform": platform}
    boards = {aspect: expand(resolved, sample_wish(sample, aspect=aspect, **more)) for aspect in ASPECTS}
    _made(folder)
    with tempfile.TemporaryDirectory(prefix="preview-") as scratch:
        rows = [
            stills(boards[aspect], painter, Path(scratch) / aspect.replace(":", "x"), sheet_height)
            for aspect in ASPECTS
        ]
        sheet = folder / "sheet.jpg"
        _write(sheet, _grid(rows))
        clip, clip_seconds = None, 0.0
        if with_clip:
            job = clip_job(boards[clip_aspect], painter, Path(scratch) / "clip", clip_height)
            result = render(job, Path(scratch) / "render")
            clip, clip_seconds = folder / "clip.mp4", result.duration_seconds
            clip.write_bytes(result.video.read_bytes())
    return {
        "template": resolved.reference,
        "checksum": resolved.checksum,
        "sheet": str(sheet),
        "clip": str(clip) if clip else None,
        "clip_seconds": clip_seconds,
        "scenes": len(boards["9:16"].scenes),
        "mode": mode,
        "seconds": round(time.monotonic() - started, 2),
    }


def preview_job(
    board: Storyboard,
    pictures: Sequence[Path | None],
    height: HeightPreset,
    seconds: Sequence[float],
    *,
    music: bool = False,
) -> RenderJob:
    """The storyboard as a silent job; the words of each scene are spread over its time, so that captions are seen."""
    scenes = [
        RenderScene(
            narration=scene.narration,
            on_screen_text=scene.on_screen_text,
            image=picture,
            words=_words(scene.narration, length),
            motion=scene.motion,
            transition=scene.transition,
            key=scene.key,
            marker=scene.marker,
            seconds=length,
            layers=scene.layers,
        )
        for scene, picture, length in zip(board.scenes, pictures, seconds, strict=True)
    ]
    return RenderJob(
        title=board.title,
        scenes=tuple(scenes),
        sources=board.sources if any(layer.kind == "sources" for s in scenes for layer in s.layers or ()) else (),
        aspect=board.aspect,
        platform=board.platform,
        height=height,
        quality_preset="draft",
        seed=board.seed,
        theme=board.theme,
        language=board.language,
        music="auto" if music else "off",
        captions=board.captions,
        template=board.template,
    )


def clip_job(board: Storyboard, painter: CardCanvas, folder: Path, height: HeightPreset) -> RenderJob:
    """The first scene and the one with the most to see, of 2.5 s each."""
    busiest = max(range(len(board.scenes)), key=lambda i: (i > 0, len(board.scenes[i].layers), -i))
    chosen = sorted({0, busiest})
    board = board.model_copy(update={"scenes": tuple(board.scenes[i] for i in chosen)})
    pictures = _pictures(board, painter, folder, height)
    return preview_job(board, pictures, height, [CLIP_SECONDS / len(chosen)] * len(chosen), music=True)


def stills(board: Storyboard, painter: CardCanvas, folder: Path, height: HeightPreset) -> list[Pixels]:
    """A still of every scene, when everything in it has come."""
    pictures = _pictures(board, painter, folder, height)
    lengths = [_still_seconds(scene) for scene in board.scenes]
    plan = make_plan(preview_job(board, pictures, height, lengths), "x264")
    fonts = write_fontconfig(folder / "fonts", fonts=(board.theme.display, board.theme.text))
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        return list(pool.map(lambda index: _still(plan, index, fonts, folder), range(len(board.scenes))))


def _still(plan: Plan, index: int, fonts: Path, folder: Path) -> Pixels:
    clip, size, fps = plan.timeline.clips[index], plan.job.size, plan.job.fps
    at = max(clip.seconds(fps) - _TAIL - 0.15, 0.1)
    frame = np.empty(size[0] * size[1] * 3 // 2, np.uint8)
    background = load(clip.scene.image, frame=size, theme=plan.timeline.theme, scrim=clip.scene.scrim)
    background.frame(frame, clip.motion, at / clip.seconds(fps), size)
    out = folder / f"still-{index}.jpg"
    encode.still(
        frame,
        plan.overlays[index],
        settings=plan.settings,
        at=at,
        folder=folder / f"still-{index}",
        fonts=fonts,
        out=out,
    )
    return _read(out)


def _pictures(board: Storyboard, painter: CardCanvas, folder: Path, height: HeightPreset) -> list[Path | None]:
    """A card for each scene, in its window where it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    size = frame_size(board.aspect, height)
    count = len(board.scenes)
    specs = [
        SceneSpec(narration=s.narration, on_screen_text=s.on_screen_text, visual_prompt=s.picture.prompt)
        for s in board.scenes
    ]
    looks = painter.looks(specs, [s.picture for s in board.scenes], seed=board.seed)

    def one(index: int) -> Path:
        scene = board.scenes[index]
        areas = [layer.box for layer in scene.layers if layer.kind in _READ]
        if scene.narration.strip() and board.captions.style != "off":
            areas.append(board.captions.box)
        card = folder / f"card-{index}.png"
        window = scene.picture.window
        own: dict[str, Any] = {"wish": scene.picture.model_copy(update={"window": None}), "look": looks[index]}
        common: dict[str, Any] = {"index": index, "count": count, "title": board.title, "seed": board.seed}
        common |= {"theme": board.theme}
        if window is None:
            return painter.paint(specs[index], size=size, out_png=card, type_areas=areas, **own, **common)
        ground = folder / f"ground-{index}.png"
        _ground(scene, board, ground, size, painter, common)
        box = window_box(window, scene.picture.corner, size, margin=True)
        inner = painter.paint(specs[index], size=(box.width, box.height), out_png=card, type_areas=[], **own, **common)
        return set_into(ground, inner, box, folder / f"picture-{index}.png")

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        return list(pool.map(one, range(count)))


def _ground(
    scene: StoryScene,
    board: Storyboard,
    out: Path,
    size: tuple[int, int],
    painter: CardCanvas,
    common: Mapping[str, Any],
) -> None:
    ground = scene.picture.ground
    if ground == "card":
        painter.paint(SceneSpec(), size=size, out_png=out, wish=PictureWish(want="plain"), type_areas=[], **common)
        return
    plain_ground(colour_of(board.theme, ground), size, out)


def _words(narration: str, seconds: float) -> tuple[Word, ...]:
    """As many words of the narration as can be said in the time, spread over all of it."""
    room = max(seconds - _LEAD - _TAIL, 0.0)
    words = clean(narration).split()[: int(room / _WORD_SECONDS)]
    pace = room / max(len(words), 1)
    return tuple(
        Word(text=w, start=round(i * pace, 3), end=round((i + 1) * pace - 0.02, 3)) for i, w in enumerate(words)
    )


def _still_seconds(scene: StoryScene) -> float:
    spoken = len(clean(scene.narration).split()) * _WORD_SECONDS + _LEAD + _TAIL
    return round(min(max(spoken, scene.seconds, 3.2), _LONGEST_STILL), 3)


def _grid(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """The rows below each other, on a neutral ground, with a gap between all."""
    lines = []
    for row in rows:
        height = max(cell.shape[0] for cell in row)
        cells: list[Pixels] = []
        for cell in row:
            cells += [_blank(height, _GAP), cell]
        lines.append(np.concatenate([*cells, _blank(height, _GAP)], axis=1))
    width = max(line.shape[1] for line in lines)
    padded: list[Pixels] = []
    for line in lines:
        padded += [_blank(_GAP, width), np.concatenate([line, _blank(line.shape[0], width - line.shape[1])], axis=1)]
    return np.concatenate([*padded, _blank(_GAP, width)], axis=0)


def _blank(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), 96, np.uint8)


def _read(path: Path) -> Pixels:
    found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise ChimeraError("INTERNAL", f"the preview's still {path.name} cannot be read", {"file": path.name})
    return np.asarray(found, np.uint8)


def _write(path: Path, pixels: Pixels) -> None:
    good, data = cv2.imencode(path.suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, 90] if path.suffix == ".jpg" else [])
    if not good:
        raise ChimeraError("INTERNAL", f"the preview {path.name} cannot be encoded", {"file": path.name})
    path.write_bytes(data.tobytes())


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChimeraError("VALIDATION_FAILED", f"{folder} cannot be used: {error.strerror}", {}) from None
