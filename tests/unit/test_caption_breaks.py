"""Captions: where lines and cues break, by language; odd input; reading speed."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.media.captions import MAX_CHARS_PER_SECOND, Cue, coverage, gaps_ok, make_cues, reading
from chimera.media.models import Word
from chimera.media.text import graphemes

LINE = 21


def spoken(text: str, *, pace: float = 0.062) -> list[Word]:
    """A voice that takes `pace` seconds a character and pauses at punctuation."""
    words, at = [], 0.2
    for text_word in text.split():
        end = at + max(len(text_word), 2) * pace
        words.append(Word(text=text_word, start=round(at, 3), end=round(end, 3)))
        at = end + (0.35 if text_word[-1] in ".?!。" else 0.1 if text_word[-1] in ",;" else 0.01)
    return words


def cues_of(text: str, language: str = "en", **options: object) -> list[Cue]:
    words = spoken(text)
    return make_cues(words, line_chars=LINE, limit=words[-1].end + 1, language=language, **options)  # type: ignore[arg-type]


def breaks(cues: list[Cue]) -> list[tuple[str, str]]:
    """The words on both sides of each line break and cue break."""
    lines = [line for cue in cues for line in cue.lines]
    return [(a[-1].text, b[0].text) for a, b in pairwise(lines)]


@pytest.mark.parametrize(
    ("language", "text", "together"),
    [
        ("en", "Last year the data centres used about 415 terawatt hours of power, says Dr. Birol.",
         [("the", "data"), ("415", "terawatt"), ("of", "power,"), ("Dr.", "Birol.")]),
        ("de", "Die Rechenzentren verbrauchten rund 415 Terawattstunden, weil die größten Firmen nicht auf die KI verzichten.",
         [("415", "Terawattstunden,"), ("die", "größten"), ("die", "KI")]),
        ("fr", "Les centres de données ont utilisé 415 térawattheures, mais la demande va doubler dans les dix ans.",
         [("de", "données"), ("415", "térawattheures,"), ("la", "demande"), ("les", "dix")]),
        ("es", "Los centros de datos usaron 415 teravatios hora, pero la demanda va a crecer en los próximos años.",
         [("de", "datos"), ("la", "demanda"), ("los", "próximos")]),
    ],
)  # fmt: skip
def test_articles_numbers_and_titles_stay_with_their_noun(
    language: str, text: str, together: list[tuple[str, str]]
) -> None:
    found = breaks(cues_of(text, language))
    assert found, "the text is long enough to break"
    assert not set(found) & set(together)


def test_a_cue_ends_at_a_comma_or_before_a_conjunction_where_one_is_near() -> None:
    texts = [c.text.replace("\n", " ") for c in cues_of("It was cold in the town, but the rock stayed warm and dry.")]
    assert texts[0] == "It was cold in the town,"
    texts = [
        c.text.replace("\n", " ") for c in cues_of("Nobody believed in the plan because it cost a fortune back then.")
    ]
    assert any(t.startswith("because") for t in texts)


def test_cues_never_cross_sentences_and_abbreviations_do_not_end_one() -> None:
    for cue in cues_of("We met Dr. Li. She was late. It was 5 p.m. on Monday! Really? Yes."):
        inside = [w.text for w in cue.words[:-1]]
        assert not any(t.endswith((".", "!", "?")) and t not in {"Dr.", "p.m."} for t in inside)


def test_two_lines_are_balanced() -> None:
    cue = cues_of("We keep the summer heat under a field.")[0]
    upper, lower = (len(line) for line in cue.text.split("\n"))
    assert abs(upper - lower) <= 8


def test_chinese_breaks_between_characters_and_follows_kinsoku() -> None:
    text = (
        "数据中心在2024年使用了大约415太瓦时的电力，占全世界电力的百分之一点五。到二〇三〇年，这个数字“可能”会翻一番。"
    )
    cues = make_cues([Word(text=text, start=0, end=12)], line_chars=LINE, limit=13, language="zh")
    assert "".join(c.text.replace("\n", "") for c in cues) == text
    lines = [line for c in cues for line in c.text.split("\n")]
    assert len(lines) > 3
    assert all(len(line) <= 16 for line in lines)
    assert not any(line[0] in "，。、”" or line[-1] in "“（" for line in lines)
    assert "2024" in "".join(lines) and not any(line.endswith(("20", "202", "41", "4")) for line in lines)
    assert gaps_ok(cues) and cues[-1].end <= 13
    assert any(c.text.endswith("五。") for c in cues), "the first sentence ends a cue"


def test_words_per_character_and_per_phrase_give_the_same_text() -> None:
    text = "今日は天気がいいから、散歩しましょう。"
    each = [Word(text=c, start=i * 0.2, end=i * 0.2 + 0.2) for i, c in enumerate(text)]
    whole = [Word(text=text, start=0, end=len(text) * 0.2)]
    by_char, by_phrase = (make_cues(w, line_chars=LINE, limit=6, language="ja") for w in (each, whole))
    assert (
        "".join(c.text for c in by_char).replace("\n", "")
        == "".join(c.text for c in by_phrase).replace("\n", "")
        == text
    )


@pytest.mark.parametrize(
    "text", ["ศูนย์ข้อมูลใช้ไฟฟ้าประมาณสี่ร้อยสิบห้าเทระวัตต์ชั่วโมงในปีที่แล้ว", "មជ្ឈមណ្ឌលទិន្នន័យប្រើប្រាស់អគ្គិសនីច្រើនណាស់ក្នុងឆ្នាំនេះ"]
)
def test_thai_and_khmer_are_never_cut_inside_a_character(text: str) -> None:
    cues = make_cues([Word(text=text, start=0, end=6)], line_chars=12, limit=7, language="th")
    lines = [line for c in cues for line in c.text.split("\n")]
    assert "".join(lines) == text and len(lines) > 2
    whole = graphemes(text)
    assert [g for line in lines for g in graphemes(line)] == whole


@pytest.mark.parametrize(
    ("text", "count"),
    [("e\u0301a", 2), ("👩‍👩‍👧x", 2), ("👍🏽", 1), ("🇩🇪🇫🇷", 2), ("กำลัง", 3), ("नमस्ते", 3), ("ệ", 1), ("ក្ន", 1), ("", 0)],
)  # fmt: skip
def test_graphemes(text: str, count: int) -> None:
    assert len(graphemes(text)) == count
    assert "".join(graphemes(text)) == text


def test_vietnamese_keeps_its_marks() -> None:
    text = "Các trung tâm dữ liệu đã sử dụng khoảng 415 terawatt giờ điện trong năm nay."
    assert " ".join(c.text.replace("\n", " ") for c in cues_of(text, "vi")) == text


def test_emphasis_is_numbers_negations_superlatives_or_what_the_author_marks() -> None:
    def strong(text: str, language: str = "en") -> list[str]:
        return [w.text for c in cues_of(text, language) for i, w in enumerate(c.words) if i in c.emphasis]

    assert strong("Nobody paid 40% for the biggest field.") == ["Nobody", "40%", "biggest"]
    assert strong("We don't know.") == ["don't"]
    assert strong("Das ist nicht die größte Stadt.", "de") == ["nicht", "größte"]
    assert strong("We *really mean* this, 40 times.") == ["really", "mean"]
    assert [w.text for c in cues_of("We *really mean* it.") for w in c.words] == ["We", "really", "mean", "it."]
    assert [w.text for c in cues_of("2 * 3 is *six.") for w in c.words] == ["2", "*", "3", "is", "*six."]


def test_reading_speed_is_kept_by_staying_into_the_pause_and_a_fast_voice_is_told() -> None:
    words = spoken("A rather hasty but short sentence.", pace=0.03)
    slow = make_cues(words, line_chars=LINE, limit=words[-1].end + 3)
    assert reading(slow).over == 0
    fast = spoken(
        "Extraordinary circumstances everywhere demand extraordinary measures immediately and forever.", pace=0.02
    )
    told = reading(make_cues(fast, line_chars=LINE, limit=fast[-1].end))
    assert told.over == told.voice_too_fast > 0
    assert reading([]).cues == 0


def test_widths_are_held_where_a_measure_is_given() -> None:
    cues = cues_of("Wide words may need more room than narrow ones will.", measure=lambda t: 20.0 * len(t), width=200.0)
    assert all(len(line) <= 10 or " " not in line for c in cues for line in c.text.split("\n"))


def odd(text: str, start: float, end: float) -> Word:
    return Word.model_construct(text=text, start=start, end=end)


@pytest.mark.parametrize(
    "words",
    [
        [odd("a", 5, 6), odd("b", 1, 2), odd("c", 3, 4)],
        [odd("a", -3, -2), odd("b", float("nan"), 1), odd("c", 1, float("inf"))],
        [odd("a", 0, 9), odd("b", 0, 9), odd("c", 0, 9)],
        [odd("", 0, 1), odd("  ", 1, 2), odd("a", 2, 2), odd("b", 2, 2), odd("c", 2, 2)],
        [odd("a", 1, 2), odd("b", 99, 100), odd("c", 3, 4)],
    ],
)
def test_times_that_make_no_sense_still_give_cues_in_order(words: list[Word]) -> None:
    cues = make_cues(words, line_chars=LINE, limit=10.0)
    assert [w.text for c in cues for w in c.words] == ["a", "b", "c"]
    assert gaps_ok(cues) and all(0 <= c.start < c.end <= 101 for c in cues)
    starts = [w.start for c in cues for w in c.words]
    assert starts == sorted(starts)


def test_one_outlier_does_not_move_its_neighbours() -> None:
    words = [odd("one", 1, 2), odd("two", 90, 91), odd("three", 3, 4), odd("four.", 4, 5)]
    kept = {w.text: w.start for c in make_cues(words, line_chars=40, limit=6.0) for w in c.words}
    assert kept["one"] == 1 and kept["three"] == 3 and 1 < kept["two"] < 3


def test_a_word_of_400_characters_and_ten_thousand_words() -> None:
    word = Word(text="x" * 400, start=0, end=5)
    long = make_cues([word], line_chars=LINE, limit=6)
    assert len(long) == 1 and long[0].text.startswith("x" * 80) and long[0].text.endswith("x…")
    assert long[0].chars_per_second <= MAX_CHARS_PER_SECOND
    assert coverage(f"Say {word.text} now", f"Say {long[0].text} now") == 1.0
    assert coverage(f"Say {word.text} now", "Say yyyyyyyyyyyyy… now") < 1.0
    assert make_cues([Word(text="x" * 400, start=0, end=25)], line_chars=LINE, limit=25)[0].text == "x" * 400
    many = [Word(text=f"word{i % 97}" + "." * (i % 14 == 13), start=i * 0.3, end=i * 0.3 + 0.28) for i in range(10_000)]
    before = time.process_time()
    cues = make_cues(many, line_chars=LINE, limit=3001)
    used = time.process_time() - before
    assert sum(len(c.words) for c in cues) == 10_000
    assert used < 10, "about 0.6 s; a quadratic algorithm would take minutes"


def test_coverage_of_scripts_without_blanks_and_of_long_texts() -> None:
    assert coverage("我们今天去学校", "我们今天\n去学校") == 1.0
    assert coverage("a b c d", "a b x d") == 0.75
    assert coverage("It is 安静 and fast", "It is安静and fast") == 1.0
    text = " ".join(f"w{i % 700}" for i in range(10_000))
    assert coverage(text, text) == 1.0
    assert coverage("What the fuck is this", "What the f*** is this") == 1.0


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(min_size=0, max_size=12), st.floats(-5, 30), st.floats(-5, 30)), max_size=30),
    st.sampled_from(["en", "de", "zh", "ar", "th", "xx"]),
    st.integers(8, 60),
)
def test_any_words_give_ordered_cues(items: list[tuple[str, float, float]], language: str, width: int) -> None:
    cues = make_cues([odd(*item) for item in items], line_chars=width, limit=20.0, language=language)
    assert gaps_ok(cues)
    assert all(c.end > c.start >= 0 and 1 <= len(c.lines) <= 2 and all(c.lines) for c in cues)
    assert all(max(c.emphasis, default=-1) < len(c.words) for c in cues)
