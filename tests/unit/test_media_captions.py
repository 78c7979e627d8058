"""Captions: sentence-aware cues, reading speed, three formats from one model."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.media.captions import (
    MAX_CHARS_PER_SECOND,
    coverage,
    gaps_ok,
    make_cues,
    parse_vtt,
    shifted,
    srt,
    vtt,
)
from chimera.media.models import Word

TEXT = (
    "Data centres used about 415 terawatt hours of electricity in 2024. That is 1.5% of all the power in the world, "
    "Dr. Smith said. Really?"
)


def spoken(text: str, seconds_per_word: float = 0.35) -> list[Word]:
    return [
        Word(text=w, start=round(i * seconds_per_word, 3), end=round((i + 0.9) * seconds_per_word, 3))
        for i, w in enumerate(text.split())
    ]


def test_a_cue_never_crosses_a_sentence_and_an_abbreviation_ends_none() -> None:
    cues = make_cues(spoken(TEXT), line_chars=22, limit=12.0)
    texts = [c.text.replace("\n", " ") for c in cues]
    assert any(t.endswith("2024.") for t in texts)
    assert any(t.startswith("That is") for t in texts)
    assert not any(t.endswith("Dr.") for t in texts)
    assert texts[-1] == "Really?"


def test_lines_are_two_at_most_and_within_the_width() -> None:
    for width in (18, 22, 38):
        for cue in make_cues(spoken(TEXT), line_chars=width, limit=12.0):
            assert len(cue.lines) <= 2
            assert all(len(" ".join(w.text for w in line)) <= width for line in cue.lines)


def test_a_short_cue_stays_long_enough_and_reading_speed_is_kept_where_the_voice_allows() -> None:
    cues = make_cues(spoken("Yes. Nobody expected that.", 0.3), line_chars=22, limit=6.0)
    assert all(c.end - c.start >= 0.29 for c in cues)
    assert all(
        c.chars_per_second <= MAX_CHARS_PER_SECOND + 0.1 for c in make_cues(spoken(TEXT), line_chars=22, limit=12)
    )


def test_no_words_no_cues() -> None:
    assert make_cues([], line_chars=22, limit=3.0) == []
    assert srt([]) == ""
    assert vtt([]).startswith("WEBVTT")


def test_vtt_escapes_markup_and_reads_back() -> None:
    cues = make_cues(spoken("Tom & <b>Jerry</b> --> run"), line_chars=40, limit=5.0)
    text = vtt(cues, "en")
    assert "&amp;" in text and "&lt;b&gt;" in text and text.count(" --> ") == 1
    assert parse_vtt(text)[0][2].replace("\n", " ") == "Tom & <b>Jerry</b> --> run"
    assert vtt(cues, "x\ninjected").splitlines()[1] == "Language: und"


def test_srt_numbers_and_clock() -> None:
    text = srt(shifted(make_cues(spoken("Hello there."), line_chars=22, limit=3.0), 3600.5))
    assert text.startswith("1\n01:00:00,500 --> 01:00:0")


def test_coverage_counts_words_in_order() -> None:
    assert coverage("one two three four", "one two four") == 0.75
    assert coverage("", "") == 1.0
    assert coverage("one", "") == 0.0


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=1, max_size=30), max_size=40),
    st.floats(0.02, 0.8),
    st.integers(8, 42),
)
def test_cues_keep_every_word_in_order_without_overlap(words: list[str], pace: float, width: int) -> None:
    given_words = [Word(text=w, start=i * pace, end=(i + 1) * pace) for i, w in enumerate(words) if w.strip()]
    cues = make_cues(given_words, line_chars=width, limit=len(words) * pace + 0.5)
    assert [w.text for c in cues for line in c.lines for w in line] == [w.text for w in given_words]
    assert gaps_ok(cues)
    assert all(c.end > c.start for c in cues)
