"""The technical gate: measurements of a finished file against limits, as checks. Pure; it never opens a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from chimera.domain.models import Check

PROVIDER = "technical"
Severity = Literal["review", "reject"]

COLOUR = "bt709/bt709/bt709/tv"
"""Primaries, transfer, matrix and range that every platform takes; anything else is shown in wrong colours somewhere."""
MENDABLE = frozenset(
    f"technical.{name}"
    for name in (
        "black_frames", "frozen_picture", "flashes", "red_flashes", "silence", "clipping", "loudness", "true_peak",
        "complete", "decodable", "cards_blank", "cards_readable",
    )
)  # fmt: skip
"""Checks that another seed may mend: it changes pictures and music, and writes the file anew. All others stay as they are,
because the script, the voice and the settings do."""


@dataclass(frozen=True)
class Limits:
    """What a file has to keep; sizes in pixels, times in seconds, loudness in LUFS."""

    width: int | None = None
    height: int | None = None
    fps: int | None = None
    min_seconds: float = 1.0
    max_seconds: float = 600.0
    # how far the length may be from the one that was asked for
    expected_seconds: float | None = None
    seconds_tolerance: float = 0.25
    max_bytes: int = 100_000_000
    loudness_lufs: float = -14.0
    loudness_tolerance: float = 1.0
    max_true_peak_dbtp: float = -0.9  # −1 with the meter's own rounding
    max_black_seconds: float = 0.5
    max_freeze_seconds: float = 2.0
    max_silence_seconds: float = 2.0
    max_clipped_share: float = 0.0002
    # flashes within any second over a quarter of the picture (WCAG 2.3.1)
    max_flashes_per_second: float = 3.0
    # the quieter channel under the louder one
    max_channel_difference_db: float = 20.0
    min_caption_coverage: float = 0.98
    max_chars_per_second: float = 25.0
    median_chars_per_second: float = 20.0
    shortest_cue_seconds: float = 0.3
    # cues against the starts of speech in the sound; speech with no cue; a cue before the video's start or after its end
    max_captions_off_seconds: float = 0.15
    max_uncaptioned_seconds: float = 1.0
    max_captions_beyond_seconds: float = 0.1


def limits_from(values: Mapping[str, Any] | Limits | None) -> Limits:
    """Limits from a mapping; fields that are not about the file (a platform has others too) are left out."""
    if isinstance(values, Limits):
        return values
    known = {field.name for field in fields(Limits)}
    return Limits(**{name: value for name, value in (values or {}).items() if name in known})


def evaluate(measurements: Mapping[str, Any], limits: Mapping[str, Any] | Limits | None = None) -> list[Check]:
    """One check for each question. A measurement that is missing (None) is an unanswered check, never a pass.

    `measurements` may be a whole report of `inspect` (`{"measurements": …, "limits": …}`): then its own limits hold,
    and `limits` goes over them.
    """
    if isinstance(inner := measurements.get("measurements"), Mapping):
        own = dict(measurements.get("limits") or {})
        more = asdict(limits) if isinstance(limits, Limits) else dict(limits or {})
        return evaluate(inner, limits_from({**own, **more}))
    limits = limits_from(limits)
    m = measurements
    checks = [
        _exact("container", m.get("container"), "mp4", "reject"),
        _exact("video_codec", m.get("video_codec"), "h264", "reject"),
        _exact("audio_codec", m.get("audio_codec"), "aac", "reject"),
        _exact("pixel_format", m.get("pix_fmt"), "yuv420p", "reject"),
        _exact("faststart", m.get("faststart"), True, "review"),
        _exact("constant_frame_rate", m.get("constant_frame_rate"), True, "review"),
        _at_most("file_size", m.get("size_bytes"), limits.max_bytes, "bytes", "reject"),
        _at_most("duration_maximum", m.get("duration_seconds"), limits.max_seconds, "s", "reject"),
        _at_least("duration_minimum", m.get("duration_seconds"), limits.min_seconds, "s", "reject"),
        _exact("colour", m.get("colour"), COLOUR, "review"),
        _at_most("complete", m.get("missing_seconds"), _frame(m), "s of the stated length missing", "review"),
        _at_most("decodable", m.get("damaged"), 0, "damaged frames", "review"),
        _at_most("av_sync", m.get("av_difference_seconds"), _frame(m), "s apart", "review"),
        _at_most("black_frames", m.get("longest_black_seconds"), limits.max_black_seconds, "s black", "review"),
        _at_most("frozen_picture", m.get("longest_freeze_seconds"), limits.max_freeze_seconds, "s still", "review"),
        _at_most("flashes", m.get("general_flashes_per_second"), limits.max_flashes_per_second, "flashes in a second", "review"),
        _at_most("red_flashes", m.get("red_flashes_per_second"), limits.max_flashes_per_second, "red flashes in a second", "review"),
        _exact("stereo", m.get("channels"), 2, "review"),
        _at_most("dead_channel", m.get("channel_difference_db"), limits.max_channel_difference_db, "dB between the channels", "review"),
        _at_most("silence", m.get("longest_silence_seconds"), limits.max_silence_seconds, "s silent", "review"),
        _at_most("clipping", m.get("clipped_share"), limits.max_clipped_share, "of the samples at full scale", "review"),
        _near("loudness", m.get("loudness_lufs"), limits.loudness_lufs, limits.loudness_tolerance, "LUFS"),
        _at_most("true_peak", m.get("true_peak_dbtp"), limits.max_true_peak_dbtp, "dBTP", "review"),
        _at_least("caption_coverage", m.get("caption_coverage"), limits.min_caption_coverage, "of the narration", "review"),
        _at_most("reading_speed", m.get("max_chars_per_second"), limits.max_chars_per_second, "characters/s", "review"),
        _at_most("reading_speed_median", m.get("median_chars_per_second"), limits.median_chars_per_second, "characters/s", "review"),
        _at_least("shortest_caption", m.get("shortest_cue_seconds"), limits.shortest_cue_seconds, "s", "review"),
        _at_most("captions_within", m.get("captions_beyond_seconds"), limits.max_captions_beyond_seconds, "s outside the video", "review"),
        _at_most("captions_in_time", m.get("captions_off_seconds"), limits.max_captions_off_seconds, "s from the speech", "review"),
        _at_most("speech_captioned", m.get("longest_uncaptioned_seconds"), limits.max_uncaptioned_seconds, "s of speech without a cue", "review"),
    ]  # fmt: skip
    for name, key, wanted in (
        ("width", "width", limits.width),
        ("height", "height", limits.height),
        ("fps", "fps", limits.fps),
    ):
        if wanted is not None:
            checks.append(_exact(name, m.get(key), wanted, "reject"))
    if limits.expected_seconds is not None:
        allowed = max(limits.seconds_tolerance, 0.002 * limits.expected_seconds)
        checks.append(_near("duration_expected", m.get("duration_seconds"), limits.expected_seconds, allowed, "s"))
    return checks


def problems(measurements: Mapping[str, Any], limits: Mapping[str, Any] | Limits | None = None) -> list[Check]:
    """The checks that did not pass."""
    return [check for check in evaluate(measurements, limits) if check.passed is not True]


def _check(name: str, passed: bool | None, evidence: str, severity: Severity) -> Check:
    return Check(
        name=f"technical.{name}", category="technical", score=1.0 if passed else 0.0, threshold=1.0, passed=passed,
        evidence=evidence, provider=PROVIDER, severity=severity,
    )  # fmt: skip


def _frame(measurements: Mapping[str, Any]) -> float:
    """One frame's time in seconds, and a millisecond of rounding; a 24th where the rate is not known."""
    return 1 / float(measurements.get("fps") or 24) + 0.001


def _exact(name: str, value: Any, wanted: Any, severity: Severity) -> Check:
    passed = None if value is None else value == wanted
    return _check(name, passed, f"is {value}, expected {wanted}", severity)


def _compare(name: str, value: Any, text: str, test: Callable[[float], bool], severity: Severity) -> Check:
    if value is None:
        return _check(name, None, f"could not be measured; expected {text}", severity)
    return _check(name, test(float(value)), f"{_show(value)}, expected {text}", severity)


def _at_most(name: str, value: Any, limit: float, unit: str, severity: Severity) -> Check:
    return _compare(name, value, f"at most {_show(limit)} {unit}", lambda v: v <= limit, severity)


def _at_least(name: str, value: Any, limit: float, unit: str, severity: Severity) -> Check:
    return _compare(name, value, f"at least {_show(limit)} {unit}", lambda v: v >= limit, severity)


def _near(name: str, value: Any, wanted: float, allowed: float, unit: str) -> Check:
    text = f"{_show(wanted)} ± {_show(allowed)} {unit}"
    return _compare(name, value, text, lambda v: abs(v - wanted) <= allowed + 1e-9, "review")


def _show(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{float(value):.4g}"
