"""Templates become storyboards: expressions, loops, blocks, inheritance; and what a brief says stays data."""

from __future__ import annotations

from typing import Any

import pytest

from chimera.domain.models import Scene
from chimera.errors import ChimeraError
from chimera.media.layers import ChartLayer, ListLayer, NumberLayer, TextLayer
from chimera.templates import engine
from chimera.templates.sandbox import ExpressionError, Expressions
from chimera.templates.storyboard import Storyboard
from tests.fakes.template_packs import EVERY_SCENE, board, brief, evaluated_here, pack, resolved


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's process is tested in test_template_limits.py."""
    monkeypatch.setattr(engine, "ask_worker", evaluated_here)


LAYERS = """
scenes:
  - for: scene in brief.scenes
    key: "s{{{{ loop.index }}}}"
    narration: "{{{{ scene.narration }}}}"
    layers:
      - {layer}
"""


def text_of(made: Storyboard, scene: int = 0) -> str:
    layer = made.scenes[scene].layers[0]
    assert isinstance(layer, TextLayer)
    return layer.text


def one_text(expression: str, **more: Any) -> str:
    return text_of(board(LAYERS.format(layer=f"{{kind: text, box: headline, text: {expression!r}}}"), **more))


def why(text: str, *others: Any, **more: Any) -> str:
    with pytest.raises(ChimeraError) as caught:
        board(text, *others, **more)
    assert caught.value.code == "VALIDATION_FAILED"
    assert caught.value.details["template"] == "mine@1.0.0"
    return caught.value.message


def test_a_loop_makes_a_scene_of_each_brief_scene() -> None:
    made = board(EVERY_SCENE)
    assert [s.narration for s in made.scenes] == [s.narration for s in brief().scenes]
    assert [(s.key, s.brief_scene) for s in made.scenes] == [("s1", 0), ("s2", 1)]
    assert made.template == "mine@1.0.0"
    assert len(made.checksum) == 64


def test_the_same_input_gives_the_same_storyboard() -> None:
    text = LAYERS.format(layer="{kind: text, box: headline, text: \"{{ pick(['a', 'b', 'c', 'd'], loop.index) }}\"}")
    assert board(text, seed=5) == board(text, seed=5)
    assert len({text_of(board(text, seed=seed)) for seed in range(6)}) > 1


def test_a_value_that_is_one_expression_keeps_its_type() -> None:
    made = board(
        """
        scenes:
          - let: {sizes: [40, 60], all: "{{ brief.scenes | map(attribute='narration') | list }}"}
            for: scene in brief.scenes
            narration: "{{ all[loop.index0] }}"
            seconds: "{{ 2 + 1.5 }}"
            layers:
              - {kind: text, box: headline, text: "{{ 1 }}/{{ loop.length }}", size: "{{ sizes[1] }}", upper: "{{ loop.first }}"}
              - {kind: list, box: [0, 0.1, 1, 0.3], items: "{{ ['a', '', 'b'] }}"}
        """
    )
    first = made.scenes[0]
    text, listed = first.layers
    assert isinstance(text, TextLayer) and isinstance(listed, ListLayer)
    assert (first.seconds, text.text, text.size, text.upper, listed.items) == (3.5, "1/2", 60.0, True, ("a", "b"))
    assert made.scenes[1].layers[0].upper is False  # type: ignore[union-attr]


def test_what_has_nothing_to_show_is_left_out() -> None:
    made = board(LAYERS.format(layer='{kind: text, box: headline, text: "{{ brief.description }}"}'))
    assert made.scenes[0].layers == ()


