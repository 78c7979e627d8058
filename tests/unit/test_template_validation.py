"""`validate` says everything that is wrong at once, each with file, line and what to do."""

from __future__ import annotations

from textwrap import dedent

import pytest

from chimera.templates import engine
from chimera.templates.lint import problems_of
from chimera.templates.packs import SAMPLE
from chimera.templates.schema import pack_schema
from tests.fakes.template_packs import EVERY_SCENE, Shelf, evaluated_here, pack


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's process is tested in test_template_limits.py."""
    monkeypatch.setattr(engine, "ask_worker", evaluated_here)


FORM = """
titel: Bad
parameters:
  size: {type: nummer}
  pick: {type: choice}
regions:
  "9:16": {a: [0, 0, 1]}
  "4:5": {}
blocks:
  x: {layers: [], scenes: []}
scenes:
  - for: scene
    narration: 5
    motion: around
    layers:
      - {kind: text, box: headline, size: big}
      - {kind: txt, box: headline}
      - {box: headline}
      - {kind: chart, box: headline, points: [{label: a, value: x}], colur: red}
      - {kind: text, text: hi, box: {form: headline}}
      - {kind: text, text: hi, box: headline, plate: pil, at: -1}
"""
NAMES = """
parameters:
  size: {type: number, default: x}
  pick: {type: choice, choices: [a, b], default: c}
  on: {type: boolean, default: "true"}
regions:
  "9:16": {mine: [0, 0, 1, 1]}
  all: {a: {from: b}, b: {from: a}, c: {from: hedline}}
blocks:
  x: {arguments: {t: {}}, layers: [{kind: text, box: headlin, text: "{{ foo }}"}]}
scenes:
  - for: scene in brief.scens
    when: lop.first
    narration: "{{ scene.narration }}"
    layers:
      - {use: xx}
      - {use: x}
      - {use: x, with: {tt: 1, t: 2}}
      - {use: super}
      - {kind: text, box: captions, text: "{{ params.siz }} {{ scene.x | shortn(3) }}"}
      - {kind: text, box: title, text: "{% for x in y %}"}
"""


def said(text: str, **more: object) -> list[str]:
    files = {SAMPLE: str(more["sample"]).encode()} if "sample" in more else {}
    return [
        f"{p.line}: {p.where}: {p.message}; {p.fix}"
        for p in problems_of(pack(dedent(text).lstrip("\n"), files=files), Shelf())
    ]


@pytest.mark.parametrize(
    "expected",
    [
        "4: titel: unknown key; did you mean 'title'?",
        "6: parameters.size.type: got 'nummer', expected one of string, number, integer, boolean, colour, choice, list; did you mean",
        "7: parameters.pick: choices missing; add `choices:`",
        "9: regions.9:16.a: got [0, 0, 1], expected a region's name",
        "10: regions.4:5: unknown key",
        "12: blocks.x: a block holds `layers` or `scenes`, not both",
        "14: scenes[0].for: got 'scene', expected `NAME in LIST`",
        "15: scenes[0].narration: got 5, expected text; quote it: '5'",
        "16: scenes[0].motion: got 'around', expected one of auto",
        "18: scenes[0].layers[0]: text missing; add `text:`",
        "18: scenes[0].layers[0].size: got 'big', expected a number from 16 to 600; write a number",
        "19: scenes[0].layers[1].kind: got 'txt', expected one of chart",
        "20: scenes[0].layers[2]: a layer without `kind`; add `kind:`",
        "21: scenes[0].layers[3].points[0].value: got 'x', expected a number",
        "21: scenes[0].layers[3].colur: unknown key",
        "22: scenes[0].layers[4].box.form: unknown key; did you mean 'from'?",
        "23: scenes[0].layers[5].plate: got 'pil', expected one of none, bar",
        "23: scenes[0].layers[5].at: got -1, expected a number from 0 to 600",
    ],
)
def test_every_error_of_form_is_told_with_its_line(expected: str) -> None:
    assert any(line.startswith(expected) for line in said(FORM)), said(FORM)


def test_nothing_is_told_twice() -> None:
    assert len(said(FORM)) == len(set(said(FORM))) == 18


