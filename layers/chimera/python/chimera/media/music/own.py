"""The user's own music: told by its first bytes, probed within limits, levelled, looped with a crossfade."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from chimera.errors import ChimeraError
from chimera.media import loudness
from chimera.media.music.samples import BLOCK_SAMPLES, RATE, Read, Samples, Strip, stretches

MAX_BYTES = 200_000_000
MAX_SECONDS = 1_800.0
SHORTEST_SECONDS = 1.0
LEVEL_LUFS = -20.0
_CROSSFADE, _FADE_IN, _FADE_OUT = 1.5, 0.4, 1.8


def load(path: Path, scratch: Path) -> tuple[Strip, float, str]:
    """Stereo samples at 48 kHz (written to `scratch`), the gain that brings them to −20 LUFS, and the file's SHA-256.

    At most the first 1800 s are read, a stretch at a time.

    The demuxer is chosen from the first bytes, never guessed by FFmpeg: a playlist named `.mp3` that would read other
    files or call out is refused. Raises `NOT_FOUND`, `FILE_TOO_LARGE` (200 MB) or `VALIDATION_FAILED` (not WAV, MP3,
    FLAC, Ogg, M4A or AIFF; no sound; shorter than 1 s; silent).
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(16)
            if size > MAX_BYTES:
                raise ChimeraError(
                    "FILE_TOO_LARGE",
                    f"the music {path.name} has {size:,} bytes; at most {MAX_BYTES:,}",
                    {"size_bytes": size},
                )
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ChimeraError(
            "NOT_FOUND", f"the music {path.name} cannot be read: {error.strerror}", {"file": path.name}
        ) from error
    kind = _kind(head)
    if kind is None:
        raise _refused(path, "it is none of WAV, MP3, FLAC, Ogg, M4A, AIFF")
    powers: list[Samples] = []

    def heard() -> Iterator[Samples]:
        for block in _blocks(_decoded(path, kind)):
            powers.append(loudness.powers(block))
            yield block

    strip = Strip.written(scratch, heard(), channels=2)
    if strip.samples < SHORTEST_SECONDS * RATE:
        raise _refused(path, f"it lasts {strip.samples / RATE:.2f} s; expected at least {SHORTEST_SECONDS:.0f} s")
    level = loudness.gated(np.concatenate(powers))
    if level is None:
        raise _refused(path, "it is silent")
    return strip, 10 ** ((LEVEL_LUFS - level) / 20), sha256


def fingerprint(path: Path) -> str:
    """The file's SHA-256, or nothing if it cannot be read: `load` says why."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def fitted(read: Read, available: int, seconds: float) -> Iterator[Samples]:
    """Cut or looped to `seconds`, to the sample: repeats overlap by 1.5 s at equal power; faded in and out.

    `read` gives the `available` samples; what comes out are stretches of `BLOCK_SAMPLES`.
    """
    length = max(round(seconds * RATE), 1)
    cross = min(round(_CROSSFADE * RATE), available // 4)
    step = available - cross
    fade_in, fade_out = (min(round(s * RATE), length // 2) for s in (_FADE_IN, _FADE_OUT))
    for first, count in stretches(length):
        out = np.zeros((count, 2), dtype=np.float32)
        for turn in range(max((first - available) // step, 0), (first + count) // step + 1):
            start = turn * step
            begin, end = max(first, start), min(first + count, start + available)
            if end <= begin:
                continue
            piece = read(begin - start, end - begin)
            at = np.arange(begin - start, end - start)
            if turn:
                piece *= _rise(at / max(cross - 1, 1))
            if start + available < length:
                piece *= _rise((available - 1 - at) / max(cross - 1, 1))
            out[begin - first : end - first] += piece
        at = np.arange(first, first + count)
        if fade_in > 1 and fade_out > 1:
            out *= np.clip(at / (fade_in - 1), 0, 1).astype(np.float32)[:, None]
            out *= np.clip((length - 1 - at) / (fade_out - 1), 0, 1).astype(np.float32)[:, None] ** 2
        yield out


def _rise(share: np.ndarray) -> Samples:
    return np.asarray(np.sin(np.clip(share, 0, 1) * (np.pi / 2)), dtype=np.float32)[:, None]


def _kind(head: bytes) -> str | None:
    """FFmpeg's name for what the first bytes say the file is."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return "aiff"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "mp3"
    known = {b"fLaC": "flac", b"OggS": "ogg"}.get(head[:4])
    return known or ("mov" if head[4:8] == b"ftyp" else None)


def _decoded(path: Path, kind: str) -> Iterator[Samples]:
    left = round(MAX_SECONDS * RATE)
    try:
        with av.open(str(path), format=kind, options={"protocol_whitelist": "file"}) as container:
            resampler = av.AudioResampler(format="flt", layout="stereo", rate=RATE)
            for frame in container.decode(audio=0):
                for made in resampler.resample(frame):
                    piece = np.asarray(made.to_ndarray(), dtype=np.float32).reshape(-1, 2)[:left]
                    left -= len(piece)
                    yield np.nan_to_num(piece, nan=0.0, posinf=0.0, neginf=0.0)
                if left <= 0:
                    break
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise _refused(path, f"it cannot be decoded ({error})") from error


def _blocks(pieces: Iterable[Samples]) -> Iterator[Samples]:
    """The same samples in stretches of `BLOCK_SAMPLES`; the last one may be shorter."""
    held: list[Samples] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        while size >= BLOCK_SAMPLES:
            whole = np.concatenate(held)
            yield whole[:BLOCK_SAMPLES]
            held, size = [whole[BLOCK_SAMPLES:]], size - BLOCK_SAMPLES
    if size:
        yield np.concatenate(held)


def _refused(path: Path, why: str) -> ChimeraError:
    return ChimeraError("VALIDATION_FAILED", f"the music {path.name} cannot be used: {why}", {"file": path.name})