def test_boxes_come_from_regions_in_every_aspect() -> None:
    text = """
    regions:
      all: {low: {from: headline, part: [0, 0.5, 1, 0.5]}, left: {from: low, columns: 2, column: 0, gap: 20, inset: 10}}
    """ + LAYERS.format(layer='{kind: text, box: left, text: "x"}').replace("\n", "\n    ")
    for aspect in ("9:16", "16:9", "1:1"):
        head = (
            board(LAYERS.format(layer='{kind: text, box: headline, text: "x"}'), aspect=aspect).scenes[0].layers[0].box
        )
        box = board(text, aspect=aspect).scenes[0].layers[0].box
        assert box.x == pytest.approx(head.x + 10)
        assert box.y == pytest.approx(head.y + head.height / 2 + 10)
        assert box.width == pytest.approx((head.width - 20) / 2 - 20)


def test_what_is_mirrored_lies_at_the_other_side_of_its_region_in_a_right_to_left_video() -> None:
    shape = "{kind: shape, form: line, box: {from: mine, part: [0, 0, 0.25, 1], mirror: true}}"
    text = "regions: {all: {mine: {from: frame, part: [0.1, 0.5, 0.4, 0.1], mirror: true}}}" + LAYERS.format(
        layer=shape
    )
    left, right = (
        board(text, words=brief(title=title), aspect="1:1").scenes[0].layers[0].box.x
        for title in ("Night ferries", "العبّارات الليلية")
    )
    assert (left, right) == (108, 1080 - 108 - 108)
    assert "mirror: got 1, expected true or false" in why(text.replace("true}}\n", "'{{ 1 }}'}}\n"))


def test_by_aspect_and_platform_reach_the_template() -> None:
    expression = "{{ by_aspect('tall', 'wide', 'square') }} {{ platform }} {{ aspect }}"
    assert one_text(expression, aspect="16:9", platform="tiktok") == "wide tiktok 16:9"


def test_filters_speak_the_language_of_the_brief() -> None:
    words = brief("Eins. Zwei.", language="de")
    assert one_text("{{ 2 | ordinal }} {{ 'the end of it' | titlecase }}", words=words) == "2. The end of it"
    assert one_text("{{ 2 | ordinal }} {{ 'the end of it' | titlecase }}") == "2nd The End of It"
    assert one_text("{{ brief.scenes[0].sentences | join('|') }}", words=words) == "Eins.|Zwei."
    assert one_text("{{ 'a b c d' | words | chunk(3) | length }} {{ 'so it is' | emphasise('it') }}") == "2 so *it* is"


def test_numbers_of_the_brief_become_charts() -> None:
    words = brief("In 2022 it was 12,400 people. In 2024 there were 31,500 people.", "Next, 41% of posts are open.")
    text = """
    scenes:
      - for: scene in brief.scenes
        narration: "{{ scene.narration }}"
        layers:
          - {kind: chart, box: body, points: "{{ series[0].points }}", unit: "{{ series[0].unit }}", when: loop.first}
          - {kind: number, box: motif, text: "{{ scene.number.text }}", share: "{{ scene.number.share }}", when: loop.last}
    """
    made = board(text, words=words)
    chart, number = made.scenes[0].layers[0], made.scenes[1].layers[0]
    assert isinstance(chart, ChartLayer) and isinstance(number, NumberLayer)
    assert [(p.label, p.value, p.shown) for p in chart.points] == [("2022", 12400, "12,400"), ("2024", 31500, "31,500")]
    assert (chart.unit, number.text, number.share) == ("people", "41%", 0.41)


# --- blocks, inheritance, composition

PARENT = pack(
    """
    parameters: {tint: {type: colour, default: accent}, size: {type: number, default: 50, min: 20, max: 90}}
    blocks:
      mark: {layers: [{kind: text, box: headline, text: parent, colour: "{{ params.tint }}"}]}
      outro: {arguments: {note: {default: bye}}, scenes: [{key: outro, layers: [{kind: text, box: title, text: "{{ note }}"}]}]}
    scenes:
      - {for: scene in brief.scenes, narration: "{{ scene.narration }}", layers: [{use: mark}]}
    """,
    name="base",
    version="1.4.0",
)


