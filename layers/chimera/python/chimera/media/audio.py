"""The sound of a video, first and last step: the voice on the timeline, equalised and compressed; the mix at −14 LUFS."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import ffmpeg
import numpy as np

from chimera.errors import ChimeraError
from chimera.media import process
from chimera.media.music import RATE, Samples

TARGET_LUFS = -14.0
MAX_TRUE_PEAK_DBTP = -1.0
_LOWEST_LUFS = -60.0  # below this there is nothing to raise
_VOICE_LEVEL = 0.126  # RMS while speaking, before loudness is set
_PASSES = 4


@dataclass(frozen=True)
class Loudness:
    """Integrated loudness (LUFS, ITU-R BS.1770 by EBU R 128), true peak (dBTP), loudness range (LU); None for silence."""

    integrated: float | None
    true_peak: float | None
    range_lu: float | None


def decode(path: Path) -> Samples:
    """A sound file as mono float samples at 48 kHz. Raises `VALIDATION_FAILED` if it holds no sound."""
    pieces: list[Samples] = []
    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in container.decode(audio=0):
                pieces += [np.asarray(f.to_ndarray()[0], dtype=np.float32) for f in resampler.resample(frame)]
            pieces += [np.asarray(f.to_ndarray()[0], dtype=np.float32) for f in resampler.resample(None)]
    except (av.FFmpegError, OSError, IndexError) as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"the sound file {path.name} cannot be read: {error}", {"file": path.name}
        ) from error
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)


def voice_track(parts: list[tuple[float, Samples]], seconds: float) -> Samples:
    """Voices laid at their times (seconds) on a track of that length."""
    track = np.zeros(max(round(seconds * RATE), 1), dtype=np.float32)
    for start, samples in parts:
        at = round(start * RATE)
        take = min(len(samples), len(track) - at)
        if take > 0:
            track[at : at + take] += samples[:take]
    return track


def _graph(stream: Any, *filters: tuple[str, dict[str, Any]]) -> Any:
    for name, options in filters:
        stream = stream.filter(name, **options)
    return stream


def polish(voice: Samples) -> Samples:
    """Takes the buzz out of a synthetic voice: rumble and harshness down, body up, even level, softer esses."""
    if not np.any(voice):
        return voice
    stream = ffmpeg.input("pipe:0", format="f32le", ar=RATE, ac=1)
    stream = _graph(
        stream,
        ("highpass", {"f": 80, "p": 2}),
        ("equalizer", {"f": 190, "t": "q", "w": 0.9, "g": 2.5}),
        ("equalizer", {"f": 480, "t": "q", "w": 1.2, "g": -1.5}),
        ("equalizer", {"f": 2600, "t": "q", "w": 1.1, "g": -3.0}),
        ("equalizer", {"f": 4300, "t": "q", "w": 2.0, "g": -2.0}),
        ("treble", {"g": -3.5, "f": 6500}),
        ("deesser", {"i": 0.35}),
        ("acompressor", {"threshold": 0.09, "ratio": 3.2, "attack": 6, "release": 140, "makeup": 2, "knee": 6}),
        ("aresample", {"osr": RATE}),
    )
    out, _ = process.run(
        process.command(ffmpeg.output(stream, "pipe:1", format="f32le", ar=RATE, ac=1), options=("-loglevel", "error")),
        data=voice.astype("<f4").tobytes(),
    )
    polished = np.frombuffer(out, dtype="<f4").astype(np.float32)
    fitted = np.zeros_like(voice)
    take = min(len(fitted), len(polished))
    fitted[:take] = polished[:take]
    loud = fitted[np.abs(fitted) > 0.01]
    level = float(np.sqrt(np.mean(loud**2))) if loud.size else 0.0
    return fitted * np.float32(_VOICE_LEVEL / level) if level > 0 else fitted


def master(stereo: Samples, out: Path) -> Loudness:
    """Encodes AAC 192 kb/s at −14 LUFS integrated with true peaks under −1 dBTP, measured on the encoded file.

    One static gain, so the dynamics stay; a limiter takes the peaks. Written atomically.
    """
    data = stereo.astype("<f4").tobytes()
    measured = measure_samples(data)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp.m4a")
    gain_db, ceiling_db = 0.0, -1.6
    if measured.integrated is not None and measured.integrated > _LOWEST_LUFS:
        gain_db = TARGET_LUFS - measured.integrated
    result = measured
    for _ in range(_PASSES):
        _encode(data, gain_db, ceiling_db, temporary)
        result = measure_file(temporary)
        if result.integrated is None or result.integrated <= _LOWEST_LUFS:
            break
        off = TARGET_LUFS - result.integrated
        over = (result.true_peak or -99.0) - MAX_TRUE_PEAK_DBTP
        if abs(off) <= 0.3 and over <= -0.05:
            break
        gain_db += off if abs(off) > 0.3 else 0.0
        ceiling_db -= max(over + 0.15, 0.0)
    temporary.replace(out)
    return result


def _encode(data: bytes, gain_db: float, ceiling_db: float, out: Path) -> None:
    stream = ffmpeg.input("pipe:0", format="f32le", ar=RATE, ac=2)
    stream = _graph(
        stream,
        ("volume", {"volume": f"{gain_db:.3f}dB"}),
        ("aresample", {"osr": RATE * 4}),  # a limiter at four times the rate sees the peaks between samples
        ("alimiter", {"limit": f"{10 ** (ceiling_db / 20):.5f}", "attack": 4, "release": 60, "level": 0, "latency": 1}),
        ("aresample", {"osr": RATE}),
    )
    target = ffmpeg.output(
        stream,
        out.name,
        acodec="aac",
        audio_bitrate="192k",
        ar=RATE,
        ac=2,
        fflags="+bitexact",
        **{"flags:a": "+bitexact"},
    )
    process.run(process.command(target, options=("-loglevel", "error")), data=data, cwd=out.parent)


def measure_samples(data: bytes) -> Loudness:
    """Loudness of raw stereo float samples at 48 kHz."""
    stream = ffmpeg.input("pipe:0", format="f32le", ar=RATE, ac=2).filter("ebur128", peak="true", framelog="quiet")
    _, text = process.run(process.command(ffmpeg.output(stream, "-", format="null")), data=data)
    return parse_ebur128(text)


def measure_file(path: Path) -> Loudness:
    """Loudness of a file's first sound track."""
    stream = ffmpeg.input(f"file:{path.name}").audio.filter("ebur128", peak="true", framelog="quiet")
    _, text = process.run(process.command(ffmpeg.output(stream, "-", format="null")), cwd=path.parent)
    return parse_ebur128(text)


def parse_ebur128(text: str) -> Loudness:
    """Reads the summary that ffmpeg's ebur128 filter prints at the end."""
    summary = text[text.rfind("Summary:") :] if "Summary:" in text else ""

    def value(pattern: str) -> float | None:
        match = re.search(pattern, summary)
        number = float(match[1]) if match and match[1] not in {"-inf", "inf", "nan"} else None
        return number

    integrated = value(r"I:\s+(-?[\d.]+|-inf|nan) LUFS")
    return Loudness(
        integrated=integrated if integrated is not None and integrated > -70.0 else None,
        true_peak=value(r"Peak:\s+(-?[\d.]+|-inf|nan) dBFS"),
        range_lu=value(r"LRA:\s+(-?[\d.]+) LU"),
    )
