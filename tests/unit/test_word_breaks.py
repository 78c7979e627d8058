"""Words of scripts without blanks: captions and titles break between them."""

from __future__ import annotations

import pytest

from chimera.media import word_breaks
from chimera.media.captions import make_cues
from chimera.media.flow import tokens
from chimera.media.models import Word
from chimera.media.text import graphemes
from chimera.media.word_breaks import word_ends

THAI = "สวัสดี ครับ วัน นี้ อากาศ ดี มาก"
KHMER = "បណ្ណាល័យ ទីក្រុង នឹងបើក រហូត ដល់ ពាក់ កណ្តាល អធ្រាត្រ"
LAO = "ຫໍ ສະໝຸດ ແຫ່ງຊາດ ຈະ ເປີດ ຮອດ ທ່ຽງ ຄືນ"


def parted(text: str) -> str:
    ends = sorted(word_ends(text))
    return " ".join(text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True))


@pytest.mark.parametrize("text", [THAI, KHMER, LAO])
def test_words_are_found_by_the_dictionary(text: str) -> None:
    assert parted(text.replace(" ", "")) == text


def test_a_long_text_is_parted_like_its_sentences() -> None:
    assert parted(THAI.replace(" ", "") * 12) == " ".join([THAI] * 12)


@pytest.mark.parametrize("text", ["", "ก", "Latin words", "図書館", "ਪੰਜਾਬੀ"])
def test_other_scripts_are_left_alone(text: str) -> None:
    assert word_ends(text) == frozenset()


@pytest.mark.parametrize("text", [THAI, KHMER, LAO])
def test_captions_and_titles_break_between_words(text: str) -> None:
    phrase = text.replace(" ", "")
    cues = make_cues([Word(text=phrase, start=0, end=6)], line_chars=12, limit=7, language="th")
    assert [word.text for cue in cues for word in cue.words] == text.split()
    assert len(cues) + sum(len(cue.lines) for cue in cues) > 2
    assert [token.text for token in tokens(phrase)] == text.split()


def test_what_is_no_word_is_cut_all_the_same() -> None:
    cues = make_cues([Word(text="ฎ" * 100, start=0, end=9)], line_chars=20, limit=9, language="th")
    assert all(len(line[0].text) <= 20 for cue in cues for line in cue.lines)
    assert "".join(word.text for cue in cues for word in cue.words) == "ฎ" * 100


def test_without_a_dictionary_a_phrase_is_cut_between_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    burmese = "ပြည်သူ့စာကြည့်တိုက်သည်"
    assert len(parted(burmese).split()) > 1 and parted(burmese).replace(" ", "") == burmese
    assert all(part == "".join(graphemes(part)) and len(graphemes(part)) <= 4 for part in parted(burmese).split())
    monkeypatch.setattr(word_breaks, "find_spec", lambda _: None)  # as in the transcription container
    word_breaks._ends.cache_clear()
    assert [len(graphemes(part)) for part in parted(THAI.replace(" ", "")).split()] == [4, 4, 4, 4]
    word_breaks._ends.cache_clear()
