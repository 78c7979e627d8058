"""Cuts a script into the posts of a thread: at sentence ends, numbered, each within what its platform counts.

Limits and how they are counted, looked up in November 2026: X 280 weighted (an address is 23, most letters outside
Latin, Greek and Cyrillic 2, an emoji 2; docs.x.com, "Counting characters") · Bluesky 300 graphemes and 3,000 bytes
(app.bsky.feed.post) · Threads 500, an emoji as many as its UTF-8 bytes (Meta's Threads API, "Posts") · Mastodon 500, an
address is 23 (docs.joinmastodon.org, "Posting to your profile").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chimera.domain.folding import sentences
from chimera.errors import ChimeraError
from chimera.media.text import graphemes

MOST_POSTS = 25
ADDRESS_LENGTH = 23
_SAME_WORDS = 3  # of a title within a sentence, or the other way round, say that they are the same
_ADDRESS = re.compile(r"https?://[^\s<>\"]+")
# Weight 1 on X; everything else is 2 (twitter-text's configuration v3).
_LIGHT = ((0x0, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))


@dataclass(frozen=True)
class Piece:
    """A sentence and the scene of the brief that it is from."""

    text: str
    scene: int


@dataclass(frozen=True)
class ThreadPost:
    """A post's text as it is sent, and the scenes whose words begin in it."""

    text: str
    scenes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Thread:
    """The posts in order, and the sentences for which there was no room."""

    posts: tuple[ThreadPost, ...]
    left_out: tuple[str, ...] = ()


def x_length(text: str) -> int:
    """What X counts: at most 280."""
    text = unicodedata.normalize("NFC", text)
    found = 0
    for piece, address in _addresses(text):
        found += ADDRESS_LENGTH if address else sum(_x_weight(one) for one in graphemes(piece))
    return found


def _x_weight(cluster: str) -> int:
    if _is_emoji(cluster):
        return 2
    return sum(1 if any(a <= ord(c) <= b for a, b in _LIGHT) else 2 for c in cluster)


def threads_length(text: str) -> int:
    """What Threads counts: at most 500."""
    return sum(len(one.encode()) if _is_emoji(one) else len(one) for one in graphemes(text))


def mastodon_length(text: str) -> int:
    """What Mastodon counts: at most 500."""
    return sum(ADDRESS_LENGTH if address else len(graphemes(piece)) for piece, address in _addresses(text))