def test_a_child_changes_a_block_and_calls_the_parents() -> None:
    made = board(
        """
        extends: base@^1.2
        parameters: {tint: {type: colour, default: highlight}}
        blocks:
          mark: {layers: [{use: super}, {kind: text, box: [0, 0.2, 1, 0.1], text: child}]}
        """,
        PARENT,
    )
    first = made.scenes[0].layers
    assert [(layer.text, layer.colour) for layer in first] == [("parent", "highlight"), ("child", "ink")]  # type: ignore[union-attr]
    assert made.checksum != pack("extends: base@^1.2").checksum


def test_a_child_adds_to_the_parents_scenes() -> None:
    made = board("extends: base@1\nscenes: [{use: super}, {use: outro, with: {note: ciao}}]", PARENT)
    assert [s.key for s in made.scenes] == ["scene-1", "scene-2", "outro"]
    assert text_of(made, 2) == "ciao"


def test_another_packs_block_is_used_with_its_own_parameters() -> None:
    made = board(LAYERS.format(layer='{use: "base@^1#mark"}'), PARENT)
    assert text_of(made) == "parent"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("extends: base@^2" + EVERY_SCENE, "no template base@^2"),
        ("extends: base" + EVERY_SCENE, "pin it, such as base@^1"),
        ("extends: mine@1" + EVERY_SCENE, "built on itself: mine > mine"),
        ("extends: loop@1" + EVERY_SCENE, "built on itself: mine > loop > base > loop"),
        (LAYERS.format(layer="{use: marc}"), "unknown block 'marc'"),
        (
            "blocks: {a: {layers: [{use: b}]}, b: {layers: [{use: a}]}}" + LAYERS.format(layer="{use: a}"),
            "without end: a > b > a",
        ),
        ("blocks: {a: {arguments: {t: {}}, layers: []}}" + LAYERS.format(layer="{use: a}"), "argument 't' is missing"),
    ],
)
def test_what_is_not_there_or_goes_round_is_said(text: str, says: str) -> None:
    loop = pack("extends: base@2", name="loop")
    other = pack("extends: loop@1", name="base", version="2.0.0")
    with pytest.raises((ChimeraError, Exception)) as caught:
        board(text, PARENT, loop, other) if "^2" not in text else board(text, PARENT)
    assert says in str(caught.value)


# --- parameters


def test_parameters_have_types_and_limits() -> None:
    text = PARENT_TEXT
    assert board(text, parameters={"size": "33"}).parameters["size"] == 33
    for given, says in (
        ({"size": 5}, "expected 20 to 90"),
        ({"size": "big"}, "expected a number"),
        ({"sise": 5}, "did you mean 'size'?"),
        ({"tint": "blue-ish"}, "#rrggbb"),
        ({"style": "c"}, "one of a, b"),
        ({"flag": "maybe"}, "true or false"),
        ({"count": 1.5}, "a whole number"),
    ):
        assert says in why(text, parameters=given)


PARENT_TEXT = (
    """
parameters:
  tint: {type: colour, default: accent}
  size: {type: number, default: 50, min: 20, max: 90}
  style: {type: choice, choices: [a, b], default: a}
  flag: {type: boolean, default: true}
  count: {type: integer, default: 3}
  names: {type: list, default: [x]}
"""
    + EVERY_SCENE
)


# --- everything from the brief is data

