"""Text from outside: cleaned for display, never able to command libass, never too long."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.media import ass
from chimera.media.captions import make_cues
from chimera.media.flow import wrap
from chimera.media.fonts import ass_size, drawable, text_width
from chimera.media.layout import LAYOUTS
from chimera.media.models import RenderJob, RenderScene, Word
from chimera.media.text import MAX_TITLE, clean, is_rtl, shorten, source_name, source_names, without_emoji
from chimera.media.theme import theme_for
from chimera.media.timeline import build
from chimera.media.typeset import Page, typeset


def test_markup_controls_and_bidi_overrides_are_taken_out() -> None:
    assert clean("<p>Hi <b>there</b><script>alert(1)</script> &amp; you</p>") == "Hi there & you"
    assert clean("a\x00b\u202ec\nd\u2066e") == "a bc de"
    assert clean("&lt;script&gt;x&lt;/script&gt;ok") == "ok"
    assert clean("2 < 3 and 5 > 4") == "2 < 3 and 5 > 4"


def test_two_megabytes_are_cut() -> None:
    assert len(clean("word " * 400_000, limit=MAX_TITLE)) <= MAX_TITLE
    assert len(clean("x" * 2_000_000, limit=100)) == 100
    assert shorten("a few words here", 10).endswith("…")


def test_direction_emoji_and_source_names() -> None:
    assert is_rtl("123 مرحبا hello") and not is_rtl("hello مرحبا")
    assert without_emoji("Go 🚀 now 👩‍🚀 ★") == "Go now"
    assert source_name("https://www.bbc.co.uk/news/x?y=1") == "bbc.co.uk"
    assert source_name("The Times — https://thetimes.com/a") == "thetimes.com"
    assert source_name("http://[broken") == "http://[broken"
    assert source_names(["https://a.org/1", "https://a.org/2", "", "https://b.org"]) == ["a.org", "b.org"]


def test_the_largest_size_that_fits_is_taken_and_long_words_are_broken() -> None:
    size, lines = wrap("Short title", family="Montserrat", weight=800, width=900, sizes=(100, 80, 60), max_lines=3)
    assert (size, lines) == (100, ["Short title"])
    size, lines = wrap("W" * 200, family="Montserrat", weight=800, width=900, sizes=(100, 60), max_lines=3)
    assert size == 60 and len(lines) == 3 and lines[-1].endswith("…")
    assert all(text_width(line.rstrip("…"), "Montserrat", 800, 60) <= 900 for line in lines)
    assert wrap("", family="Inter", weight=600, width=100, sizes=(20,), max_lines=2)[1] == []
    assert ass_size("Montserrat", 100) > 100


def test_what_no_font_has_is_left_out_and_counted() -> None:
    text, missing = drawable("abc \U00012345 d")
    assert (text, missing) == ("abc d", 1)


NASTY = st.text(max_size=200) | st.sampled_from(
    [
        "{\\p1}m 0 0",
        "\\N\\n\\h",
        "{\\fs999}",
        "a}b{c",
        "\\",
        "{",
        "Dialogue: 0,0:00",
        "\r\n[Events]\nDialogue: x",
        "مرحبا {\\b1}",
    ]
)


@settings(deadline=None)
@given(title=NASTY, shown=NASTY, said=NASTY, source=NASTY)
def test_no_text_can_command_libass(title: str, shown: str, said: str, source: str) -> None:
    """Every brace pair in the file is one that we wrote, and every line is a line that we wrote."""
    words = tuple(Word(text=w, start=i * 0.3, end=i * 0.3 + 0.3) for i, w in enumerate(said.split() or ["x"]))
    scenes = (RenderScene(narration=said), RenderScene(narration=said, on_screen_text=shown, words=words))
    job = RenderJob(title=title, scenes=scenes, sources=(source,))
    timeline = build(job, (1.0, 3.0), LAYOUTS["9:16"])
    page = Page(
        layout=LAYOUTS["9:16"],
        theme=theme_for(1),
        title=title,
        sources=(source,),
        language="en",
        seed=1,
        clip_count=3,
        fps=30,
    )
    for clip in timeline.clips:
        script = typeset(clip, make_cues(clip.words, line_chars=21, limit=clip.seconds(30)), page)
        events = script.split("[Events]\n", 1)[1].splitlines()
        assert all(line.startswith(("Format: ", "Dialogue: ")) for line in events)
        for line in events[1:]:
            body = line.split(",", 9)[9]
            for override in re.findall(r"\{([^}]*)\}", body):
                assert override.startswith("\\")
            plain = re.sub(r"\{\\[^}]*\}", "", body).replace("\\N", "")
            assert "{" not in plain and "}" not in plain and "\\" not in plain


def test_escape() -> None:
    assert ass.escape("{\\b1}x\ny") == "(⁄b1)x y"
