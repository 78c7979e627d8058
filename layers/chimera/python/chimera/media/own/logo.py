"""Makes a brand's logo of a stranger's picture: its pixels and their transparency as a plain PNG, nothing else of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from chimera.media.own.limits import MAX_LOGO_SIDE, PICTURE_SECONDS
from chimera.media.own.picture import readable
from chimera.media.own.sandbox import ask
from chimera.media.own.sniff import refused, sniff

_OUT_BYTES = 8_000_000


def prepare_logo(path: Path, *, out: Path) -> Path:
    """Writes the whole picture to `out` as a PNG of at most `MAX_LOGO_SIDE` pixels on a side, transparency kept.

    Errors as of `chimera.media.own.probe.probe`; nothing is left at `out` then. The same file gives the same bytes.
    """
    if sniff(path).family != "picture":
        raise refused(path, "no picture", "a picture: PNG, JPEG, WebP, GIF or HEIC")
    with tempfile.TemporaryDirectory(prefix=".logo-", dir=out.parent) as folder:
        source, container = readable(path, Path(folder))
        part = Path(folder) / "part.png"
        ask(
            "logo", source, container, seconds=PICTURE_SECONDS, file_bytes=_OUT_BYTES, side=MAX_LOGO_SIDE, out=str(part)
        )
        part.replace(out)
    return out
