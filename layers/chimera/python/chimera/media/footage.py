"""Footage as frames: a prepared clip (constant rate, the frame's shape) decoded one by one, held on its last frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from chimera.errors import ChimeraError
from chimera.media.planes import Plane, frame_bytes, planes_of


class Footage:
    """Frames of a file from `start` seconds on, at `fps`, scaled to `size`; asked for in ascending order.

    Which frame is shown is decided by its time, so nothing drifts. Only one frame is held. Raises `VALIDATION_FAILED`
    for a file that is no video. Use it in a `with` block.
    """

    def __init__(self, path: Path, *, start: float, fps: int, size: tuple[int, int]) -> None:
        self._path, self._start, self._fps, self._size = path, start, fps, size
        self._shown = np.zeros(frame_bytes(size), np.uint8)
        self._shown[size[0] * size[1] :] = 128
        self._shown[: size[0] * size[1]] = 16
        try:
            self._container = av.open(str(path), options={"protocol_whitelist": "file"})
            self._stream = self._container.streams.video[0]
            self._stream.codec_context.thread_type = "NONE"
        except (av.FFmpegError, OSError, IndexError) as error:
            raise self._refused(error) from error
        self._frames: Iterator[VideoFrame] | None = None
        self._next: VideoFrame | None = None

    def __enter__(self) -> Footage:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frame(self, out: Plane, number: int) -> None:
        """Writes the frame that is shown at `number`/fps after the start; behind the end it is the last one."""
        due = self._start + (number + 0.5) / self._fps  # in the middle of its time, safe from rounding
        try:
            if self._frames is None:
                self._seek(due)
            latest = None
            while self._next is not None and self._time(self._next) <= due:
                latest = self._next
                self._advance()
            if latest is not None:
                self._take(latest)
        except (av.FFmpegError, OSError) as error:
            raise self._refused(error) from error
        out[:] = self._shown

    def _seek(self, due: float) -> None:
        base = self._stream.time_base
        assert base is not None
        first = self._stream.start_time or 0
        self._container.seek(int(due / base) + first, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)
        self._advance()
        if self._next is None:  # behind the end: the last frames
            self._container.seek(first, stream=self._stream, backward=True)
            self._frames = self._container.decode(self._stream)
            self._advance()

    def _advance(self) -> None:
        assert self._frames is not None
        self._next = next(self._frames, None)

    def _time(self, frame: VideoFrame) -> float:
        base = self._stream.time_base
        assert base is not None
        return float(((frame.pts or 0) - (self._stream.start_time or 0)) * base)

    def _take(self, frame: VideoFrame) -> None:
        width, height = self._size
        if (frame.width, frame.height, frame.format.name) != (width, height, "yuv420p"):
            frame = frame.reformat(width=width, height=height, format="yuv420p", interpolation="BICUBIC")
        for source, target in zip(frame.planes, planes_of(self._shown, self._size), strict=True):
            rows = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)
            target[:] = rows[: target.shape[0], : target.shape[1]]

    def _refused(self, error: Exception) -> ChimeraError:
        return ChimeraError(
            "VALIDATION_FAILED",
            f"the footage {self._path.name} cannot be read: {getattr(error, 'strerror', None) or error}",
            {"file": self._path.name},
        )
