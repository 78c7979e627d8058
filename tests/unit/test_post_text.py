"""What stands below a post: chapters where players read them, credits that are never cut."""

from __future__ import annotations

from chimera.domain.post_text import MOST, chapter_list, described


def marks(*seconds: float) -> list[dict[str, object]]:
    return [{"seconds": at, "title": f"Part {n}"} for n, at in enumerate(seconds, 1)]


def test_chapters_are_listed_only_where_a_player_takes_them() -> None:
    assert chapter_list("Title", marks(12, 30, 75)) == "0:00 Title\n0:12 Part 1\n0:30 Part 2\n1:15 Part 3"
    assert chapter_list("Title", marks(2.5, 14, 30)) == "0:00 Part 1\n0:14 Part 2\n0:30 Part 3"
    assert chapter_list("Title", marks(0, 5, 30)) == "", "one of them is shorter than ten seconds"
    assert chapter_list("Title", marks(0, 20)) == "" and chapter_list("Title", []) == ""


def test_credits_stand_last_and_whole_however_long_the_text_is() -> None:
    credits = [f"Picture {n} by Somebody, CC-BY-4.0" for n in range(9)]
    text = described("word " * 2000, "Title", {"credits": credits, "chapters": marks(0, 10, 20)})
    assert len(text) <= MOST and text.endswith("\n".join(["Pictures:", *credits]))
    assert described("  Only this. ", "Title", {}) == "Only this."


def test_more_credits_than_a_description_holds_are_all_there_each_shortened() -> None:
    credits = [f"{n}: Photo by somebody {'x' * 780}" for n in range(12)] + ["12: short"]
    found = described("Text.", "T", {"credits": credits})
    assert len(found) <= 5000 and found.endswith("\n12: short")
    assert all(f"\n{n}: Photo by somebody x" in found for n in range(12))
