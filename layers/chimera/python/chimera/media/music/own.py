"""The user's own music: told by its first bytes, probed within limits, levelled, looped with a crossfade."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np

from chimera.errors import ChimeraError
from chimera.media import loudness
from chimera.media.music.samples import RATE, Samples

MAX_BYTES = 200_000_000
MAX_SECONDS = 1_800.0
SHORTEST_SECONDS = 1.0
LEVEL_LUFS = -20.0
_CROSSFADE, _FADE_IN, _FADE_OUT = 1.5, 0.4, 1.8


def load(path: Path) -> tuple[Samples, str]:
    """Stereo samples at 48 kHz, at −20 LUFS, and the file's SHA-256. At most the first 1800 s are read.

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
    samples = _decoded(path, kind)
    if len(samples) < SHORTEST_SECONDS * RATE:
        raise _refused(path, f"it lasts {len(samples) / RATE:.2f} s; expected at least {SHORTEST_SECONDS:.0f} s")
    level = loudness.integrated(samples)
    if level is None:
        raise _refused(path, "it is silent")
    return samples * np.float32(10 ** ((LEVEL_LUFS - level) / 20)), sha256


def fingerprint(path: Path) -> str:
    """The file's SHA-256, or nothing if it cannot be read: `load` says why."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def fitted(samples: Samples, seconds: float) -> Samples:
    """Cut or looped to `seconds`, to the sample: repeats overlap by 1.5 s at equal power; faded in and out."""
    length = max(round(seconds * RATE), 1)
    out = np.zeros((length, 2), dtype=np.float32)
    cross = min(round(_CROSSFADE * RATE), len(samples) // 4)
    ramp = np.sin(np.linspace(0, np.pi / 2, cross, dtype=np.float32))[:, None]
    at = 0
    while at < length:
        piece = samples.copy() if len(samples) > cross else samples
        if at:
            piece[:cross] *= ramp
        if at + len(piece) < length:
            piece[-cross:] *= ramp[::-1]
        take = min(length - at, len(piece))
        out[at : at + take] += piece[:take]
        at += len(samples) - cross
    fade_in, fade_out = (min(round(s * RATE), length // 2) for s in (_FADE_IN, _FADE_OUT))
    if fade_in and fade_out:
        out[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)[:, None]
        out[-fade_out:] *= (np.linspace(1, 0, fade_out, dtype=np.float32) ** 2)[:, None]
    return out


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


def _decoded(path: Path, kind: str) -> Samples:
    pieces: list[Samples] = []
    left = round(MAX_SECONDS * RATE)
    try:
        with av.open(str(path), format=kind, options={"protocol_whitelist": "file"}) as container:
            resampler = av.AudioResampler(format="flt", layout="stereo", rate=RATE)
            for frame in container.decode(audio=0):
                for made in resampler.resample(frame):
                    pieces.append(np.asarray(made.to_ndarray(), dtype=np.float32).reshape(-1, 2)[:left])
                    left -= len(pieces[-1])
                if left <= 0:
                    break
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise _refused(path, f"it cannot be decoded ({error})") from error
    found = np.concatenate(pieces) if pieces else np.zeros((0, 2), dtype=np.float32)
    return np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)


def _refused(path: Path, why: str) -> ChimeraError:
    return ChimeraError("VALIDATION_FAILED", f"the music {path.name} cannot be used: {why}", {"file": path.name})