HOSTILE = [
    "{{ 7*7 }} {% for x in y %} {# no #}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "key: value\n- item\n&a *a !!python/object",
    "'\"}}{{ brief }}",
    "\x00\x1b[31m \u202e back \ufffe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_words_of_a_brief_are_never_read_as_a_template(text: str) -> None:
    words = brief(f"Start. {text} end.", title=text, hashtags=(text,), description=text)
    made = board(LAYERS.format(layer='{kind: text, box: headline, text: "{{ brief.title }}"}'), words=words)
    assert made.scenes[0].narration == f"Start. {text} end."
    assert made.title == text
    assert text_of(made) == text


def test_parameters_and_assets_are_data_as_well() -> None:
    text = "parameters: {t: {type: string, default: x}}" + LAYERS.format(
        layer='{kind: text, box: headline, text: "{{ params.t }} {{ assets[0].name }} {{ assets[0].kind }}"}'
    )
    made = board(text, parameters={"t": "{{ 7*7 }}"}, assets=("file:/home/me/{{ 7*7 }}.jpg",))
    assert text_of(made) == "{{ 7*7 }} {{ 7*7 }}.jpg picture"


@pytest.mark.parametrize(
    "expression",
    [
        "{{ ''.__class__ }}",
        "{{ brief.__class__.__init__ }}",
        "{{ [].__class__.__base__.__subclasses__() }}",
        "{{ range.__globals__ }}",
        "{{ pick.__globals__ }}",
        "{{ (1).__class__ }}",
        "{{ brief.scenes.append(1) }}",
        "{{ '%s' | format(brief) }}",
        "{{ '{0.__class__}'.format(brief) }}",
        "{{ self }}",
        "{{ cycler }}",
        "{{ lipsum() }}",
        "{{ config }}",
        "{{ brief | attr('__class__') }}",
        "{{ undefined_name }}",
        "{{ brief.titel }}",
        "{{ 1 / 0 }}",
        "{{ 'x' * 10**9 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ range(10**9) | list }}",
        "{{ range(400) | map('string') | join('x' * 19000) }}",
        "{% for x in range(10) %}x{% endfor %}",
        "{{ 1 +",
        "{{ '" + "((" * 400 + "' }} {{ " + "(" * 300 + "1" + ")" * 300 + " }}",
    ],
)
def test_a_template_cannot_reach_out_of_its_sandbox(expression: str) -> None:
    with pytest.raises(ExpressionError):
        Expressions().value(expression, {"brief": {"title": "t", "scenes": [{"index": 0}]}})


def test_an_expression_that_fails_is_named_with_its_line() -> None:
    message = why(LAYERS.format(layer='{kind: text, box: headline, text: "{{ 1 +"}'))
    assert "template.yaml:9:43: scenes[0].layers[0].text: not an expression" in message
    assert "did you mean 'scene'?" in why(LAYERS.format(layer='{kind: text, box: headline, text: "{{ scne }}"}'))


# --- what is said


@pytest.mark.parametrize(
    ("scenes", "says"),
    [
        ("[{narration: '{{ brief.scenes[0].narration }}'}]", "brief scene 2 of 2 is not said"),
        ("[{for: s in brief.scenes, narration: '{{ s.narration | upper }}'}]", "is not what brief scene 1 says next"),
        ("[{for: s in brief.scenes | reverse, narration: '{{ s.narration }}'}]", "is not what brief scene 1 says next"),
        ("[{for: s in brief.scenes + brief.scenes, narration: '{{ s.narration }}'}]", "after the whole brief was"),
        (
            "[{for: s in brief.scenes, narration: '{{ s.narration }} Subscribe!'}]",
            "is not what brief scene 1 says next",
        ),
        ("[{narration: Hello}, {for: s in brief.scenes, narration: '{{ s.narration }}'}]", "is not what brief scene 1"),
        ("[{narration: The night}, {narration: ' ferry is back. It carries 1,250 people.'}]", "middle of a sentence"),
        ("[{for: s in brief.scenes, brief_scene: 1, narration: '{{ s.narration }}'}]", "brief_scene is 1, but"),
    ],
)
def test_no_spoken_word_can_be_added_dropped_or_moved(scenes: str, says: str) -> None:
    assert says in why(f"scenes: {scenes}")


def test_a_narration_may_be_split_at_its_sentences() -> None:
    words = brief("Dr. Lee has 3.5 cats. Is it so? “Yes.” It is… Done", "夜の船。戻った。")
    made = board(
        """
        scenes:
          - for: scene in brief.scenes
            scenes: [{for: s in scene.sentences, narration: "{{ s }}", key: "{{ scene.index }}-{{ loop.index }}"}]
        """,
        words=words,
    )
    assert [s.narration for s in made.scenes] == [
        "Dr. Lee has 3.5 cats.", "Is it so?", "“Yes.”", "It is…", "Done", "夜の船。", "戻った。",
    ]  # fmt: skip
    assert [s.brief_scene for s in made.scenes] == [0] * 5 + [1] * 2


def test_scenes_may_have_nothing_to_say() -> None:
    made = board("scenes: [{key: in, seconds: 2}, {for: s in brief.scenes, narration: '{{ s.narration }}'}]")
    assert (made.scenes[0].narration, made.scenes[0].brief_scene, made.scenes[0].seconds) == ("", None, 2.0)


# --- places


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("{kind: text, box: [0.5, 0, 0.8, 0.1], text: x}", "leaves the safe area"),
        ("{kind: shape, form: circle, box: {from: frame, inset: -20}}", "leaves the frame area"),
        ("{kind: text, box: nowhere, text: x}", "unknown region 'nowhere'"),
        ("{kind: text, box: {from: headline, rows: 3, row: 3}, text: x}", "expected 0 to 2"),
        ("{kind: text, box: {from: headline, inset: 2000}, text: x}", "leaves nothing"),
        ("{kind: text, box: headline, text: x, size: 900}", "less than or equal to 600"),
        ("{kind: icon, box: motif, name: star, colour: blue}", "match pattern"),
    ],
)
def test_a_layer_stands_where_it_can_be_read(layer: str, says: str) -> None:
    assert says in why(LAYERS.format(layer=layer))


