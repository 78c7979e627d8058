"""Profanity masking: whole words with their endings, never a name that contains one."""

from __future__ import annotations

import codecs

import pytest

from chimera.domain.masking import is_profane, mask
from chimera.media.captions import make_cues, srt, vtt
from chimera.media.models import Word


def clear(text: str) -> str:
    return codecs.decode(text, "rot13")


@pytest.mark.parametrize(
    ("rot", "masked"),
    [
        ("shpx", "f***"), ("Shpxvat", "F******"), ("fuvg,", "s***,"), ("“OHYYFUVG!”", "“B*******!”"),
        ("fuvggl", "s*****"), ("zbgureshpxref", "m************"), ("ovgpu'f", "b****'s"), ("nffubyrf", "a*******"),
        ("shpx-hc", "f***-up"),
    ],
)  # fmt: skip
def test_swearing_keeps_its_first_letter_and_its_length(rot: str, masked: str) -> None:
    text = clear(rot)
    assert mask(text) == masked
    assert len(mask(text)) == len(text)


@pytest.mark.parametrize(
    "word",
    ["Scunthorpe", "Penistone", "cocktail", "assassin", "class", "shiitake", "Dickens", "spicy", "Pakistan", "raccoon",
     "Cockburn", "button", "hello", "analysis", "title", "Matsushita", "count", "country", "s", "", "f***", "Essex"],
)  # fmt: skip
def test_what_only_contains_one_is_left_alone(word: str) -> None:
    assert mask(word) == word
    assert not is_profane(word)


def test_digits_for_letters_do_not_help() -> None:
    assert mask(clear("fu1g")) == "s***"


def test_in_other_languages_only_what_is_swearing_everywhere() -> None:
    slut = clear("fyhg")
    assert mask(slut, "sv") == slut, "Swedish for end"
    assert mask(slut, "en") == "s***"
    assert mask(clear("shpxvat"), "de") == "f******"


def test_captions_are_masked_in_every_format_and_keep_their_times() -> None:
    words = [Word(text="What", start=0, end=0.3), Word(text=clear("gur"), start=0.3, end=0.5),
             Word(text=clear("shpx?"), start=0.5, end=0.9)]  # fmt: skip
    plain = make_cues(words, line_chars=21, limit=2)
    masked = make_cues(words, line_chars=21, limit=2, mask_profanity=True)
    assert "f***?" in srt(masked) and "f***?" in vtt(masked) and "f***" not in srt(plain)
    assert [(w.start, w.end) for c in masked for w in c.words] == [(w.start, w.end) for c in plain for w in c.words]
