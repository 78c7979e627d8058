"""YAML of templates: what is read, and how what could hurt is refused, with the line and what to do."""

from __future__ import annotations

import pytest

from chimera.templates.problems import ProblemsError
from chimera.templates.reading import MAX_BYTES, read_yaml

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_values_are_of_yaml_1_2() -> None:
    text = b"yes_: yes\n9:16: {on: off}\nday: 2026-11-21\nn: 010\nx: 1.5\nt: true\nnone: ~\nq: '5'\nl: [1, -2]\n"
    assert read_yaml(text, "t").data == {
        "yes_": "yes", "9:16": {"on": "off"}, "day": "2026-11-21", "n": 10, "x": 1.5, "t": True, "none": None, "q": "5",
        "l": [1, -2],
    }  # fmt: skip


def test_every_value_knows_its_place() -> None:
    document = read_yaml(b"a:\n  - b: 1\n    c: two\n", "t")
    assert document.place(("a", 0, "c")) == (3, 8)
    assert document.place(("a", 0, "c"), key=True) == (3, 5)
    assert document.place(("a", 0, "missing")) == (2, 5)


def test_an_alias_is_the_value_of_its_anchor() -> None:
    assert read_yaml(b"a: &x {k: [1]}\nb: *x\n", "t").data["b"] == {"k": [1]}


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"a: 1\nb: {{ x }}\n", 2, "needs quotes"),
        (b"a: 1\nb: 2\na: 3\n", 3, "first in line 1"),
        (b"a: !!python/object/apply:os.system [ls]\n", 1, "tag"),
        (b"a: &a [*a]\n", 1, "inside itself"),
        (b"a: *b\n", 1, "no anchor"),
        (b"a: 1\n---\nb: 2\n", 2, "second document"),
        (b"a: [1\n", 2, "not YAML"),
        (b"a:\n\t- b\n", 2, "spaces"),
        (b"a: \xff\xfe\n", 1, "UTF-8"),
        ("ä: 1\n".encode("utf-16"), 1, "UTF-8"),
        (b"a: b\n? [1]\n: c\n", 2, "plain word"),
        (b"a: \x07\n", 1, "control character"),
        (b"[" * 200 + b"]" * 200, 1, "nested deeper"),
        (LAUGHS.encode(), 5, "aliases unfolded"),
        (b"x" * (MAX_BYTES + 1), 0, "at most"),
        (b"a: " + b"y" * 10_000_000, 0, "at most"),
    ],
)
def test_what_could_hurt_is_refused_with_its_line(data: bytes, line: int, says: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        read_yaml(data, "mine.yaml")
    (problem,) = caught.value.problems
    assert problem.line == line
    assert says in str(problem)
    assert str(problem).startswith("mine.yaml")
