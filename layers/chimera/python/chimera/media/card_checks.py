"""Measures finished cards: do they decode, what size are they, do they show something, can their type be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from chimera.domain.models import Check
from chimera.media import quality
from chimera.media.picture_measures import measure_pictures
from chimera.media.quality import FAILED_AT_MOST, Quality

KIND: Literal["stills"] = "stills"
MAX_BYTES = 8_000_000
"""Of one card: Instagram's limit, the lowest of those that take a JPEG of this size in pixels."""
LEAST_SPREAD = 4.0
"""Standard deviation of luma, 0–255: a card of one colour has 0, the quietest closing card of ours about 8."""
LEAST_CONTRAST = 3.0
"""WCAG 2.2 (1.4.3) for large type, which all type on a card is: at least 24 px of 1080."""
MOST_ALT = 1000
PROVIDER = "technical"
_ANALYSIS_LINES = 360
WEIGHTS: dict[str, float] = {
    "technical": 0.25,
    "text_contrast": 0.20,
    "sharpness": 0.15,
    "contrast": 0.10,
    "detail": 0.10,
    "variety": 0.10,
    "fit": 0.10,
}
"""Of the quality score of an image post; a part that nothing is known of leaves the mean. docs/formats.md"""
Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Area = tuple[int, int, int, int]


def measure_cards(
    cards: Sequence[Path],
    *,
    areas: Sequence[Sequence[Area]],
    alt: Sequence[str],
    posts_too_long: Sequence[int],
    posts: int,
) -> dict[str, Any]:
    """Numbers about the cards. A file that is no JPEG, or damaged, counts in `undecodable`; `areas`: where type is, for
    each card, in pixels."""
    found: list[Pixels] = []
    broken, sizes = [], []
    for number, path in enumerate(cards, 1):
        sizes.append(path.stat().st_size)
        pixels = _decoded(path)
        if pixels is None:
            broken.append(number)
        else:
            found.append(pixels)
    shapes = sorted({(p.shape[1], p.shape[0]) for p in found})
    spreads = [float(cv2.cvtColor(p, cv2.COLOR_BGR2GRAY).std()) for p in found]
    contrasts = (
        [text_contrast(p, area) for p, own in zip(found, areas, strict=True) for area in own] if not broken else []
    )
    seen = [value for value in contrasts if value is not None]
    small = [_small(p) for p in found]
    pictures = measure_pictures(np.empty((0, 1, 1), np.uint8), np.empty((0, 1, 1, 3), np.uint8), 0.0)
    if small and len({p.shape for p in small}) == 1:
        pictures = measure_pictures(np.stack([cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) for p in small]), np.empty((0, 1, 1, 3), np.uint8), 0.0)  # fmt: skip
    return {
        "cards": len(cards),
        "undecodable": broken,
        "width": shapes[0][0] if shapes else None,
        "height": shapes[0][1] if shapes else None,
        "sizes_differ": len(shapes) > 1,
        "largest_bytes": max(sizes, default=0),
        "least_spread": round(min(spreads), 2) if spreads else None,
        "least_text_contrast": round(min(seen), 2) if seen else None,
        "text_areas": len(contrasts),
        "without_alt": [n for n, text in enumerate(alt, 1) if not text.strip() or len(text) > MOST_ALT],
        "posts": posts,
        "posts_too_long": list(posts_too_long),
        **pictures,
        "picture_variety": _variety(small),
    }


def text_contrast(picture: Pixels, area: Area) -> float | None:
    """WCAG contrast ratio (1–21) between type and what it stands on, measured: the area's luminance is split in two by
    Otsu's threshold, the smaller part is the type; the medians of both are compared. None where there is no type to see.
    """
    x, y, width, height = area
    part = picture[max(y, 0) : y + height, max(x, 0) : x + width]
    if part.size == 0 or min(part.shape[:2]) < 4:
        return None
    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    over = grey > threshold
    share = float(over.mean())
    if not 0.01 <= share <= 0.99:
        return 1.0  # one tone: whatever is written there cannot be seen
    light, dark = (_luminance(np.median(part[mask].reshape(-1, 3), axis=0)) for mask in (over, ~over))
    return (max(light, dark) + 0.05) / (min(light, dark) + 0.05)


