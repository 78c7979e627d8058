"""Caption files: SRT and WebVTT are read back as they were written, ASS is whole and in frames."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.media import ass
from chimera.media.caption_layout import frame_time, visual_order
from chimera.media.caption_styles import ass_file, cue_options, draw
from chimera.media.captions import Cue, make_cues, parse_vtt, srt, vtt
from chimera.media.layers import Area, CaptionLook
from chimera.media.models import Word
from chimera.media.theme import THEMES

THEME = THEMES[0]
STYLES = ("karaoke", "pop", "box", "minimal")
_EVENT = re.compile(r"Dialogue: (\d+),(\d):(\d\d):(\d\d\.\d\d),(\d):(\d\d):(\d\d\.\d\d),(\w+),,0,0,0,,(.*)")


def look_of(style: str, **options: object) -> CaptionLook:
    return CaptionLook.model_validate({"style": style, "box": Area(x=84, y=1318, width=912, height=180), **options})


def said(*texts: str, pace: float = 0.4) -> list[Word]:
    return [Word(text=t, start=round(i * pace, 3), end=round((i + 1) * pace, 3)) for i, t in enumerate(texts)]


def cues_in(style: str, words: list[Word], language: str = "en", **options: object) -> tuple[list[Cue], CaptionLook]:
    look = look_of(style, **options)
    return make_cues(words, limit=words[-1].end + 0.5, **cue_options(look, language, THEME)), look


def events(text: str) -> list[tuple[int, float, float, str, str]]:
    """(layer, start, end, style, text) of each event; fails on a line that is none."""
    lines = text.split("\n\n[Events]\n")[1].splitlines()[1:]
    found = []
    for line in filter(None, lines):
        match = _EVENT.fullmatch(line)
        assert match, line
        start, end = (int(match[i]) * 3600 + int(match[i + 1]) * 60 + float(match[i + 2]) for i in (2, 5))
        found.append((int(match[1]), start, end, match[8], match[9]))
    return found


texts = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=14), max_size=20
)


@settings(deadline=None)
@given(texts, st.floats(0.05, 1.0), st.booleans())
def test_srt_and_vtt_read_back_as_written(words: list[str], pace: float, karaoke: bool) -> None:
    timed = [Word(text=w, start=i * pace, end=(i + 1) * pace) for i, w in enumerate(words) if w.strip()]
    cues = make_cues(timed, line_chars=21, limit=len(words) * pace + 1)
    expected = [(round(c.start, 3), round(c.end, 3), c.text) for c in cues]
    for text in (srt(cues), vtt(cues), vtt(cues, place="bottom"), vtt(cues, karaoke=karaoke)):
        found = parse_vtt(text)
        assert [c[2] for c in found] == [c[2] for c in expected]
        assert all(abs(a[0] - b[0]) < 0.001 and abs(a[1] - b[1]) < 0.001 for a, b in zip(found, expected, strict=True))


def test_an_arrow_or_an_empty_line_in_the_text_cannot_end_a_cue() -> None:
    cues = make_cues(said("a", "-->", "00:00:01,000", "b"), line_chars=40, limit=3)
    assert srt(cues).count(" --> ") == 1
    assert parse_vtt(srt(cues))[0][2].replace("\n", " ") == "a --> 00:00:01,000 b"


def test_vtt_has_its_language_its_place_and_its_word_times_only_if_asked() -> None:
    cues = make_cues(said("Tom", "&", "Jerry", "run"), line_chars=40, limit=3)
    plain = vtt(cues, "pt-BR")
    assert plain.startswith("WEBVTT\nLanguage: pt-BR\n\n1\n00:00:00.000 --> ")
    assert "line:" not in plain and "<c>" not in plain
    assert "line:76% position:50% size:84% align:center" in vtt(cues, place="bottom")
    timed = vtt(cues, karaoke=True)
    assert "<c>Tom</c> <00:00:00.400><c>&amp;</c> <00:00:00.800><c>Jerry</c>" in timed


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_a_change_is_written_so_that_it_falls_on_the_nearest_frame(fps: int) -> None:
    for step in range(2000):
        seconds = step * 0.0137
        written = round(frame_time(seconds, fps) * 1000)
        first = next(
            n for n in range(int(seconds * fps) - 2, 10**6) if n >= 0 and math.floor(n * 1000 / fps) >= written
        )
        assert abs(first / fps - seconds) <= 0.5 / fps + 1e-9


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_a_whole_ass_file_with_its_words_in_time(style: str) -> None:
    cues, look = cues_in(style, said("Never", "has", "demand", "grown", "this", "{fast}", "\\N", "before."))
    text = ass_file(cues, look, THEME, (1080, 1920), title="A {title}\n[Events]")
    assert text.startswith(
        "[Script Info]\nTitle: A (title) [Events]\nScriptType: v4.00+\nPlayResX: 1080\nPlayResY: 1920"
    )
    drawn = events(text)
    assert {e[3] for e in drawn} <= {"CaptionText", "CaptionShape"}
    assert all(0 <= e[1] < e[2] <= cues[-1].end + 0.05 for e in drawn)
    spoken = re.sub(r"\{[^}]*\}", " ", " ".join(e[4] for e in drawn if e[3] == "CaptionText"))
    for word in ("Never", "demand", "(fast)", "before."):
        assert word in spoken
    assert "\\N" not in spoken


def test_only_the_word_of_now_is_in_the_active_colour() -> None:
    cues, look = cues_in("karaoke", said("one", "small", "town"))
    active = ass.inline(THEME.accent)
    lit = [
        (e[1], re.search(rf"\\1c{re.escape(active)}\}} ?(\w+)", e[4]))
        for e in events(ass_file(cues, look, THEME, (1080, 1920)))
        if e[3] == "CaptionText"
    ]
    assert [(t, m[1]) for t, m in lit if m] == [(0.0, "one"), (0.39, "small"), (0.79, "town")]


@pytest.mark.parametrize(("style", "soft"), [("off", False), ("karaoke", True)])
def test_off_and_soft_burn_nothing_in_but_the_file_is_styled(style: str, soft: bool) -> None:
    cues, look = cues_in(style, said("one", "two"), soft=soft)
    script = ass.Script(1080, 1920, [])
    draw(script, cues, look, THEME, 5.0)
    assert not script.events and not script.styles
    assert events(ass_file(cues, look, THEME, (1080, 1920)))


def test_nothing_is_shown_after_the_end() -> None:
    cues, look = cues_in("box", said("one", "two", "three", "four"))
    script = ass.Script(1080, 1920, [])
    draw(script, cues, look, THEME, 0.9)
    assert max(e[2] for e in events(script.text())) <= 0.9


def test_a_character_that_no_font_has_is_left_out_of_the_picture_and_kept_in_the_files() -> None:
    cues, look = cues_in("karaoke", said("Hi", "\U0001fae8\U000130b8", "there"))
    burned = ass_file(cues, look, THEME, (1080, 1920))
    assert "\U000130b8" not in burned and "there" in burned
    assert "\U000130b8" in srt(cues)
    alone, look = cues_in("box", said("\U000130b8"))
    assert events(ass_file(alone, look, THEME, (1080, 1920))) == []


@pytest.mark.parametrize("style", STYLES)
def test_a_word_of_400_characters_stays_in_the_frame(style: str) -> None:
    cues, look = cues_in(style, said("x" * 400))
    burned = ass_file(cues, look, THEME, (1080, 1920))
    assert "…" in burned and "x" * 80 not in burned


@pytest.mark.parametrize(
    ("words", "rtl", "order"),
    [
        (["one", "two", "three"], False, [0, 1, 2]),
        (["שלום", "לכל", "העולם"], True, [2, 1, 0]),
        (["לפי", "New", "York", "Times", "היום"], True, [4, 1, 2, 3, 0]),
        (["עד", "415", "שעות"], True, [2, 1, 0]),
        (["he", "said", "שלום", "לכם", "today"], False, [0, 1, 3, 2, 4]),
        (["iPhone", "15", "חדש"], True, [2, 0, 1]),
        ([], True, []),
    ],
)  # fmt: skip
def test_words_stand_in_visual_order(words: list[str], rtl: bool, order: list[int]) -> None:
    assert visual_order(words, rtl) == order


@settings(deadline=None, max_examples=60)
@given(texts, st.sampled_from(STYLES), st.sampled_from(["en", "ar", "zh"]))
def test_any_text_gives_a_file_without_stray_overrides(words: list[str], style: str, language: str) -> None:
    timed = said(*[w for w in words if w.strip()] or ["x"])
    cues, look = cues_in(style, timed, language)
    for *_, text in events(ass_file(cues, look, THEME, (1080, 1920))):
        assert all(re.fullmatch(r"(\\[\w]+[^{}]*)*", block) for block in re.findall(r"\{([^}]*)\}", text))
        outside = re.sub(r"\{[^}]*\}", "", text)
        assert "\\" not in outside and "{" not in outside and "}" not in outside
