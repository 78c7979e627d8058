"""Measures a finished file: a probe of the container, one decoding pass, the captions' figures, and the quality score."""

from __future__ import annotations

import statistics
import struct
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from pydantic import BaseModel, ConfigDict

from chimera.domain.models import Check
from chimera.errors import ChimeraError
from chimera.media import captions
from chimera.media.decode import SOUND_RATE, decode
from chimera.media.flashes import count_flashes
from chimera.media.picture_measures import measure_pictures
from chimera.media.quality import Quality, score
from chimera.media.speech import channel_levels, hold_against_captions
from chimera.media.technical import Limits, evaluate
from chimera.media.text import clean

Cues = list[tuple[float, float, str]]
# names of ITU-T H.273's numbers, as far as they are met
_PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020"}
_TRANSFER = {1: "bt709", 6: "smpte170m", 13: "srgb", 14: "bt2020-10", 16: "pq", 18: "hlg"}
_MATRIX = {0: "rgb", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc"}
_RANGE = {1: "tv", 2: "pc"}


class TechnicalReport(BaseModel):
    """What was measured (numbers, names, None for what could not be), the checks made from it, and the quality score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measurements: dict[str, Any]
    limits: dict[str, Any]
    checks: tuple[Check, ...]
    quality: Quality

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if check.passed is not True)


def inspect(
    video: Path,
    *,
    vtt: Path | None = None,
    narration: str | None = None,
    expected: Limits | dict[str, Any] | None = None,
    fits: Sequence[float] = (),
) -> TechnicalReport:
    """Measures `video` and its captions and holds them against the limits (`expected`: a `Limits` or its fields).

    `fits`: how well each scene's picture fits its sentence, 0–1, where that is known. A file that is no video is not an
    error: its measurements are None, and the checks say so. Raises `NOT_FOUND` if there is no such file and
    `VALIDATION_FAILED` for an unknown limit.
    """
    if not video.is_file():
        raise ChimeraError("NOT_FOUND", f"there is no file {video.name}", {"file": video.name})
    try:
        limits = expected if isinstance(expected, Limits) else Limits(**(expected or {}))
    except TypeError as error:
        raise ChimeraError("VALIDATION_FAILED", f"unknown limit: {error}") from error
    cues = _cues(vtt)
    found: dict[str, Any] = {"size_bytes": video.stat().st_size, "faststart": _faststart(video)}
    found |= _probe(video)
    found |= _captions(cues, narration, found.get("duration_seconds"))
    if found.get("video_codec") is not None:
        found |= _decoded(video, found, cues)
    checks = tuple(evaluate(found, limits))
    return TechnicalReport(
        measurements=found, limits=asdict(limits), checks=checks, quality=score(found, checks, fits=fits)
    )


def _probe(video: Path) -> dict[str, Any]:
    """Container, streams and timestamps, by PyAV; no frame is decoded."""
    try:
        with av.open(str(video)) as container:
            pictures = next(iter(container.streams.video), None)
            sound = next(iter(container.streams.audio), None)
            found: dict[str, Any] = {
                "container": "mp4" if "mp4" in container.format.name.split(",") else container.format.name
            }
            if sound is not None:
                heard = sound.codec_context
                found |= {
                    "audio_codec": heard.name,
                    "sample_rate": heard.sample_rate,
                    "channels": heard.layout.nb_channels,
                }
            if pictures is None:
                return found
            seen = pictures.codec_context
            found |= {
                "video_codec": seen.name,
                "profile": seen.profile,
                "pix_fmt": seen.pix_fmt,
                "width": seen.width,
                "height": seen.height,
                "colour": _colour(seen),
            }
            times = sorted(packet.pts for packet in container.demux(pictures) if packet.pts is not None)
            base = float(pictures.time_base or 0)
            steps = [b - a for a, b in pairwise(times)]
            found["frames"] = len(times)
            found["constant_frame_rate"] = len(set(steps)) <= 1
            if steps and base and (step := statistics.median(steps)) > 0:
                rate = 1 / (step * base)
                found["fps"] = round(rate) if abs(rate - round(rate)) < 0.01 else round(rate, 3)
                found["duration_seconds"] = round((times[-1] - times[0] + step) * base, 3)
                if pictures.duration is not None:  # what the index says, against what is there
                    stated = float(pictures.duration * base)
                    found["missing_seconds"] = round(max(0.0, stated - found["duration_seconds"]), 3)
                if sound is not None and sound.duration is not None:
                    found["av_difference_seconds"] = _apart(sound, times[0] * base, found["duration_seconds"])
            return found
    except (av.FFmpegError, OSError, ValueError):
        return {"container": "unreadable"}


def _colour(seen: Any) -> str:
    """Primaries/transfer/matrix/range by name, `unknown` for what the file does not say."""
    parts = ((_PRIMARIES, seen.color_primaries), (_TRANSFER, seen.color_trc), (_MATRIX, seen.colorspace), (_RANGE, seen.color_range))  # fmt: skip
    return "/".join(
        names.get(int(value), "unknown" if int(value) in {0, 2} else str(int(value))) for names, value in parts
    )


def _apart(sound: Any, first: float, seconds: float) -> float:
    """How far picture and sound are apart, in seconds: at the start or at the end, whichever is more."""
    base = float(sound.time_base or 0)
    begins = float((sound.start_time or 0) * base)
    ends = begins + float(sound.duration * base)
    return round(max(abs(begins - first), abs(ends - first - seconds)), 3)


def _decoded(video: Path, known: dict[str, Any], cues: Cues | None) -> dict[str, Any]:
    """All that takes decoding, from one pass."""
    seconds = known.get("duration_seconds") or 0.0
    has_audio = known.get("audio_codec") is not None
    if not known["width"] or not known["height"]:
        return {"decode_error": "the picture has no size"}
    passed = decode(video, has_audio=has_audio, seconds=seconds, size=(known["width"], known["height"]))
    found = dict(passed.found)
    if "decode_error" in found:
        return found
    lost = max(0, known["frames"] - found["decoded_frames"])
    found["damaged"] = max(lost, found.pop("damage_reports"))
    found |= count_flashes(passed.cells, float(known.get("fps") or 0))
    found |= measure_pictures(passed.samples, passed.cells, seconds)
    if has_audio:
        found |= channel_levels(passed.sound)
        if cues:
            found |= hold_against_captions(passed.sound, SOUND_RATE, cues)
    return found


def _faststart(video: Path) -> bool | None:
    """Whether the index (`moov`) stands before the data (`mdat`); None for a file that is not made of boxes."""
    position, size = 0, video.stat().st_size
    with video.open("rb") as file:
        for _ in range(64):
            file.seek(position)
            head = file.read(16)
            if len(head) < 8:
                return None
            length, kind = struct.unpack(">I4s", head[:8])
            if kind in {b"moov", b"mdat"}:
                return bool(kind == b"moov")
            if length == 1 and len(head) == 16:
                length = struct.unpack(">Q", head[8:])[0]
            if length < 8 or position + length > size:
                return None
            position += length
    return None


def _cues(vtt: Path | None) -> Cues | None:
    if vtt is None or not vtt.is_file():
        return None
    return captions.parse_vtt(vtt.read_text("utf-8", errors="replace"))


def _captions(cues: Cues | None, narration: str | None, seconds: float | None) -> dict[str, Any]:
    """Coverage of the narration, reading speeds, shortest cue; None without captions, or without anything to say."""
    said = clean(narration) if narration is not None else None
    if cues is None:
        missing: dict[str, Any] = {"caption_coverage": None if said is None else (1.0 if not said else 0.0)}
        return missing | dict.fromkeys(
            ("caption_cues", "max_chars_per_second", "median_chars_per_second", "shortest_cue_seconds",
             "captions_beyond_seconds", "captions_off_seconds", "longest_uncaptioned_seconds")
        )  # fmt: skip
    speeds = [len(text.replace("\n", " ")) / max(end - start, 1e-3) for start, end, text in cues]
    found = {
        "caption_coverage": None
        if said is None
        else round(captions.coverage(said, " ".join(text for *_, text in cues)), 4),
        "caption_cues": len(cues),
        # nothing to read is read in time
        "max_chars_per_second": round(max(speeds, default=0.0), 2),
        "median_chars_per_second": round(statistics.median(speeds), 2) if speeds else 0.0,
        "shortest_cue_seconds": round(min((end - start for start, end, _ in cues), default=1.0), 3),
        "captions_beyond_seconds": None
        if seconds is None
        else round(max([0.0, *(max(end - seconds, -start) for start, end, _ in cues)]), 3),
    }
    if not cues and said == "":  # nobody speaks, and that is as it should be
        found |= {"captions_off_seconds": 0.0, "longest_uncaptioned_seconds": 0.0}
    return found
