"""The sound of a media file as recognisers want it: 16 kHz, mono."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from chimera.errors import ChimeraError

RATE = 16_000
MAX_SECONDS = 4 * 3600
# Containers of plain sound and video: no playlist, which could name files of this machine or addresses. The file is handed
# over open, and nothing else can be.
_OPTIONS = {
    "protocol_whitelist": "none",
    "format_whitelist": "wav,w64,mp3,flac,ogg,aac,ac3,amr,aiff,caf,au,mov,matroska,avi,asf,flv,mpegts,mpeg",
}


def pcm16(media: Path) -> bytes:
    """The first sound track as 16-bit little-endian samples; `VALIDATION_FAILED` without one, or over four hours."""
    import av

    pieces: list[bytes] = []
    size = 0
    try:
        with media.open("rb") as file, av.open(file, "r", options=_OPTIONS) as container:
            if not container.streams.audio:
                raise ChimeraError("VALIDATION_FAILED", f"{media.name}: got media without sound, expected speech", {})
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in chain(container.decode(audio=0), [None]):
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
