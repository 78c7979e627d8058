"""Measures a finished file: one decoding pass by ffmpeg's detectors, a probe of the container, the captions' figures."""

from __future__ import annotations

import re
import statistics
import struct
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import ffmpeg
from pydantic import BaseModel, ConfigDict

from chimera.domain.models import Check
from chimera.errors import ChimeraError
from chimera.media import captions, process
from chimera.media.audio import parse_ebur128
from chimera.media.technical import Limits, evaluate
from chimera.media.text import clean

# Calibrated on our own renders. Freeze: a slow zoom differs by −55 dB within 0.9 s at the latest, a still card, encoded,
# not even across its key frames. Silence: a spoken pause over the music bed stays above −50 dB. Clipping: sound that
# was cut at full scale keeps over 0.1 % of its samples there after AAC; a limited master has none.
FREEZE_NOISE_DB = -55
BLACK_PIXEL, BLACK_PICTURE = 0.06, 0.985
SILENCE_DB = -50
FULL_SCALE = 0.985
_SHORTEST_SEEN = 0.25


class TechnicalReport(BaseModel):
    """What was measured (numbers, names, None for what could not be) and the checks made from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measurements: dict[str, Any]
    limits: dict[str, Any]
    checks: tuple[Check, ...]

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
) -> TechnicalReport:
    """Measures `video` and its captions and holds them against the limits (`expected`: a `Limits` or its fields).

    A file that is no video is not an error: its measurements are None, and the checks say so. Raises `NOT_FOUND` if
    there is no such file and `VALIDATION_FAILED` for an unknown limit.
    """
    if not video.is_file():
        raise ChimeraError("NOT_FOUND", f"there is no file {video.name}", {"file": video.name})
    try:
        limits = expected if isinstance(expected, Limits) else Limits(**(expected or {}))
    except TypeError as error:
        raise ChimeraError("VALIDATION_FAILED", f"unknown limit: {error}") from error
    found: dict[str, Any] = {"size_bytes": video.stat().st_size, "faststart": _faststart(video)}
    found |= _probe(video)
    if found.get("video_codec") is not None:
        found |= _decode(
            video, has_audio=found.get("audio_codec") is not None, seconds=found.get("duration_seconds") or 0.0
        )
    found |= _captions(vtt, narration)
    return TechnicalReport(measurements=found, limits=asdict(limits), checks=tuple(evaluate(found, limits)))


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
                if sound is not None and sound.duration is not None:
                    length = float(sound.duration * (sound.time_base or 0))
                    found["av_difference_seconds"] = round(abs(length - found["duration_seconds"]), 3)
            return found
    except (av.FFmpegError, OSError, ValueError):
        return {"container": "unreadable"}


def _decode(video: Path, *, has_audio: bool, seconds: float) -> dict[str, Any]:
    """One pass over pictures (at a third of the size, where nothing sought is lost) and sound."""
    source = ffmpeg.input(f"file:{video.name}", threads=2)
    pictures = source.video.filter("scale", "trunc(iw/6)*2", "trunc(ih/6)*2", flags="area")
    pictures = pictures.filter("blackdetect", d=_SHORTEST_SEEN, pix_th=BLACK_PIXEL, pic_th=BLACK_PICTURE)
    pictures = pictures.filter("freezedetect", n=f"{FREEZE_NOISE_DB}dB", d=1.0)
    outputs = [pictures]
    if has_audio:
        sound = source.audio.filter("silencedetect", n=f"{SILENCE_DB}dB", d=_SHORTEST_SEEN)
        sound = sound.filter("ebur128", peak="true", framelog="quiet")
        # 1 for a sample at full scale, else 0: the mean square of that is their share
        at_full_scale = f"gte(max(abs(val(0)),abs(val(1))),{FULL_SCALE})"
        sound = sound.filter("aeval", at_full_scale, channel_layout="mono")
        sound = sound.filter("astats", measure_perchannel="none", measure_overall="RMS_level")
        outputs.append(sound)
    command = process.command(ffmpeg.output(*outputs, "-", format="null"))
    try:
        _, text = process.run(command, cwd=video.resolve().parent)
    except ChimeraError as error:
        if error.details.get("reason") != "ffmpeg":
            raise
        return {"decode_error": str(error.details.get("stderr", ""))[-300:]}
    found: dict[str, Any] = {
        "longest_black_seconds": _longest(text, "black_start:", "black_duration:", seconds),
        "longest_freeze_seconds": _longest(text, "freeze_start: ", "freeze_duration: ", seconds),
    }
    if has_audio:
        loudness = parse_ebur128(text)
        share = re.search(r"RMS level dB: (-?[\d.]+|-inf)", text)
        found |= {
            "longest_silence_seconds": _longest(text, "silence_start: ", "silence_duration: ", seconds),
            "loudness_lufs": loudness.integrated, "true_peak_dbtp": loudness.true_peak, "loudness_range_lu": loudness.range_lu,
            "clipped_share": None if share is None else round(10 ** (float(share[1]) / 10), 6),
        }  # fmt: skip
    return found


def _longest(text: str, start: str, duration: str, seconds: float) -> float:
    """The longest stretch a detector reported; one that had not ended when the file did counts to the file's end."""
    number = r"(-?[\d.]+)"
    durations = [float(value) for value in re.findall(re.escape(duration) + number, text)]
    starts = [float(value) for value in re.findall(re.escape(start) + number, text)]
    if len(starts) > len(durations):
        durations.append(max(seconds - starts[-1], 0.0))
    return round(max(durations, default=0.0), 3)


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


def _captions(vtt: Path | None, narration: str | None) -> dict[str, Any]:
    """Coverage of the narration, reading speeds, shortest cue; None without captions, or without anything to say."""
    said = clean(narration) if narration is not None else None
    if vtt is None or not vtt.is_file():
        missing: dict[str, Any] = {"caption_coverage": None if said is None else (1.0 if not said else 0.0)}
        return missing | dict.fromkeys(
            ("caption_cues", "max_chars_per_second", "median_chars_per_second", "shortest_cue_seconds")
        )
    cues = captions.parse_vtt(vtt.read_text("utf-8", errors="replace"))
    speeds = [len(text.replace("\n", " ")) / max(end - start, 1e-3) for start, end, text in cues]
    return {
        "caption_coverage": None
        if said is None
        else round(captions.coverage(said, " ".join(text for *_, text in cues)), 4),
        "caption_cues": len(cues),
        # nothing to read is read in time
        "max_chars_per_second": round(max(speeds, default=0.0), 2),
        "median_chars_per_second": round(statistics.median(speeds), 2) if speeds else 0.0,
        "shortest_cue_seconds": round(min((end - start for start, end, _ in cues), default=1.0), 3),
    }
