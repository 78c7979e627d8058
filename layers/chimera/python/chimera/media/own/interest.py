"""Which stretch of footage is worth showing: judged by small frames, on sharpness, light, contrast and movement."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict

from chimera.media.own.crop import Map, saliency

Frames = np.ndarray[Any, np.dtype[np.uint8]]
Flaw = Literal["black", "blank", "frozen", "blurred"]
RATE = 4
"""Frames a second that are looked at."""
_CUT = 38.0
"""Mean change of luma (0–255) between neighbours that only a cut makes."""
_STILL = 0.06
"""Mean change below which nothing moved, not even the camera's noise."""
_BLUR = 0.18
"""Sharpness, as a share of the footage's own sharpest tenth, below which a frame is out of focus or smeared."""
FLAWED = -3.0


class Stretch(BaseModel):
    """`score` is 0–1 for footage without flaws, below 0 where a flaw could not be avoided; `flaws` cover a fifth or more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float
    score: float
    flaws: tuple[Flaw, ...]


class Looks:
    """What was measured of each frame; frames in order, `RATE` a second (or apart from one another: `moving=False`)."""

    def __init__(self, frames: Frames, *, moving: bool = True) -> None:
        grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
        self.light = np.array([float(g.mean()) for g in grey])
        self.contrast = np.array([float(g.std()) for g in grey])
        self.sharpness = np.array([float(cv2.Laplacian(g, cv2.CV_32F).std()) for g in grey])
        clipped = np.array([float(((g < 4) | (g > 251)).mean()) for g in grey])
        self.exposure = np.clip(1 - clipped, 0, 1) * np.clip(1 - np.abs(self.light - 118) / 118, 0, 1)
        changes = [float(cv2.absdiff(a, b).mean()) for a, b in pairwise(grey)] if moving else []
        self.change = np.array([changes[0], *changes] if changes else np.full(len(grey), 4.0))
        self.moving = moving and len(grey) > 1

    def scores(self) -> tuple[Any, dict[Flaw, Any]]:
        """A score for each frame, and which frames have which flaw."""
        black = (self.light < 20) & (self.contrast < 14)
        blank = ~black & (self.contrast < 5)
        flaws: dict[Flaw, Any] = {"black": black, "blank": blank}
        shown = ~(black | blank)
        sharpest = float(np.quantile(self.sharpness[shown], 0.9)) if bool(shown.any()) else 0.0
        flaws["blurred"] = shown & (self.sharpness < _BLUR * sharpest)
        flaws["frozen"] = shown & (self.change < _STILL) if self.moving else np.zeros(len(shown), bool)
        sharp = np.clip(self.sharpness / sharpest, 0, 1) if sharpest > 0 else np.zeros(len(shown))
        # some movement is life, a lot of it is shaking
        lively = np.clip(self.change / 4, 0, 1) * np.clip(1 - (self.change - 14) / 24, 0, 1)
        score = 0.45 * sharp + 0.25 * lively + 0.2 * self.exposure + 0.1 * np.clip(self.contrast / 60, 0, 1)
        score = score - 0.5 * (self.change > _CUT)
        return np.where(black | blank | flaws["blurred"] | flaws["frozen"], FLAWED, score), flaws


def best_stretch(looks: Looks, seconds: float, *, offset: float = 0.0) -> Stretch:
    """The stretch of that length with the best mean score; the earliest of equals. `offset` is the first frame's time."""
    scores, flaws = looks.scores()
    length = min(max(round(seconds * RATE), 1), len(scores))
    sums = np.convolve(scores, np.ones(length), mode="valid") / length
    # a cut in the first frame is where the stretch begins, not in it
    best = int(np.argmax(np.round(sums, 6)))
    part = slice(best, best + length)
    found = tuple(name for name, hit in flaws.items() if float(hit[part].mean()) >= 0.2)
    return Stretch(start=round(offset + best / RATE, 3), score=round(float(sums[best]), 4), flaws=found)


def energy_of(frames: Frames) -> Map:
    """What stands out over a stretch: the mean saliency of its frames, and where they move."""
    step = max(len(frames) // 12, 1)
    found: Any = np.mean([saliency(frame) for frame in frames[::step]], axis=0)
    found = found / found.sum()
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
    moves = [cv2.absdiff(a, b) for a, b in pairwise(grey)]
    moves = [move for move in moves if float(move.mean()) < _CUT]
    if moves:
        motion = np.mean(moves, axis=0).astype(np.float32)
        motion = np.clip(motion - float(np.median(motion)) - 2.0, 0, None)  # what all of the picture does is the camera
        motion = cv2.GaussianBlur(
            cv2.resize(motion, (found.shape[1], found.shape[0]), interpolation=cv2.INTER_AREA), (0, 0), 3
        )
        if float(motion.sum()) > 1e-3:
            found = found + 1.2 * motion / float(motion.sum())
    return np.asarray(found / found.sum(), dtype=np.float32)
