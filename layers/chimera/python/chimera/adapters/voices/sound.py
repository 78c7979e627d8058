"""Sound as voices handle it: decoded in a process with limits, mono 16-bit samples, silence cut off at both ends."""

from __future__ import annotations

import tempfile
import wave
from pathlib import Path

import ffmpeg
import numpy as np

from chimera.adapters.voices.onsets import Samples
from chimera.errors import ChimeraError
from chimera.media import process

RATE = 24_000
MAX_SECONDS = 900.0
MAX_FILE_BYTES = 512 * 1024 * 1024
# Containers of plain sound and video; no playlists, which could name other files.
_FORMATS = "wav,w64,mp3,flac,ogg,aac,mov,matroska,aiff,caf"
_QUIET = 10 ** (-50 / 20) * 32_768
_KEEP_SECONDS = 0.03


def decoded(source: bytes | Path, *, name: str, max_seconds: float = MAX_SECONDS) -> Samples:
    """The first sound track of a file or of its bytes at 24 kHz, mono.

    ffmpeg runs as a process that may read that one file only. Raises `VALIDATION_FAILED` for what is no sound,
    `FILE_TOO_LARGE` above 512 MiB and `VIDEO_TOO_LONG` above `max_seconds`; `name` is how errors call the file.
    """
    with tempfile.TemporaryDirectory(prefix="sound-") as folder:
        # under a name of ours: nothing of the user's is on a command line
        there = Path(folder) / "sound.bin"
        if isinstance(source, Path):
            _check(source, name)
            there.symlink_to(source.resolve())
        else:
            there.write_bytes(source)
        graph = (
            ffmpeg.input(
                str(there), protocol_whitelist="file", format_whitelist=_FORMATS, t=max_seconds + 1, vn=None, sn=None, dn=None
            )
            .output("pipe:1", format="s16le", acodec="pcm_s16le", ac=1, ar=RATE)
        )  # fmt: skip
        try:
            out, _ = process.run(process.command(graph, options=("-loglevel", "error", "-max_alloc", str(2**28))))
        except ChimeraError as error:
            if error.details.get("reason") != "ffmpeg":
                raise
            raise ChimeraError(
                "VALIDATION_FAILED", f"{name}: got a file that is no readable sound, expected WAV, MP3, FLAC, Ogg, M4A or a video",
                {"file": name, "reason": str(error.details.get("stderr", ""))[-300:].replace(folder, "")},
            ) from error  # fmt: skip
    samples = np.frombuffer(out, dtype="<i2").astype(np.float32)
    if not len(samples):
        raise ChimeraError("VALIDATION_FAILED", f"{name}: got a file without sound, expected speech", {"file": name})
    if len(samples) > max_seconds * RATE:
        raise ChimeraError(
            "VIDEO_TOO_LONG", f"{name}: got over {max_seconds:.0f} s of sound, expected at most that", {"file": name}
        )
    return samples


def samples_of(pcm: bytes) -> Samples:
    """16-bit little-endian mono samples as floats; an odd last byte is dropped."""
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.float32)


def trimmed(samples: Samples, rate: int) -> tuple[Samples, float]:
    """Silence below −50 dBFS cut off at both ends, 30 ms kept; and the seconds cut in front."""
    loud = np.flatnonzero(np.abs(samples) > _QUIET)
    if not len(loud):
        return samples, 0.0
    keep = round(_KEEP_SECONDS * rate)
    first, last = max(int(loud[0]) - keep, 0), min(int(loud[-1]) + keep + 1, len(samples))
    return samples[first:last], first / rate


def write(path: Path, samples: Samples, rate: int) -> None:
    """A WAV file: 16 bit, mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.clip(np.round(samples), -32_768, 32_767).astype("<i2").tobytes())


def read(path: Path) -> tuple[Samples, int]:
    """A WAV file of ours as samples, and its rate."""
    with wave.open(str(path)) as source:
        return samples_of(source.readframes(source.getnframes())), source.getframerate()


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """At another rate: a windowed-sinc low-pass below the lower rate's half, then linear interpolation."""
    if rate == wanted or not len(samples):
        return samples
    if wanted < rate:
        half = 32
        cutoff = 0.5 * wanted / rate * 0.95
        n = np.arange(-half, half + 1)
        kernel = 2 * cutoff * np.sinc(2 * cutoff * n) * np.hamming(2 * half + 1)
        samples = np.convolve(samples, (kernel / kernel.sum()).astype(np.float32), mode="same").astype(np.float32)
    count = round(len(samples) * wanted / rate)
    at = np.arange(count) * (rate / wanted)
    out: Samples = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
    return out


def _check(path: Path, name: str) -> None:
    if not path.is_file():
        raise ChimeraError("NOT_FOUND", f"{name}: there is no such file", {"file": name})
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ChimeraError(
            "FILE_TOO_LARGE",
            f"{name}: got {size} bytes, expected at most {MAX_FILE_BYTES}",
            {"file": name, "bytes": size},
        )
