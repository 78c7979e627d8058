"""What a stranger's file is refused for before anything of it is decoded; worker process only, and quick to load."""

from __future__ import annotations

from chimera.media.own.limits import CODECS, MAX_PICTURE_PIXELS, MAX_SIDE, MIN_SIDE

AV_OPTIONS = {"protocol_whitelist": "none", "codec_whitelist": ",".join(CODECS)}
"""The file is handed over open; nothing else can be."""


class UnusableError(Exception):
    """What came and what was expected, as two parts of one sentence; `code` of the error to be."""

    def __init__(self, got: str, expected: str, code: str = "VALIDATION_FAILED") -> None:
        super().__init__(got, expected)
        self.got, self.expected, self.code = got, expected, code


def check_size(width: int, height: int, least: int = MIN_SIDE) -> None:
    """Refuse a picture that is too small to use or too large to decode, by what its header says."""
    if width < 1 or height < 1:
        raise UnusableError(f"a picture of {width} x {height} pixels", "one that has pixels")
    if width * height > MAX_PICTURE_PIXELS or max(width, height) > MAX_SIDE:
        raise UnusableError(
            f"a picture of {width:,} x {height:,} pixels",
            f"at most {MAX_PICTURE_PIXELS:,} pixels and {MAX_SIDE:,} on a side",
            "FILE_TOO_LARGE",
        )
    if min(width, height) < least:
        raise UnusableError(
            f"a picture of {width} x {height} pixels",
            f"{least} pixels or more on each side, to fill a part of a frame",
        )
