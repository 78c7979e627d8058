"""Where type is safe from a platform's own buttons and words, and the default regions that templates build on.

Shares of the frame that a platform's interface covers in 9:16, looked up in November 2026, Google's and Meta's at second
hand; what is said to be estimated was measured by nobody here:

- shorts: top 15 %, left 4.4 %, right 17.8 % are Google's safe area of vertical video (288, 48, 192 of 1080x1920; Google
  Ads Help, "About video ad specs"). Its 35 % at the foot hold an advertisement's button; a Short has the title and the
  channel there: 20 %.
- reels and facebook: top 14 % and sides 6 % are Meta's (Meta Business Help Center, "Reels ads: safe zones"). Its 35 % at
  the foot again count an advertisement's button; a Reel's name, caption and audio line take 420 of 1920: 21.9 %.
- tiktok: publishes templates instead of numbers (TikTok Business Help Center, "In-feed ads", safe zone files). Estimated
  for a caption of one line: top 130, left 60, right 120, bottom 370 of 1080x1920.
- x, threads, mastodon, bluesky: publish none; estimated. Their full-screen players put a bar at the top and name, text and controls
  at the foot: 8 % and 18 %, sides 6 %, right 12 % where buttons stand in a column (x, threads).

Wide and square video stands in players whose controls hide by themselves: 5 % a side, the graphics safe area of
EBU R 95 (2017) for 16:9, and the same for 1:1.
"""

from __future__ import annotations

from chimera.errors import ChimeraError
from chimera.media.layers import Area
from chimera.media.models import Aspect

FRAMES: dict[Aspect, tuple[int, int]] = {"9:16": (1080, 1920), "16:9": (1920, 1080), "1:1": (1080, 1080)}
# top, right, bottom, left as shares of the frame
Margins = tuple[float, float, float, float]
_TALL: dict[str, Margins] = {
    "tiktok": (130 / 1920, 120 / 1080, 370 / 1920, 60 / 1080),
    "reels": (0.14, 0.06, 420 / 1920, 0.06),
    "shorts": (288 / 1920, 192 / 1080, 0.20, 48 / 1080),
    "facebook": (0.14, 0.06, 420 / 1920, 0.06),
    "x": (0.08, 0.12, 0.18, 0.06),
    "threads": (0.08, 0.12, 0.18, 0.06),
    "mastodon": (0.08, 0.06, 0.18, 0.06),
    "bluesky": (0.08, 0.06, 0.18, 0.06),
}
_PLAYER: Margins = (0.05, 0.05, 0.05, 0.05)
_ALIASES = {"instagram": "reels", "youtube": "shorts", "twitter": "x"}
PLATFORMS = tuple(_TALL)
# What good-looking type keeps from the frame's edge even where a platform leaves more: reference pixels.
_EDGE: dict[Aspect, float] = {"9:16": 84, "16:9": 110, "1:1": 72}


def margins(aspect: Aspect, platform: str = "") -> Margins:
    """What a platform's interface covers: top, right, bottom, left; `""` is the strictest of all.

    Raises `VALIDATION_FAILED` for a platform that is not known.
    """
    name = platform.strip().lower()
    name = _ALIASES.get(name, name)
    if name and name not in _TALL:
        known = ", ".join((*PLATFORMS, *_ALIASES))
        raise ChimeraError("VALIDATION_FAILED", f"platform {platform[:40]!r}; expected one of {known}, or none")
    if aspect != "9:16":
        return _PLAYER
    if name:
        return _TALL[name]
    top, right, bottom, left = (max(side) for side in zip(*_TALL.values(), strict=True))
    return top, right, bottom, left


def safe_area(aspect: Aspect, platform: str = "") -> Area:
    """The rectangle that nothing covers, in reference pixels."""
    width, height = FRAMES[aspect]
    top, right, bottom, left = margins(aspect, platform)
    return Area(
        x=round(width * left, 1), y=round(height * top, 1), width=round(width * (1 - left - right), 1),
        height=round(height * (1 - top - bottom), 1),
    )  # fmt: skip


