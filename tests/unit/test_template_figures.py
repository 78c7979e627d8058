"""Series for charts: figures of one unit with the labels that the text gives them; nothing is made up."""

from __future__ import annotations

import pytest

from chimera.media.figures import figures_of, series_of


def rows(*texts: str) -> list[tuple[str, list[tuple[str, float, str]]]]:
    return [(s.unit, [(p.label, p.value, p.shown) for p in s.points]) for s in series_of(texts)]


def test_years_make_a_series_in_the_order_of_the_text() -> None:
    found = series_of(["In 2022 it was 12,400 people.", "In 2023, 19,800 people came, and 31,500 people in 2024."])
    assert [(p.label, p.value) for p in found[0].points] == [("2022", 12400), ("2023", 19800), ("2024", 31500)]
    assert (found[0].unit, found[0].dated, found[0].share, found[0].scenes) == ("people", True, False, (0, 1))


def test_names_make_a_series() -> None:
    assert rows("Oslo pays $4.2 billion, Bergen pays $1.1 billion.") == [
        ("billion", [("Oslo", 4.2, "$4.2"), ("Bergen", 1.1, "$1.1")])
    ]
    shares = series_of(["Norway has 41%, while Sweden has 22%, and Finland has 9%."])[0]
    assert shares.share
    assert [(p.label, p.shown) for p in shares.points] == [("Norway", "41%"), ("Sweden", "22%"), ("Finland", "9%")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nothing to count here, in 2024.",
        "It carried 12,400 people.",
        "They have 41% and 22%.",  # no labels
        "Oslo pays $4.2 billion, Bergen has 12,400 people.",  # two units
        "Oslo pays $4.2 billion, Bergen pays $900 million.",  # nothing is converted
        "Oslo has 41%. Oslo has 22%.",  # one label
    ],
)
def test_what_cannot_be_compared_is_no_series(text: str) -> None:
    assert series_of([text]) == []


def test_a_series_has_twelve_points_at_most_and_the_longest_comes_first() -> None:
    text = " ".join(f"In {1990 + i} it was {i + 10} days." for i in range(20)) + " Oslo has 41%, Bergen has 22%."
    found = series_of([text])
    assert [len(s.points) for s in found] == [12, 2]


def test_every_figure_is_told_once() -> None:
    assert [(f.big, label) for f, label in figures_of("41% of posts. Again: 41% of posts.")] == [("41%", "")]
    assert figures_of("x" * 100_000) == []
