"""The sound of a video, first and last step: the voice on the timeline, equalised and compressed; the mix at −14 LUFS."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import ffmpeg
import numpy as np

from chimera.errors import ChimeraError
from chimera.media import loudness, process
from chimera.media.music.samples import RATE, Samples, Strip, stretches

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


def decoded(path: Path) -> Iterator[Samples]:
    """A sound file as mono float samples at 48 kHz, piece by piece. Raises `VALIDATION_FAILED` if it holds no sound."""
    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in container.decode(audio=0):
                yield from (np.asarray(f.to_ndarray()[0], dtype=np.float32) for f in resampler.resample(frame))
            yield from (np.asarray(f.to_ndarray()[0], dtype=np.float32) for f in resampler.resample(None))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"the sound file {path.name} cannot be read: {error}", {"file": path.name}
        ) from error


def decode(path: Path) -> Samples:
    """A whole sound file in memory."""
    pieces = list(decoded(path))
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)


def length(path: Path) -> float:
    """How many seconds a sound file lasts, to the sample."""
    return sum(len(piece) for piece in decoded(path)) / RATE


def voice_track(parts: Sequence[tuple[float, Path]], seconds: float) -> Iterator[Samples]:
    """Voices (files) laid at their times (seconds, ascending) on a track of that length, piece by piece.

    A voice that is still speaking when the next begins, or when the track ends, is cut there.
    """
    total = max(round(seconds * RATE), 1)
    starts = [min(round(start * RATE), total) for start, _ in parts]
    at = 0
    for (_, path), start, stop in zip(parts, starts, [*starts[1:], total], strict=True):
        yield from _silence(start - at)
        at = start
        for piece in decoded(path):
            part = piece[: stop - at]
            at += len(part)
            yield part
            if at >= stop:
                break
    yield from _silence(total - at)


def _silence(samples: int) -> Iterator[Samples]:
    for first in range(0, samples, RATE):
        yield np.zeros(min(RATE, samples - first), dtype=np.float32)


def _graph(stream: Any, *filters: tuple[str, dict[str, Any]]) -> Any:
    for name, options in filters:
        stream = stream.filter(name, **options)
    return stream


@dataclass(frozen=True)
class Voice:
    """A polished voice in a scratch file, and the gain that brings it to its level."""

    strip: Strip
    gain: float

    def read(self, first: int, count: int) -> Samples:
        """A stretch, mono."""
        return self.strip.read(first, count)[:, 0] * np.float32(self.gain)


def polish(voice: Iterable[Samples], samples: int, scratch: Path) -> Voice:
    """Takes the buzz out of a synthetic voice: rumble and harshness down, body up, even level, softer esses.

    `voice` are pieces of mono samples, `samples` in all; the result is written to `scratch`.
    """
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
    command = process.command(
        ffmpeg.output(stream, "pipe:1", format="f32le", ar=RATE, ac=1), options=("-loglevel", "error")
    )
    square, loud = 0.0, 0

    def heard() -> Iterator[Samples]:
        nonlocal square, loud
        with process.reading(command, feed=(p.astype("<f4").tobytes() for p in voice)) as pipe:
            left = samples
            while left > 0 and (data := _whole(pipe, min(left, RATE) * 4)):
                piece = np.frombuffer(data, dtype="<f4").astype(np.float32)
                over = piece[np.abs(piece) > 0.01].astype(np.float64)
                square, loud = square + float(over @ over), loud + len(over)
                left -= len(piece)
                yield piece
            while pipe.read(1 << 16):  # a filter may have rounded up
                continue
            yield from _silence(left)

    strip = Strip.written(scratch, heard(), channels=1)
    return Voice(strip, _VOICE_LEVEL / (square / loud) ** 0.5 if square > 0 else 1.0)


def _whole(pipe: Any, size: int) -> bytes:
    """`size` bytes, or what is left, in whole samples."""
    pieces, left = [], size
    while left and (piece := pipe.read(left)):
        pieces.append(piece)
        left -= len(piece)
    data = b"".join(pieces)
    return data[: len(data) // 4 * 4]


def master(stereo: Strip, powers: Samples, out: Path) -> Loudness:
    """Encodes AAC 192 kb/s at −14 LUFS integrated with true peaks under −1 dBTP, measured on the encoded file.

    One static gain, so the dynamics stay; a limiter takes the peaks. `powers` are the blocks of `loudness.powers` of
    the whole: they give the gain, so that one encoding is enough as a rule. Written atomically.
    """
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp.m4a")
    level = loudness.gated(powers)
    gain_db, ceiling_db = TARGET_LUFS - level if level is not None and level > _LOWEST_LUFS else 0.0, -1.6
    result = Loudness(None, None, None)
    for _ in range(_PASSES):
        _encode(stereo, gain_db, ceiling_db, temporary)
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


def _encode(stereo: Strip, gain_db: float, ceiling_db: float, out: Path) -> None:
    stream = ffmpeg.input("pipe:0", format="f32le", ar=RATE, ac=2)
    stream = _graph(
        stream,
        ("volume", {"volume": f"{gain_db:.3f}dB"}),
        ("aresample", {"osr": RATE * 4}),  # a limiter at four times the rate sees the peaks between samples
        ("alimiter", {"limit": f"{10 ** (ceiling_db / 20):.5f}", "attack": 4, "release": 60, "level": 0, "latency": 1}),
        ("aresample", {"osr": RATE}),
    )
    # the coder that FFmpeg's maintainers recommend at this rate: half the time of `twoloop`, and it sounds better there
    target = ffmpeg.output(
        stream, out.name, acodec="aac", aac_coder="fast", audio_bitrate="192k", ar=RATE, ac=2, fflags="+bitexact",
        **{"flags:a": "+bitexact"},
    )  # fmt: skip
    pieces = (stereo.read(first, count).astype("<f4").tobytes() for first, count in stretches(stereo.samples))
    process.run(process.command(target, options=("-loglevel", "error")), feed=pieces, cwd=out.parent)


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