def bluesky_length(text: str) -> int:
    """What Bluesky counts: at most 300; also its 3,000 bytes, as a share of 300."""
    return max(len(graphemes(text)), -(-len(text.encode()) // 10))


_COUNTS: dict[str, tuple[Callable[[str], int], int]] = {
    "x": (x_length, 280),
    "bluesky": (bluesky_length, 300),
    "threads": (threads_length, 500),
    "mastodon": (mastodon_length, 500),
}
_ALIASES = {"twitter": "x", "bsky": "bluesky"}


def _counts(platform: str) -> list[tuple[Callable[[str], int], int]]:
    """How a platform counts; one that is not known (or none) has to do for all."""
    name = platform.strip().lower()
    known = _COUNTS.get(_ALIASES.get(name, name))
    return [known] if known else list(_COUNTS.values())


def limit_of(platform: str) -> int:
    """The most that a platform's own count allows; for none, the strictest."""
    return min(limit for _, limit in _counts(platform))


def fits(text: str, platform: str = "") -> bool:
    """Whether a text is one post there; for no platform, everywhere."""
    return all(count(text) <= limit for count, limit in _counts(platform))


def too_long(posts: Sequence[str], platform: str = "") -> list[int]:
    """The numbers, from 1, of the posts that do not fit."""
    return [number for number, text in enumerate(posts, 1) if not fits(text, platform)]


def cut_thread(
    scenes: Sequence[str],
    *,
    title: str = "",
    closing: str = "",
    platform: str = "",
    most: int = MOST_POSTS,
) -> Thread:
    """The posts of a script: as many whole sentences in each as fit, numbered "2/7", `closing` (sources) the last of them.

    `scenes`: what each scene says. The first post begins with the title, unless its first sentence says the same. A
    sentence that is longer than a post goes on in the next one after "…". Raises `VALIDATION_FAILED` for a script
    without words or less room than two posts.
    """
    pieces = [Piece(one, index) for index, text in enumerate(scenes) for one in sentences(text)]
    if not pieces or most < 2:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"thread: got {len(pieces)} sentences for {most} posts, expected one or more for at least 2",
        )
    parts = [part for piece in pieces for part in _short_enough(piece, platform)]
    posts: list[tuple[str, list[int]]] = []
    started: set[int] = set()
    left: list[str] = []
    head = title.strip()
    said = any(same_words(head, piece.text) for piece in pieces if piece.scene == pieces[0].scene)
    if head and not said and fits(_numbered(f"{head}\n\n{parts[0].text}"), platform):
        parts[0] = Piece(f"{head}\n\n{parts[0].text}", parts[0].scene)
    for part in parts:
        grown = f"{posts[-1][0]} {part.text}" if posts else part.text
        if posts and fits(_numbered(grown), platform):
            posts[-1] = (grown, posts[-1][1])
        elif len(posts) < most - 1:
            posts.append((part.text, []))
        else:
            left.append(part.text)
            continue
        if part.scene not in started:
            started.add(part.scene)
            posts[-1][1].append(part.scene)
        if left:  # nothing is told out of its order
            left.append(part.text)
    posts.append((_closing(closing, platform), []))
    count = len(posts)
    numbered = tuple(
        ThreadPost(text=f"{text} {number}/{count}", scenes=tuple(begun))
        for number, (text, begun) in enumerate(posts, 1)
    )
    return Thread(posts=numbered, left_out=tuple(left))


def _numbered(text: str) -> str:
    return f"{text} {MOST_POSTS}/{MOST_POSTS}"


def same_words(title: str, sentence: str) -> bool:
    """Whether one of them says no more than the other."""
    plain, said = (re.sub(r"\W+", " ", text).strip().casefold() for text in (title, sentence))
    short, long = sorted((plain, said), key=len)
    return short == long or (short in long and len(short.split()) >= _SAME_WORDS)


def _closing(text: str, platform: str) -> str:
    """The last post: as many of its lines as fit."""
    lines = [line for line in text.strip().splitlines() if line.strip()] or ["—"]
    while len(lines) > 1 and not fits(_numbered("\n".join(lines)), platform):
        lines.pop(-2 if len(lines) > 2 else -1)
    kept = "\n".join(lines)
    return kept if fits(_numbered(kept), platform) else _head(kept, platform)[0]


def _short_enough(piece: Piece, platform: str) -> list[Piece]:
    """The sentence, in parts where it is longer than a post: cut at a word's end, an ellipsis at both sides."""
    found: list[Piece] = []
    rest = piece.text
    while not fits(_numbered(rest), platform):
        head, rest = _head(rest, platform)
        found.append(Piece(head, piece.scene))
        rest = f"… {rest}"
    return [*found, Piece(rest, piece.scene)]


def _head(text: str, platform: str) -> tuple[str, str]:
    """As much of a text as fits with an ellipsis, and the rest."""
    clusters = graphemes(text)
    low, high = 1, len(clusters)
    while low < high:  # the longest prefix that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(_numbered("".join(clusters[:middle]) + "…"), platform) else (low, middle - 1)
    cut = low
    space = max((i for i in range(cut) if clusters[i].isspace()), default=-1)
    if space > cut * 0.5 and cut < len(clusters):
        cut = space
    return "".join(clusters[:cut]).rstrip(" ,;:–-") + "…", "".join(clusters[cut:]).strip()


def _addresses(text: str) -> list[tuple[str, bool]]:
    """The text in pieces: (piece, whether it is a web address)."""
    found: list[tuple[str, bool]] = []
    at = 0
    for match in _ADDRESS.finditer(text):
        found += [(text[at : match.start()], False), (match[0], True)]
        at = match.end()
    return [*found, (text[at:], False)]


def _is_emoji(cluster: str) -> bool:
    return any(
        0x1F000 <= ord(c) <= 0x1FAFF or 0x2600 <= ord(c) <= 0x27BF or ord(c) in {0x20E3, 0xFE0F} for c in cluster
    )
