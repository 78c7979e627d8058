"""Versions and ranges of templates."""

from __future__ import annotations

import pytest

from chimera.errors import ChimeraError
from chimera.templates.semver import Range, Reference, Version

ORDER = ["0.9.9", "1.0.0-alpha", "1.0.0-alpha.2", "1.0.0-alpha.10", "1.0.0-beta", "1.0.0", "1.0.10", "1.2.0", "2.0.0"]


def test_versions_are_ordered_as_semver_says() -> None:
    assert [str(v) for v in sorted(map(Version.parse, reversed(ORDER)))] == ORDER


@pytest.mark.parametrize(
    ("text", "has", "has_not"),
    [
        ("", ["0.0.1", "9.0.0"], ["1.0.0-beta"]),
        ("1", ["1.0.0", "1.9.3"], ["0.9.0", "2.0.0", "1.1.0-beta"]),
        ("^1.2", ["1.2.0", "1.9.0"], ["1.1.9", "2.0.0"]),
        ("^1.2.3", ["1.2.3", "1.3.0"], ["1.2.2", "2.0.0"]),
        ("^0.2", ["0.2.0", "0.2.9"], ["0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("~1.2", ["1.2.0", "1.2.9"], ["1.3.0"]),
        ("1.2", ["1.2.0", "1.2.9"], ["1.3.0", "1.1.0"]),
        ("1.2.3", ["1.2.3"], ["1.2.4", "1.2.3-beta"]),
        ("1.2.3-beta", ["1.2.3-beta"], ["1.2.3"]),
    ],
)
def test_a_range_means_these_versions(text: str, has: list[str], has_not: list[str]) -> None:
    meant = Range.parse(text)
    assert [v for v in has + has_not if meant.has(Version.parse(v))] == has


def test_the_highest_that_is_meant_is_taken() -> None:
    assert str(Range.parse("^1").best(map(Version.parse, ORDER))) == "1.2.0"
    assert Range.parse("^3").best(map(Version.parse, ORDER)) is None


@pytest.mark.parametrize(
    "text", ["", "Explainer", "a b", "../x", "x@", "x@one", "x@1.2.3.4", "x@>=1", "x" * 300, "x@01.0.0"]
)
def test_what_names_no_template_is_refused(text: str) -> None:
    with pytest.raises(ChimeraError) as caught:
        Reference.parse(text)
    assert caught.value.code == "VALIDATION_FAILED"


@pytest.mark.parametrize("text", ["explainer", "explainer@1", "how-to@^1.2", "x2@1.2.3-rc.1"])
def test_a_reference_reads_as_it_was_written(text: str) -> None:
    assert str(Reference.parse(text)) == text
