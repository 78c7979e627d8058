"""Every kind of layer as ASS: a golden script, type that stays in its box, leaves before the cut, and can be read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.errors import ChimeraError
from chimera.media.fonts import em_ratio, text_width
from chimera.media.icons import names
from chimera.media.layers import (
    Area,
    ChartLayer,
    IconLayer,
    KineticLayer,
    Layer,
    ListLayer,
    NumberLayer,
    Placed,
    Point,
    ProgressLayer,
    ShapeLayer,
    SourcesLayer,
    TextLayer,
)
from chimera.media.layout import LAYOUTS
from chimera.media.models import RenderScene, Theme, Word
from chimera.media.theme import LIGHT_THEMES, READABLE, THEMES, contrast, rgb
from chimera.media.timeline import Clip, Motion
from chimera.media.type.charts import value_text
from chimera.media.type.numbers import written
from chimera.media.type.text import measure
from chimera.media.typeset import Page, typeset

GOLDEN = Path(__file__).parents[1] / "golden" / "layers.ass"
BOX = Area(x=120, y=300, width=640, height=420)
SAID = "Nobody thought this tiny machine would change anything"
WORDS = tuple(Word(text=w, start=0.4 * i, end=0.4 * i + 0.35) for i, w in enumerate(SAID.split()))


def set_type(
    layers: Sequence[Placed], theme: Theme = THEMES[0], *, words: tuple[Word, ...] = WORDS, seconds: float = 4.0,
    captions: bool = True, title: str = "T",
) -> str:  # fmt: skip
    clip = Clip(
        index=1, kind="statement", scene=RenderScene(narration=SAID), start_frame=0, frames=round(seconds * 30),
        words=words, motion=Motion(zoom=(1.0, 1.0)), layers=tuple(layers),
    )  # fmt: skip
    page = Page(
        layout=LAYOUTS["9:16"], theme=theme, title=title, sources=("https://www.bbc.co.uk/a", "Reuters"), language="en",
        seed=1, clip_count=5, fps=30,
    )  # fmt: skip
    return typeset(clip, (), page, captions=captions)


class Event:
    """A Dialogue line taken apart: times, where it stands, what is drawn."""

    def __init__(self, line: str) -> None:
        head, self.body = line.split(",,0,0,0,,", 1)
        layer, start, stop, self.style = head.removeprefix("Dialogue: ").split(",")[:4]
        self.layer, self.start, self.stop = int(layer), _seconds(start), _seconds(stop)
        self.text = re.sub(r"\{[^}]*\}", "", self.body)
        self.tags = "".join(re.findall(r"\{([^}]*)\}", self.body))
        moved = re.search(r"\\move\(([-\d.]+),([-\d.]+),([-\d.]+),([-\d.]+)", self.tags)
        placed = re.search(r"\\pos\(([-\d.]+),([-\d.]+)\)", self.tags)
        assert moved or placed, line
        self.x = float(moved[3] if moved else placed[1])  # type: ignore[index]
        self.y = float(moved[4] if moved else placed[2])  # type: ignore[index]
        anchor = int(re.search(r"\\an(\d)", self.tags)[1])  # type: ignore[index]
        if self.style == "Shape":
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", self.text)]
            width, self.height = max(numbers[::2]), max(numbers[1::2])
        else:
            family = re.search(r"\\fn([^\\}]+)", self.tags)[1]  # type: ignore[index]
            weight = int(re.search(r"\\b(\d+)", self.tags)[1])  # type: ignore[index]
            self.size = float(re.search(r"\\fs([\d.]+)", self.tags)[1]) * em_ratio(family)  # type: ignore[index]
            spacing = re.search(r"\\fsp([\d.-]+)", self.tags)
            width = text_width(self.text, family, weight, self.size, float(spacing[1]) if spacing else 0.0)
        self.left = self.x - {0: width, 1: 0.0, 2: width / 2}[anchor % 3]
        self.right = self.left + width
        if anchor in (4, 5, 6):
            self.y -= getattr(self, "height", 0.0) / 2


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def events(script: str) -> list[Event]:
    return [Event(line) for line in script.splitlines() if line.startswith("Dialogue:")]


POINTS = tuple(Point(label=label, value=value) for label, value in (("2023", 12), ("2024", 19.5), ("A long label", -7)))
KINDS: dict[str, Placed] = {
    "text": TextLayer(box=BOX, text="The *quiet* race"),
    "kinetic": KineticLayer(box=BOX),
    "shape": ShapeLayer(box=BOX, form="arrow"),
    "number": NumberLayer(box=BOX, text="$4.2 billion", unit="a year", ring=True, share=0.4),
    "chart": ChartLayer(box=BOX, points=POINTS, title="Title", unit="millions"),
    "list": ListLayer(box=BOX, items=("One", "Two", "Three"), active=1),
    "progress": ProgressLayer(box=BOX, number=1, count=4),
    "sources": SourcesLayer(box=BOX),
    "icon": IconLayer(box=BOX, name="rocket"),
}


def test_a_small_scene_is_the_golden_script() -> None:
    """`CHIMERA_GOLDEN=write` in the environment writes it anew; look at the difference before you keep it."""
    small = Area(x=120, y=900, width=640, height=200)
    script = set_type(
        [
            KINDS["progress"].model_copy(update={"box": Area(x=120, y=60, width=640, height=8)}),
            TextLayer(box=BOX, text="The *quiet* race {\\b0} for chips", plate="boxes"),
            NumberLayer(box=small, text="37 %", at=0.5, until=2.5),
            ShapeLayer(box=small, form="check", enter="draw", at_word=2, opacity=0.5, depth=1),
        ]
    )
    if os.environ.get("CHIMERA_GOLDEN") == "write":
        GOLDEN.write_text(script, "utf-8")
    assert script == GOLDEN.read_text("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_drawn_and_is_gone_before_the_cut(kind: str) -> None:
    found = events(set_type([KINDS[kind]]))
    assert found
    assert all(e.stop <= 4.0 for e in found)
    at_the_cut = [e for e in found if e.stop == 4.0 and kind != "progress"]
    assert all(re.search(r"\\fad\(\d+,180\)", e.tags) for e in at_the_cut), "each fades out before its scene ends"
    later = KINDS[kind].model_copy(update={"at": 1.5, "until": 3.0})
    assert all(1.5 <= e.start <= e.stop <= 3.0 for e in events(set_type([later])))


def test_a_layer_comes_with_a_spoken_word() -> None:
    layer = TextLayer(box=BOX, text="machine", at_word=4, at=0.1)
    assert min(e.start for e in events(set_type([layer]))) == pytest.approx(WORDS[4].start)
    assert min(e.start for e in events(set_type([layer], words=()))) == pytest.approx(0.1)


def test_words_come_when_the_voice_says_them() -> None:
    layer = TextLayer(box=BOX, text="this *tiny* machine", enter="words", lines=1, size=40)
    script = set_type([layer])
    starts = [int(ms) for ms in re.findall(r"\\t\((\d+),\d+,\\alpha", script)]
    assert starts == [round(w.start * 1000) for w in WORDS[2:5]]


def test_kinetic_words_stand_from_when_they_are_said() -> None:
    found = events(set_type([KINDS["kinetic"]]))
    assert [e.text for e in found] == SAID.split()
    assert [e.start for e in found] == pytest.approx([w.start for w in WORDS])


areas = st.builds(
    Area, x=st.integers(0, 400), y=st.integers(0, 900), width=st.integers(260, 640), height=st.integers(200, 900)
)
texts = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs"), max_codepoint=0x4FF) | st.sampled_from("{}\\* "),
    max_size=120,
)
labels = st.text(st.characters(min_codepoint=32, max_codepoint=0x17F), max_size=60)
points = st.lists(
    st.builds(Point, label=labels, value=st.floats(-1e6, 1e6, allow_nan=False)), min_size=1, max_size=12
).map(tuple)
plates = st.sampled_from(["none", "bar", "boxes", "pill", "panel", "underline", "marker", "outline"])
enters = st.sampled_from(["none", "fade", "rise", "drop", "slide", "wipe", "pop", "type", "words"])
layers: st.SearchStrategy[Layer] = st.one_of(
    st.builds(TextLayer, box=areas, text=texts, plate=plates, enter=enters, size=st.integers(16, 300),
              align=st.sampled_from(["left", "centre", "right", "start"]), upper=st.booleans()),
    st.builds(KineticLayer, box=areas, size=st.integers(40, 250)),
    st.builds(NumberLayer, box=areas, text=texts.map(lambda t: t[:20]) | st.sampled_from(["-1,250", "$4.2 billion"]),
              unit=labels, ring=st.booleans(), share=st.none() | st.floats(0, 1)),
    st.builds(ChartLayer, box=areas, points=points, title=labels, unit=labels.map(lambda t: t[:40]),
              form=st.sampled_from(["column", "bar", "line", "donut", "compare"])),
    st.builds(ListLayer, box=areas, items=st.lists(labels, min_size=1, max_size=8).map(tuple),
              active=st.integers(-1, 7), marker=st.sampled_from(["number", "bullet", "check", "none"])),
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(layer=layers, theme=st.sampled_from([*THEMES, *LIGHT_THEMES]))
def test_type_stays_between_the_sides_of_its_box(layer: Layer, theme: Theme) -> None:
    box = layer.box
    for event in events(set_type([layer], theme)):
        if event.style == "Type":
            hangs = 2.0 + (13.0 if getattr(layer, "plate", "") == "marker" else 0.0)
            assert event.left >= box.x - hangs, event.text
            assert event.right <= box.x + box.width + hangs, event.text


@settings(max_examples=60, deadline=None)
@given(text=texts, plate=plates, size=st.integers(16, 300), box=areas, lines=st.integers(1, 6))
def test_lines_fit_the_height_of_their_box(text: str, plate: str, size: int, box: Area, lines: int) -> None:
    layer = TextLayer(box=box, text=text, plate=plate, size=size, lines=lines)
    block = measure(layer, THEMES[0])
    if block is None:
        return
    assert len(block.lines) <= lines
    if len(block.lines) > 1:
        assert box.y - 1 <= block.top and block.top + block.height <= box.y + box.height + 1


ODD = ["", " ", "x" * 2000, "wort " * 400, "{\\p1}m 0 0 l 9 9", "a \\N b \\h c", "*", "**", "* *", "مرحبا *بالعالم*",
       "שלום עולם 123", "日本語のニュース、とても長い", "\U0001f680 \U0001f469\u200d\U0001f680", "\U00012345", "a\u202eb", "<b>x</b>"]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_text_neither_fails_nor_commands(text: str) -> None:
    layers = [
        *(TextLayer(box=BOX, text=text, plate=plate) for plate in ("none", "boxes", "pill", "marker", "underline")),
        TextLayer(box=BOX, text=text, enter="type"),
        NumberLayer(box=BOX, text=text[:60]),
        ListLayer(box=BOX, items=(text, "b"), active=0),
        ChartLayer(box=BOX, points=(Point(label=text[:60], value=1),), title=text[:120]),
    ]  # fmt: skip
    script = set_type(layers, words=tuple(Word(text=w, start=0, end=1) for w in text.split()[:50]))
    for event in events(script):
        assert "\\" not in event.text and "{" not in event.text and "}" not in event.text
        if event.style == "Type":
            assert not event.text.startswith("m 0 0"), "a drawing command is only text"


def _drawn(script: str) -> list[tuple[str, str]]:
    """(ground, colour of type on it): each text event with the smallest plate of its layer that lies under it."""
    found = events(script)
    plates = [e for e in found if e.style == "Shape"]
    pairs = []
    for event in found:
        if event.style != "Type":
            continue
        middle = (event.left + event.right) / 2
        base = event.y + event.size * 0.8
        under = [p for p in plates if p.left <= middle <= p.right and p.y <= base <= p.y + p.height + event.size * 0.5]
        ground = min(under, key=lambda p: p.right - p.left) if under else None
        colours = re.findall(r"\\1c&H(..)(..)(..)&", event.tags)
        tint = re.search(r"\\1c&H(..)(..)(..)&", ground.tags) if ground else None
        for blue, green, red in colours:
            pairs.append((f"#{tint[3]}{tint[2]}{tint[1]}" if tint else "", f"#{red}{green}{blue}"))
    return pairs


@pytest.mark.parametrize("theme", [*THEMES, *LIGHT_THEMES], ids=lambda t: t.name)
@pytest.mark.parametrize("plate", ["none", "boxes", "pill", "panel"])
def test_type_can_be_read_on_every_plate_of_every_theme(theme: Theme, plate: str) -> None:
    for under in ("accent", "highlight", "surface", "background", "ink", "#808080", "#ffffff", "#000000"):
        for colour in ("ink", "accent", "highlight", "background", "surface", "#777777"):
            layer = TextLayer(box=BOX, text="one two", lines=1, size=40, plate=plate, plate_colour=under, colour=colour,
                              emphasis=colour)  # fmt: skip
            pairs = _drawn(set_type([layer], theme))
            assert pairs
            for ground, tint in pairs:
                assert contrast(tint, ground or theme.background) >= READABLE - 0.01, (under, colour, ground, tint)
                assert rgb(tint)


@pytest.mark.parametrize("theme", [*THEMES, *LIGHT_THEMES], ids=lambda t: t.name)
def test_the_active_line_of_a_list_and_its_number_can_be_read(theme: Theme) -> None:
    pairs = _drawn(set_type([KINDS["list"]], theme))
    assert all(contrast(tint, ground or theme.background) >= READABLE - 0.01 for ground, tint in pairs)


def test_a_figure_counts_up_to_what_is_written() -> None:
    for text in ("$4.2", "1,250", "37%", "-3,5", "€50m", "0.04", "1’000’000", "12"):
        figure = written(text)
        steps = [figure.at(n / 10) for n in range(11)]
        assert steps[-1] == text and len(set(steps)) > 1
        assert all(len(step) <= len(text) for step in steps)
    assert written("$4.2 billion", "a year") == written("$4.2", "billion a year")
    assert written("37 %").whole == "37%"
    assert written("no number").whole == "no number"
    assert written("4.2").at(0.1) == "0.4"


def test_values_are_written_as_they_are() -> None:
    assert [value_text(Point(label="", value=v)) for v in (12, 19.5, 310.25, 1_250_000, -40, 0)] == [
        "12", "19.5", "310.25", "1,250,000", "−40", "0",
    ]  # fmt: skip
    assert value_text(Point(label="", value=42, shown="42 M")) == "42 M"


@pytest.mark.parametrize("form", ["column", "bar", "line"])
def test_an_axis_begins_at_zero(form: str) -> None:
    """Twice the value is twice as long, and below zero goes the other way."""
    points = (Point(label="a", value=10), Point(label="b", value=20), Point(label="c", value=-5))
    script = set_type([ChartLayer(box=BOX, points=points, form=form, marked=1)])
    shapes = [e for e in events(script) if e.style == "Shape"]
    if form == "line":
        dots = sorted((e for e in shapes if "\\fscx60" in e.tags), key=lambda e: e.left)
        ys = [e.y + e.height / 2 for e in dots]
        assert ys[0] - ys[1] == pytest.approx(10 / 15 * (ys[2] - ys[0]), rel=0.02)
        return
    filled = [e for e in shapes if e.height > 6 and e.right - e.left > 6]
    sizes = [e.height if form == "column" else e.right - e.left for e in filled]
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.02) and sizes[2] == pytest.approx(sizes[0] / 2, rel=0.02)


def test_a_negative_share_is_not_a_piece_of_a_ring() -> None:
    script = set_type([ChartLayer(box=BOX, points=POINTS, form="donut")])
    assert "−7" in script and len(events(script)) < 30


def test_every_icon_is_drawn_inside_its_box() -> None:
    for name in names():
        for event in events(set_type([IconLayer(box=BOX, name=name, enter="none")])):
            assert BOX.x - 1 <= event.left and event.right <= BOX.x + BOX.width + 1
            assert BOX.y - 1 <= event.y and event.y + event.height <= BOX.y + BOX.height + 1
    with pytest.raises(ChimeraError) as error:
        set_type([IconLayer(box=BOX, name="nonesuch")])
    assert error.value.code == "NOT_FOUND" and "rocket" in error.value.message


@pytest.mark.parametrize("form", ShapeLayer.model_fields["form"].annotation.__args__)  # type: ignore[union-attr]
@pytest.mark.parametrize("stroke", [0, 12])
def test_every_form_fills_its_box_and_not_more(form: str, stroke: float) -> None:
    layer = ShapeLayer(box=BOX, form=form, stroke=stroke, enter="none")
    (event,) = events(set_type([layer]))
    spread = stroke + 1  # a stroke lies half outside
    assert BOX.x - spread <= event.left and event.right <= BOX.x + BOX.width + spread
    assert BOX.y - spread <= event.y and event.y + event.height <= BOX.y + BOX.height + spread
    assert max(event.right - event.left, event.height) > 300


def test_the_thumbnail_has_no_progress() -> None:
    assert events(set_type([KINDS["progress"]], captions=False)) == []
    many = KINDS["progress"].model_copy(update={"count": 60})
    assert len(events(set_type([many]))) == 2, "more than a few segments are one bar"


def test_layers_stand_in_the_order_of_their_depth() -> None:
    deep = TextLayer(box=BOX, text="below", depth=1, plate="panel")
    high = ShapeLayer(box=BOX, form="circle", depth=2)
    found = events(set_type([high, deep]))
    circle = next(e.layer for e in found if e.style == "Shape")
    assert all(e.layer < circle for e in found if e.style == "Type")


@pytest.mark.parametrize(("title", "first"), [("Night", "\\clip(120,298,120,723)"), ("ليل", "\\clip(761,298,761,723)")])
def test_a_rule_grows_from_the_side_where_reading_begins(title: str, first: str) -> None:
    rule = ShapeLayer(box=BOX, form="rectangle", enter="grow-x")
    assert first in set_type([rule], title=title)