def _luminance(bgr: Any) -> float:
    """Relative luminance, WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (float(v) / 255 for v in bgr)]
    return 0.0722 * linear[0] + 0.7152 * linear[1] + 0.2126 * linear[2]


def evaluate_cards(measurements: Mapping[str, Any], limits: Mapping[str, Any]) -> list[Check]:
    """One check for each question. `limits`: fewest and most cards and posts, width and height as they were rendered."""
    m = measurements
    fewest, most = limits["cards"]
    least_posts, most_posts = limits["posts"]
    checks = [
        _check("cards_count", fewest <= m["cards"] <= most, f"{m['cards']} cards, expected {fewest}–{most}", "reject"),
        _check("cards_decodable", not m["undecodable"], f"cards that are no whole JPEG: {m['undecodable']}", "reject"),
        _check("cards_size", m["largest_bytes"] <= MAX_BYTES, f"{m['largest_bytes']:,} bytes, at most {MAX_BYTES:,}", "reject"),
        _check("cards_same_size", not m["sizes_differ"], "every card has one size", "review"),
        _check("cards_alt", not m["without_alt"], f"cards without a text of at most {MOST_ALT} characters that says what they show: {m['without_alt']}", "review"),
        _check("posts_count", least_posts <= m["posts"] <= most_posts, f"{m['posts']} posts, expected {least_posts}–{most_posts}", "reject"),
        _check("posts_length", not m["posts_too_long"], f"posts over their platform's limit: {m['posts_too_long']}", "reject"),
        _measured("cards_blank", m["least_spread"], LEAST_SPREAD, "spread of luma"),
        *((_measured("cards_readable", m["least_text_contrast"], LEAST_CONTRAST, ": 1 between type and ground"),) if m["text_areas"] else ()),
    ]  # fmt: skip
    for name in ("width", "height"):
        got = m[name]
        passed = None if got is None else got == limits[name]
        checks.append(_check(name, passed, f"is {got}, expected {limits[name]}", "reject"))
    return checks


def card_quality(measurements: Mapping[str, Any], checks: Sequence[Check], *, fits: Sequence[float] = ()) -> Quality:
    """The quality score of an image post, 0–1: a weighted mean as a video's, of what a still has (docs/formats.md)."""
    failed = [check.name for check in checks if check.passed is False]
    parts: dict[str, float | None] = {
        "technical": quality.technical(checks),
        "text_contrast": _ramp(measurements.get("least_text_contrast"), 1.5, 4.5) if measurements.get("text_areas") else None,
        "sharpness": quality.sharpness(measurements),
        "contrast": quality.contrast(measurements),
        "detail": quality.detail(measurements),
        "variety": quality.variety(measurements) if measurements.get("cards", 0) > 1 else None,
        "fit": quality.fit(fits),
    }  # fmt: skip
    known = {name: round(value, 4) for name, value in parts.items() if value is not None}
    mean = sum(WEIGHTS[name] * value for name, value in known.items()) / sum(WEIGHTS[name] for name in known)
    if failed:
        mean = min(mean, FAILED_AT_MOST)
    return Quality(score=int(mean * 100 + 1e-9) / 100, parts=known, failed=failed)


def _decoded(path: Path) -> Pixels | None:
    """The picture of a JPEG that ends as one; OpenCV would fill what is missing with grey."""
    data = np.fromfile(path, np.uint8)
    raw = data.tobytes()
    if not raw.startswith(b"\xff\xd8\xff") or not raw.rstrip(b"\0").endswith(b"\xff\xd9"):
        return None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if picture is None else np.asarray(picture, np.uint8)


def _small(picture: Pixels) -> Pixels:
    """At 360 lines on the short side, as the video's pictures are measured."""
    share = min(_ANALYSIS_LINES / min(picture.shape[:2]), 1.0)
    size = (max(round(picture.shape[1] * share), 1), max(round(picture.shape[0] * share), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _variety(pictures: Sequence[Pixels]) -> float:
    """The mean difference of colour, 0–1, between each card and the next, over 16 x 16 cells."""
    if len(pictures) < 2:
        return 0.0
    cells = [cv2.resize(p, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32) / 255 for p in pictures]
    return round(float(np.mean([np.abs(b - a).mean() for a, b in pairwise(cells)])), 4)


def _check(name: str, passed: bool | None, evidence: str, severity: Literal["review", "reject"]) -> Check:
    return Check(
        name=f"technical.{name}", category="technical", score=1.0 if passed else 0.0, threshold=1.0, passed=passed,
        evidence=evidence, provider=PROVIDER, severity=severity,
    )  # fmt: skip


def _measured(name: str, value: float | None, least: float, unit: str) -> Check:
    if value is None:
        return _check(name, None, f"could not be measured; expected at least {least:g} {unit}", "review")
    return _check(name, value >= least, f"{value:g}, expected at least {least:g} {unit}", "review")


def _ramp(value: Any, nothing: float, all_of_it: float) -> float:
    return 0.0 if value is None else min(1.0, max(0.0, (float(value) - nothing) / (all_of_it - nothing)))
