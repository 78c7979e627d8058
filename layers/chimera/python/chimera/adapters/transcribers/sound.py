"""The sound of a media file as recognisers want it: 16 kHz, mono."""

from __future__ import annotations

from pathlib import Path

from chimera.errors import ChimeraError

RATE = 16_000
MAX_SECONDS = 4 * 3600


def pcm16(media: Path) -> bytes:
    """The first sound track as 16-bit little-endian samples; `VALIDATION_FAILED` without one, or over four hours."""
    import av

    pieces: list[bytes] = []
    size = 0
    try:
        with av.open(str(media)) as container:
            if not container.streams.audio:
                raise ChimeraError("VALIDATION_FAILED", f"{media.name}: got media without sound, expected speech", {})
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in [*container.decode(audio=0), None]:
                for part in resampler.resample(frame):
                    pieces.append(bytes(part.planes[0])[: part.samples * 2])
                    size += part.samples
                if size > MAX_SECONDS * RATE:
                    raise ChimeraError(
                        "VALIDATION_FAILED", f"{media.name}: got over {MAX_SECONDS // 3600} h, expected less", {}
                    )
    except (av.FFmpegError, OSError) as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"the media file {media.name} cannot be read: {error}", {"file": media.name}
        ) from error
    return b"".join(pieces)
