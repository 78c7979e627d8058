"""What stands below a post: the brief's description, the video's chapters, the credits of its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

MOST = 5000
"""Characters of a description, as the contract of a publish request has it."""
LEAST_CHAPTERS, LEAST_SECONDS = 3, 10
"""For players to read them as chapters (YouTube Help, "Video chapters": three or more, the first at 0:00, 10 s each)."""


def described(text: str, title: str, metadata: Mapping[str, Any]) -> str:
    """A description of at most 5,000 characters: the text, the chapters, and the credits, of which none is left out.

    `metadata` may have `credits` (lines) and `chapters` (`{seconds, title}`, rising). `title` names what comes before
    the first chapter.
    """
    credits = _credits([str(line) for line in metadata.get("credits") or []])
    above = "\n\n".join(part for part in (text.strip(), chapter_list(title, metadata.get("chapters") or [])) if part)
    if not credits:
        return above[:MOST]
    room = max(MOST - len(credits) - 2, 0)
    return "\n\n".join(part for part in (above[:room].rstrip(), credits) if part)


def _credits(lines: Sequence[str]) -> str:
    """Every picture's credit; where all of them are more than a description holds, each gets its share of the room."""
    if not lines:
        return ""
    head = "Pictures:"
    if len(head) + sum(len(line) + 1 for line in lines) > MOST:
        share = (MOST - len(head)) // len(lines) - 1
        lines = [line if len(line) <= share else f"{line[: max(share - 1, 0)]}…" for line in lines]
    return "\n".join([head, *lines])


def chapter_list(title: str, chapters: Sequence[Mapping[str, Any]]) -> str:
    """A line for each chapter, `M:SS title`; "" where a player would not take them for chapters."""
    marks = [(float(chapter["seconds"]), str(chapter["title"])) for chapter in chapters]
    if marks and marks[0][0] >= LEAST_SECONDS:
        marks = [(0.0, title), *marks]
    elif marks:
        marks[0] = (0.0, marks[0][1])
    if len(marks) < LEAST_CHAPTERS or any(b[0] - a[0] < LEAST_SECONDS for a, b in pairwise(marks)):
        return ""
    return "\n".join(f"{int(at) // 60}:{int(at) % 60:02d} {name}" for at, name in marks)
