"""Takes the sound of a stranger's file into a file of our own, so that no recogniser ever opens what a stranger made."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from chimera.media.own.limits import FOOTAGE_SECONDS
from chimera.media.own.probe import MediaFacts, probe
from chimera.media.own.sandbox import ffmpeg, source_options
from chimera.media.own.sniff import refused

RATE = 16_000
SILENT_DB = -50.0
"""dB below full scale that a recording with anything in it exceeds somewhere."""
_OUT_BYTES = 400_000_000
_LOUDEST = re.compile(r"\[Parsed_volumedetect_\d+ @ [^\]]*\] max_volume: (-?[\d.]+) dB")


class PreparedSound(BaseModel):
    """`loudest_db` is the loudest sample, dB below full scale; `silent` if that is next to nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    loudest_db: float
    silent: bool


def prepare_sound(path: Path, *, out: Path, facts: MediaFacts | None = None) -> PreparedSound:
    """Writes the first sound track to `out` (.flac: 16 kHz, mono, no metadata), as recognisers take it.

    `facts` are those of `probe`, if they are known. Errors as of `probe`, and `VALIDATION_FAILED` without a sound track.
    """
    known = facts or probe(path)
    if not known.has_sound:
        raise refused(
            path, f"a {known.kind} without sound" if known.kind == "picture" else "footage without sound", "sound"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sound-", dir=out.parent) as folder:
        part = Path(folder) / "part.flac"
        arguments = [
            *source_options(path, known.container), "-map", "0:a:0", "-vn", "-sn", "-dn", "-ac", "1", "-ar", str(RATE),
            "-af", "volumedetect", "-c:a", "flac", "-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact",
            "-flags:a", "+bitexact", "-f", "flac", "-y", f"file:{part.absolute()}",
        ]  # fmt: skip
        _, text = ffmpeg(path, arguments, seconds=FOOTAGE_SECONDS, file_bytes=_OUT_BYTES, level="info")
        loudest = _LOUDEST.findall(text)
        if not loudest or not part.is_file():
            raise refused(path, "a sound track of which nothing can be decoded", "one that is whole")
        part.replace(out)
    found = float(loudest[-1])
    return PreparedSound(path=out, loudest_db=found, silent=found < SILENT_DB)
