"""The finished frames of a segment but for burned-in type: backgrounds moving, giving way to each other, the logo above."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from chimera.errors import ChimeraError
from chimera.media import transitions
from chimera.media.footage import Footage
from chimera.media.frames import MAX_PIXELS, Background, load, scrim_shares
from chimera.media.layers import Area
from chimera.media.patches import Patch
from chimera.media.planes import TO_YUV, Plane, frame_bytes, planes_of
from chimera.media.segments import Segment
from chimera.media.timeline import Clip, Motion, Timeline

_REFERENCE = 1080  # pixels of the short side that areas are given in
MAX_LOGO_BYTES = 20_000_000


class Source(Protocol):
    """Something that moves behind the type of a clip."""

    def frame(self, out: Plane, number: int) -> None:
        """Writes frame `number` of the clip (ascending; beyond its length while it gives way) into `out`."""
        ...


class _Picture:
    """A picture under a motion; one that stands still is drawn once."""

    def __init__(self, background: Background, motion: Motion, frames: int, size: tuple[int, int]) -> None:
        self._background, self._motion, self._frames, self._size = background, motion, frames, size
        pairs = (motion.zoom, motion.shift_x, motion.shift_y, motion.turn)
        self._stands = all(first == last for first, last in pairs)
        self._drawn: Plane | None = None

    def frame(self, out: Plane, number: int) -> None:
        if self._drawn is not None:
            out[:] = self._drawn
            return
        self._background.frame(out, self._motion, number / self._frames, self._size)
        if self._stands:
            self._drawn = out.copy()


class _Film:
    """Footage, held back where type stands if the scene asks for it."""

    def __init__(self, footage: Footage, scrim: float, size: tuple[int, int], *, light: bool) -> None:
        self._footage, self._size = footage, size
        self._shade = shade(size, scrim, light=light) if scrim > 0 else None

    def frame(self, out: Plane, number: int) -> None:
        self._footage.frame(out, number)
        if self._shade is not None:
            self._shade.blend(planes_of(out, self._size))


class Stage:
    """What the clips of a video look like behind their type. Pictures are kept for the clips that need them next."""

    def __init__(self, timeline: Timeline, *, kept: int = 2) -> None:
        self._timeline = timeline
        self._kept = max(kept, 2)
        self._pictures: OrderedDict[int, Background] = OrderedDict()
        self._lock = threading.Lock()
        self._logo = logo(timeline.logo, timeline.logo_box, timeline.size) if timeline.logo else None

    def frames(self, segment: Segment) -> Iterator[Plane]:
        """The segment's frames as I420 bytes.

        The buffer is used again: take the bytes before asking for the next.
        """
        clips, size = self._timeline.clips, self._timeline.size
        clip = clips[segment.clip]
        frame = np.empty(frame_bytes(size), np.uint8)
        gives_way = segment.first < clip.transition_frames and clip.index > 0
        old = np.empty_like(frame) if gives_way else frame
        with contextlib.ExitStack() as open_:
            source = open_.enter_context(self._source(clip))
            before = open_.enter_context(self._source(clips[clip.index - 1])) if gives_way else source
            for number in range(segment.first, segment.first + segment.frames):
                source.frame(frame, number)
                if gives_way:
                    before.frame(old, clips[clip.index - 1].frames + number)
                    transitions.change(
                        clip.transition, frame, old, number, clip.transition_frames, size=size,
                        ground=self._timeline.theme.background,
                    )  # fmt: skip
                if self._logo is not None:
                    self._logo.blend(planes_of(frame, size))
                yield frame

    def still(self, clip: Clip, number: int) -> Plane:
        """One frame of a clip without its type, logo and all."""
        frame = np.empty(frame_bytes(self._timeline.size), np.uint8)
        with self._source(clip) as source:
            source.frame(frame, number)
        if self._logo is not None:
            self._logo.blend(planes_of(frame, self._timeline.size))
        return frame

    @contextlib.contextmanager
    def _source(self, clip: Clip) -> Iterator[Source]:
        scene, size = clip.scene, self._timeline.size
        if scene.footage is None:
            yield _Picture(self._picture(clip), clip.motion, clip.frames, size)
            return
        with Footage(scene.footage, start=scene.footage_start, fps=self._timeline.fps, size=size) as footage:
            yield _Film(footage, scene.scrim, size, light=self._timeline.theme.mode == "light")

    def _picture(self, clip: Clip) -> Background:
        with self._lock:
            found = self._pictures.pop(clip.index, None)
            if found is None:
                scene = clip.scene
                found = load(scene.image, frame=self._timeline.size, theme=self._timeline.theme, scrim=scene.scrim)
            self._pictures[clip.index] = found
            while len(self._pictures) > self._kept:
                self._pictures.popitem(last=False)
            return found


def shade(size: tuple[int, int], strength: float, *, light: bool = False) -> Patch:
    """Holds a frame back as `frames.load` does a picture: more towards the foot, where type stands. `strength` 0–1."""
    width, height = size
    stays = np.round((1 - scrim_shares(height, strength)) * 255)
    luma = np.repeat(stays.astype(np.uint8)[:, None], width, axis=1)
    chroma = np.ascontiguousarray(luma[::2, ::2])
    grounds = ((luma, 235 if light else 16), (chroma, 128))
    added = [np.round((255.0 - kept) * ground / 255).astype(np.uint8) for kept, ground in grounds]
    return Patch(0, 0, (luma, chroma, chroma), (added[0], added[1], added[1]))


def logo(path: Path, box: Area | None, size: tuple[int, int]) -> Patch | None:
    """A picture with alpha as a patch, whole and as large as it fits into `box` (reference pixels; None: top left).

    Raises `VALIDATION_FAILED` for a file that is no picture; None where nothing of it can be seen.
    """
    picture = _logo_pixels(path)
    scale = min(size) / _REFERENCE
    area = box or Area(x=60, y=60, width=160, height=160)
    fits = min(area.width * scale / picture.shape[1], area.height * scale / picture.shape[0])
    width, height = (max(round(side * fits), 1) for side in (picture.shape[1], picture.shape[0]))
    left = round((area.x + area.width / 2) * scale - width / 2)
    top = round((area.y + area.height / 2) * scale - height / 2)
    x, y = left // 2 * 2, top // 2 * 2
    # alpha first: what is behind nothing must not bleed into the edge
    alpha = picture[:, :, 3:].astype(np.float32) / 255
    drawn = np.concatenate([picture[:, :, :3].astype(np.float32) * alpha, alpha * 255], axis=2)
    smaller = cv2.INTER_AREA if fits < 1 else cv2.INTER_LINEAR
    drawn = cv2.resize(drawn, (width, height), interpolation=smaller).reshape(height, width, 4)
    canvas = np.zeros((-(-(top - y + height) // 2) * 2, -(-(left - x + width) // 2) * 2, 4), np.float32)
    canvas[top - y : top - y + height, left - x : left - x + width] = drawn
    cut_x, cut_y = max(-x, 0), max(-y, 0)
    canvas = np.ascontiguousarray(canvas[cut_y : size[1] - y, cut_x : size[0] - x])
    if not canvas.size:
        return None
    cover = canvas[:, :, 3:] / 255
    yuv = canvas[:, :, 2::-1] @ TO_YUV.T + cover * np.array([16.0, 128.0, 128.0], np.float32)
    half = (canvas.shape[1] // 2, canvas.shape[0] // 2)
    u, v, kept = (cv2.resize(np.ascontiguousarray(p), half, interpolation=cv2.INTER_AREA)
                  for p in (yuv[:, :, 1], yuv[:, :, 2], 255 - canvas[:, :, 3]))  # fmt: skip
    small = _bytes(kept)
    return Patch(
        x + cut_x,
        y + cut_y,
        (_bytes(255 - canvas[:, :, 3]), small, small),
        (_bytes(yuv[:, :, 0]), _bytes(u), _bytes(v)),
    )


def _bytes(values: object) -> Plane:
    return np.clip(np.round(np.asarray(values)), 0, 255).astype(np.uint8)


def _logo_pixels(path: Path) -> Plane:
    try:
        data = np.fromfile(path, dtype=np.uint8) if path.stat().st_size <= MAX_LOGO_BYTES else np.zeros(0, np.uint8)
    except OSError as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"the logo {path.name} cannot be read: {error.strerror}", {"file": path.name}
        ) from error
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if picture is None or picture.dtype != np.uint8 or picture.shape[0] * picture.shape[1] > MAX_PIXELS:
        raise ChimeraError(
            "VALIDATION_FAILED", f"the logo {path.name} is not a picture of 8 bits a channel", {"file": path.name}
        )
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGRA)
    elif picture.shape[2] == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
    return np.asarray(picture, dtype=np.uint8)
