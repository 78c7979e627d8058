"""The quality score of a finished video, 0–1: a weighted mean of measured facts, each with its formula. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import Field

from chimera.domain.models import Check, Model

THRESHOLD = 0.8
"""Below it a video is made once more with another seed, and after that a person decides."""
FAILED_AT_MOST = 0.79
"""What a video can reach with a failed check of the technical gate, however well the rest is."""

WEIGHTS: dict[str, float] = {
    "technical": 0.15,
    "captions": 0.12,
    "reading": 0.08,
    "loudness": 0.08,
    "dead_air": 0.05,
    "sharpness": 0.13,
    "contrast": 0.07,
    "detail": 0.07,
    "variety": 0.15,
    "fit": 0.10,
}
"""Their sum is 1. A part that nothing is known of (pictures without a fit, a video without speech) leaves the mean."""


class Quality(Model):
    """The score, rounded down to hundredths, the parts that it is the weighted mean of (0–1), and what held it down."""

    score: float = Field(ge=0, le=1)
    parts: dict[str, float]
    failed: list[str] = Field(default=[])
    """Failed checks of the technical gate: with one, the score is at most `FAILED_AT_MOST`."""


def score(measurements: Mapping[str, Any], checks: Sequence[Check], *, fits: Sequence[float] = ()) -> Quality:
    """The quality of a video by what was measured of it.

    `checks`: the technical gate's answers; `fits`: how well each scene's picture fits its sentence (0–1). A measurement
    that should be there and is not counts as 0: what cannot be measured is no quality.
    """
    failed = [check.name for check in checks if check.passed is False]
    parts: dict[str, float | None] = {
        "technical": technical(checks),
        "fit": fit(fits),
        **{name: part(measurements) for name, part in _MEASURED.items()},
    }
    known = {name: round(value, 4) for name, value in parts.items() if value is not None}
    weight = sum(WEIGHTS[name] for name in known)
    mean = sum(WEIGHTS[name] * value for name, value in known.items()) / weight
    if failed:
        mean = min(mean, FAILED_AT_MOST)
    return Quality(score=math.floor(mean * 100 + 1e-9) / 100, parts=known, failed=failed)


def technical(checks: Sequence[Check]) -> float:
    """The part of the technical gate's questions that passed; unanswered ones did not. 0 without any."""
    return sum(check.passed is True for check in checks) / len(checks) if checks else 0.0


def captions(measurements: Mapping[str, Any]) -> float | None:
    """The least of three: the narration's coverage (0 at 90 %, 1 at all of it); the median distance of the cues from the
    speech (1 up to 0.1 s, 0 at 0.5 s); the shortest cue (0 at 0.2 s, 1 from 0.8 s). None if there is nothing to say.
    """
    if measurements.get("caption_coverage") == 1.0 and measurements.get("caption_cues") in {0, None}:
        return None
    return min(
        _ramp(measurements.get("caption_coverage"), 0.9, 1.0),
        _ramp(measurements.get("captions_off_seconds"), 0.5, 0.1),
        _ramp(measurements.get("shortest_cue_seconds"), 0.2, 0.8),
    )


def reading(measurements: Mapping[str, Any]) -> float:
    """The lesser of two, in characters a second: the median cue (1 up to 17, 0 at 25), the fastest (1 up to 21, 0 at 35)."""
    return min(
        _ramp(measurements.get("median_chars_per_second"), 25, 17),
        _ramp(measurements.get("max_chars_per_second"), 35, 21),
    )


def loudness(measurements: Mapping[str, Any]) -> float:
    """The lesser of two: distance from −14 LUFS (1 up to 0.5 LU, 0 at 4 LU); true peak (1 up to −0.9 dBTP, 0 at +1)."""
    level = measurements.get("loudness_lufs")
    off = None if level is None else abs(float(level) + 14)
    return min(_ramp(off, 4, 0.5), _ramp(measurements.get("true_peak_dbtp"), 1, -0.9))


def dead_air(measurements: Mapping[str, Any]) -> float:
    """The share of the video that is silent (under −50 dB for 0.25 s or longer): 1 up to 5 %, 0 at 25 %."""
    silent, seconds = measurements.get("silent_seconds"), measurements.get("duration_seconds")
    return _ramp(None if silent is None or not seconds else float(silent) / float(seconds), 0.25, 0.05)


def sharpness(measurements: Mapping[str, Any]) -> float:
    """`picture_sharpness` (0–1, the steepest step of luma in the middle one of 60 tiles): 0 at 0.02, 1 from 0.1."""
    return _ramp(measurements.get("picture_sharpness"), 0.02, 0.10)


def contrast(measurements: Mapping[str, Any]) -> float:
    """`picture_contrast` (0–0.5, standard deviation of luma): 0 at 0.04, 1 from 0.12."""
    return _ramp(measurements.get("picture_contrast"), 0.04, 0.12)


def detail(measurements: Mapping[str, Any]) -> float:
    """`picture_detail` (0–1, the part of 60 tiles that show something): 0 at 0.2, 1 from 0.6."""
    return _ramp(measurements.get("picture_detail"), 0.2, 0.6)


def variety(measurements: Mapping[str, Any]) -> float:
    """`picture_variety` (0–1, mean difference of colour between pictures four seconds apart): 0 at 0.01, 1 from 0.04."""
    return _ramp(measurements.get("picture_variety"), 0.01, 0.04)


def fit(fits: Sequence[float]) -> float | None:
    """The mean of the scenes' fits, each 0–1; None without any."""
    return sum(min(max(float(value), 0.0), 1.0) for value in fits) / len(fits) if fits else None


_MEASURED: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    "captions": captions,
    "reading": reading,
    "loudness": loudness,
    "dead_air": dead_air,
    "sharpness": sharpness,
    "contrast": contrast,
    "detail": detail,
    "variety": variety,
}


def _ramp(value: Any, nothing: float, all_of_it: float) -> float:
    """0 at `nothing`, 1 at `all_of_it`, straight between; either may be the larger. A missing value is 0."""
    if value is None:
        return 0.0
    return min(1.0, max(0.0, (float(value) - nothing) / (all_of_it - nothing)))