def regions(aspect: Aspect, platform: str = "") -> dict[str, Area]:
    """Named places, all but `full` inside the safe area; none of headline, captions, source and progress overlap.

    `full`, `safe`; `progress` and `logo` at the top; `picture` (where a motif or window has most room) and `motif` (the
    largest square in it); `headline` and, higher, `title` below it (they share their foot); `captions` in the frame's
    middle; `source` at the foot; `body` from below progress to above captions, for lists and charts; `closing` from below
    progress to the foot.
    """
    width, height = FRAMES[aspect]
    safe = safe_area(aspect, platform)
    left = max(safe.x, _EDGE[aspect])
    right = min(safe.x + safe.width, width - _EDGE[aspect])
    half = min(width / 2 - left, right - width / 2)
    found = {"full": Area(x=0, y=0, width=width, height=height), "safe": safe}
    if aspect == "16:9":
        found |= _wide(left, right)
    else:
        found |= _stacked(aspect, safe, left, right, width / 2, half)
    return {name: _whole(area) for name, area in found.items()}


def _whole(area: Area) -> Area:
    return Area(x=round(area.x, 1), y=round(area.y, 1), width=round(area.width, 1), height=round(area.height, 1))


def _wide(left: float, right: float) -> dict[str, Area]:
    """Type on the left, picture on the right, captions along the foot."""
    return {
        "progress": Area(x=left, y=60, width=right - left, height=6),
        "logo": Area(x=right - 220, y=90, width=220, height=90),
        "picture": Area(x=1150, y=110, width=right - 1150, height=640),
        "motif": Area(x=1130, y=130, width=600, height=600),
        "title_motif": Area(x=1160, y=140, width=580, height=580),
        "headline": Area(x=left, y=190, width=900, height=470),
        "title": Area(x=left, y=140, width=1000, height=580),
        "body": Area(x=left, y=110, width=right - left, height=660),
        "captions": Area(x=280, y=800, width=1360, height=150),
        "source": Area(x=left, y=990, width=1200, height=36),
        "closing": Area(x=left, y=100, width=1000, height=860),
    }


def _stacked(aspect: Aspect, safe: Area, left: float, right: float, middle: float, half: float) -> dict[str, Area]:
    """Picture above, type below it, captions and source at the foot of the safe area."""
    tall = aspect == "9:16"
    foot = safe.y + safe.height
    line, caption, head, title = (36, 164, 290, 486) if tall else (34, 140, 220, 340)
    gap = 38.0  # descenders of the line above hang into it
    progress = Area(x=left, y=safe.y + 4, width=right - left, height=7 if tall else 6)
    centre = {"x": middle - half, "width": half * 2}
    source = Area(**centre, y=foot - line, height=line)
    captions = Area(**centre, y=source.y - (14 if tall else 20) - caption, height=caption)
    headline = Area(x=left, y=captions.y - gap - head, width=right - left, height=head)
    first = progress.y + progress.height + (14 if tall else 12)
    picture = Area(x=left, y=first, width=right - left, height=headline.y - 14 - first)
    titled = Area(x=left, y=captions.y - gap - title, width=right - left, height=title)
    above = titled.y - (24 if tall else 44) - first
    most, less = (680, 524) if tall else (392, 300)
    side, small = min(picture.height, half * 2, most), min(above, half * 2, less)
    return {
        "progress": progress,
        "logo": Area(x=left, y=first, width=200, height=80),
        "picture": picture,
        "motif": Area(x=middle - side / 2, y=first + (picture.height - side) / 2, width=side, height=side),
        "title_motif": Area(x=middle - small / 2, y=first + (above - small) / 2, width=small, height=small),
        "headline": headline,
        "title": titled,
        "body": Area(x=left, y=first + 26, width=right - left, height=captions.y - gap - first - 26),
        "captions": captions,
        "source": source,
        "closing": Area(x=left, y=first + 20, width=right - left, height=foot - first - 20),
    }