@pytest.mark.parametrize(
    "expected",
    [
        "5: parameters.size.default: the default does not fit `type: number`: got 'x', expected a number",
        "6: parameters.pick.default: the default does not fit `type: choice`",
        "7: parameters.on.default: got 'true', expected a boolean",
        "9: regions.9:16.mine: the region is missing for 16:9, 1:1; add it under '16:9' and '1:1', or under `all`",
        "10: regions.all.a: it is built on itself by way of 'b'",
        "10: regions.all.c: unknown region 'hedline'; did you mean 'headline'?",
        "12: blocks.x.layers[0].text: unknown name 'foo'",
        "14: scenes[0].for: a brief has no 'scens'; did you mean 'scenes'?",
        "15: scenes[0].when: unknown name 'lop'; did you mean 'loop'?",
        "18: scenes[0].layers[0].use: unknown block 'xx'; did you mean 'x'?",
        "19: scenes[0].layers[1].use: the block's argument 't' is missing",
        "20: scenes[0].layers[2].with.tt: the block has no argument 'tt'; did you mean 't'?",
        "21: scenes[0].layers[3].use: `super` needs a parent",
        "22: scenes[0].layers[4].text: unknown filter 'shortn'; did you mean 'shorten'?",
        "23: scenes[0].layers[5].text: '{%' is not allowed in templates",
    ],
)
def test_every_wrong_name_is_told_with_its_line(expected: str) -> None:
    assert any(line.startswith(expected) for line in said(NAMES)), "\n".join(said(NAMES))


def test_an_unknown_region_and_parameter_are_told() -> None:
    found = said(
        "scenes: [{for: s in brief.scenes, narration: '{{ s.narration }}',"
        " layers: [{kind: text, box: headlin, text: '{{ params.siz }}'}]}]"
    )
    assert "4: scenes[0].layers[0].box: unknown region 'headlin'; did you mean 'headline'?" in found
    assert any("there is no parameter 'siz'" in line for line in found)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("1 is nosuch", "unknown test 'nosuch'"),
        ("+".join(["1"] * 1000), "nested too deeply"),
        ("not " * 900 + "1", "nested too deeply"),
        ("a" + ".a" * 1900, "nested too deeply"),
        (" and ".join(["true"] * 440), "nested too deeply"),
    ],
    ids=["test", "sum", "not", "dots", "and"],
)
def test_an_expression_that_would_end_its_reader_is_told_with_its_line(expression: str, says: str) -> None:
    (found,) = said(EVERY_SCENE + f"    when: '{expression}'\n")
    assert found.startswith(f"8: scenes[0].when: {says}")


def test_what_only_a_trial_shows_is_told_as_well() -> None:
    found = said(
        """
        scenes:
          - for: scene in brief.scenes
            narration: "{{ scene.narration }}"
            layers:
              - {kind: text, box: captions, text: over the captions}
              - {kind: text, box: [0.5, 0.1, 0.8, 0.2], text: outside}
        """
    )
    assert found[0].startswith("8: scenes[0].layers[0].box: 9:16: this text")
    assert "covers the captions" in found[0]
    assert found[1].startswith("9: scenes[0].layers[1].box: 9:16:")
    assert "leaves the safe area" in found[1]
    assert len(found) == 2
    assert said("scenes: [{for: s in brief.scenes, narration: '{{ s.narration | upper }}'}]")[0].startswith(
        "4: scenes[0].narration"
    )


def test_a_template_that_expects_more_than_a_brief_has_is_told() -> None:
    found = said(EVERY_SCENE + "  - {key: x, seconds: '{{ brief.scenes[3].index }}'}")
    assert len(found) == 1  # the barest brief has one scene only
    assert "seconds" in found[0]


def test_sample_data_is_checked() -> None:
    assert "title" in said(EVERY_SCENE, sample='{"scenes": []}')[0] + said(EVERY_SCENE, sample='{"scenes": []}')[1]
    assert "not JSON" in said(EVERY_SCENE, sample="{")[0]


def test_a_good_template_has_no_problems() -> None:
    assert said(EVERY_SCENE) == []


def test_the_schema_is_a_schema() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(pack_schema())
    kinds = pack_schema()["$defs"]["layer"]["properties"]["kind"]["enum"]
    assert kinds == ["chart", "icon", "kinetic", "list", "number", "progress", "shape", "sources", "text"]