def test_a_shape_may_bleed_to_the_frame() -> None:
    made = board(LAYERS.format(layer="{kind: shape, form: rectangle, box: frame}"))
    assert (made.scenes[0].layers[0].box.x, made.scenes[0].layers[0].box.width) == (0, 1080)


def test_keys_are_unique_and_speakers_known() -> None:
    assert "two scenes have the key 'a'" in why(
        "scenes: [{for: s in brief.scenes, key: a, narration: '{{ s.narration }}'}]"
    )
    text = "scenes: [{for: s in brief.scenes, speaker: hst, narration: '{{ s.narration }}'}]"
    assert "unknown role 'hst'" in why("roles: {host: {}}\n" + text)
    assert board("roles: {hst: {}}\n" + text).scenes[0].speaker == "hst"


# --- look


def test_the_persona_comes_before_the_template_and_the_run_before_both() -> None:
    head = (
        "captions: {box: captions, style: pop, size: '{{ by_aspect(70, 60, 50) }}'}\nlogo: {box: logo}\nmusic: warm\n"
    )
    made = board(head + EVERY_SCENE, captions="box", soft_captions=True)
    assert (made.captions.style, made.captions.size, made.captions.soft, made.music) == ("box", 70, True, "warm")
    assert made.logo_box is None
    assert board(head + EVERY_SCENE, logo="file:/logo.png").logo_box is not None
    assert board("theme: {accent: '#ffcc00'}" + EVERY_SCENE).theme.accent == "#ffcc00"
    assert board(EVERY_SCENE, mode="light").theme.mode == "light"


def test_a_brief_at_its_limits_fits() -> None:
    scenes = tuple(
        Scene(narration="a " * 700 + "b.", visual_prompt="x" * 500, on_screen_text="W" * 200) for _ in range(60)
    )
    made = board(
        LAYERS.format(layer='{kind: text, box: headline, text: "{{ scene.on_screen_text }}"}'),
        words=brief(scenes=scenes),
    )
    assert len(made.scenes) == 60


def test_resolving_lists_all_that_a_template_is_built_on() -> None:
    found = resolved("extends: base@1", PARENT)
    assert sorted(found.packs) == ["base@1.4.0", "mine@1.0.0"]
    assert found.named("parameters")["size"]["max"] == 90
