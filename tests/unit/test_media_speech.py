"""What a synthesizer is given to say: numbers, money, dates, units, acronyms."""

from __future__ import annotations

import pytest

from chimera.adapters.voices.normalise import spoken_words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$4.2 billion", "4.2 billion dollars"),
        ("$4.2B.", "4.2 billion dollars."),
        ("£3.2m", "3.2 million pounds"),
        ("$1,250", "1250 dollars"),
        ("$4.20", "4 dollars 20"),
        ("in 2026,", "in 20 26,"),
        ("1905", "19 oh 5"),
        ("2008", "2008"),
        ("the 1990s", "the 19 nineties"),
        ("120 km/h", "120 kilometers per hour"),
        ("-5°C", "minus 5 degrees Celsius"),
        ("10-20%", "10 to 20 percent"),
        ("3.5x", "3.5 times"),
        ("#1", "number 1"),
        ("#AI", "AI"),
        ("Dr. Smith", "Doctor Smith"),
        ("U.S.", "U S"),
        ("Nov. 21", "November 21"),
        ("May 5", "May 5"),
        ("R&D & more", "R&D and more"),
        ("https://www.bbc.co.uk/x", "bbc dot co dot uk"),
        ("“Hi!” 🚀", "Hi! "),
        ("a — b", "a , b"),
    ],
)
def test_english_is_written_out(text: str, said: str) -> None:
    assert " ".join(s for _, s in spoken_words(text, "en-us")) == said


def test_every_written_word_is_kept_and_other_languages_are_left_alone() -> None:
    text = "5 km für $3 🚀 ¿qué?"
    assert [w for w, _ in spoken_words(text, "en-us")] == text.split()
    assert [s for _, s in spoken_words("in 2026 & 5 km", "de")] == ["in", "2026", "", "5", "km"]
