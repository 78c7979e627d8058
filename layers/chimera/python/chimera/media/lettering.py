"""Type over a scene as patches: libass draws it once for each change, not once for each frame.

Between two changes (a word that is said, a line that comes in) type stands still, and blending the same patch again
costs a twentieth of drawing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from chimera.media import process
from chimera.media.patches import Patch, drawn
from chimera.media.planes import Plane, planes_of
from chimera.media.stillness import Parts, changes


class OverlapError(Exception):
    """Something lies where a live part of the script is burned in later: the whole script must be burned in."""


class Lettering:
    """The type of a stretch of a scene, frame by frame. Use it as an iterator over patches: one item for each frame."""

    def __init__(
        self, parts: Parts, *, size: tuple[int, int], fps: int, first: int, frames: int, folder: Path, fonts: Path
    ) -> None:
        self._size, self._frames = size, frames
        self._changes = changes(parts.still, fps=fps, first=first, frames=frames)
        self._folder, self._fonts = folder, fonts
        self._command = self._arguments(fps, first)
        self._script, self._areas = parts.still, parts.areas

    def _arguments(self, fps: int, first: int) -> list[str]:
        runs: list[list[int]] = []
        for number in self._changes:
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        chosen = "+".join(f"between(n,{a},{b})" for a, b in runs)
        width, height = self._size
        source = f"color=c=black@0:s={width}x{height}:r={fps}:d={self._frames / fps + 1:.3f},format=yuva420p"
        graph = (
            f"{source},setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709,"
            f"trim=end_frame={self._frames},select='{chosen}',setpts=PTS+{first}/{fps}/TB,"
            "ass=type.ass:alpha=1[out]"
        )
        return [
            process.executable(), "-hide_banner", "-nostats", "-loglevel", "error", "-filter_complex_threads", "1",
            "-filter_complex", graph, "-map", "[out]", "-fps_mode", "passthrough", "-f", "rawvideo",
            "-pix_fmt", "yuva420p", "pipe:1",
        ]  # fmt: skip

    def __iter__(self) -> Iterator[tuple[Patch, ...]]:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "type.ass").write_text(self._script, "utf-8")
        width, height = self._size
        luma = width * height
        buffer = np.empty(luma * 5 // 2, np.uint8)
        view = memoryview(buffer.data)
        with process.reading(self._command, cwd=self._folder, fonts=self._fonts) as pipe:
            for begin, end in pairwise([*self._changes, self._frames]):
                process.read_exactly(pipe, view)
                alpha = buffer[luma * 3 // 2 :].reshape(height, width)
                if any(cv2.countNonZero(part) for part in self._kept_clear(alpha)):
                    raise OverlapError
                patches = drawn(planes_of(buffer[: luma * 3 // 2], self._size), alpha)
                for _ in range(begin, end):
                    yield patches

    def _kept_clear(self, alpha: Plane) -> Iterator[Plane]:
        height, width = alpha.shape
        for left, top, right, bottom in self._areas:
            part = alpha[max(int(top * height), 0) : int(bottom * height) + 1, max(int(left * width), 0) : int(right * width) + 1]
            if part.size:
                yield part
