"""What an image post may cost: less than a video, more for more cards, enough for every step and the one retry."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chimera.domain.cards import CARD_COUNTS, card_kinds, card_name, set_sha256
from chimera.domain.models import Scene
from chimera.domain.options import RunOptions
from chimera.domain.prices import (
    BRIEF_TIMEOUT_SECONDS,
    JUDGE_TIMEOUT_SECONDS,
    expected_stills,
    production_upper_bound,
    step_worst_case,
    still_limits,
    still_retry_limits,
    still_upper_bound,
)
from chimera.errors import ChimeraError
from chimera.usecases.still_board import strongest_line


@pytest.mark.parametrize("height", [360, 1080, 2160])
@pytest.mark.parametrize("cards", [1, 10, 25])
def test_the_bound_holds_every_step_that_draws_and_the_retry(cards: int, height: int) -> None:
    first, again = still_limits(cards, height), still_retry_limits(cards, height)
    drawn = step_worst_case("brief", BRIEF_TIMEOUT_SECONDS) + 2 * step_worst_case("judge", JUDGE_TIMEOUT_SECONDS)
    for limits in (first, again):
        drawn += sum(step_worst_case(s, limits[f"{s}_seconds"]) for s in ("pictures", "render", "inspect"))
    bound = still_upper_bound(cards, height)
    assert drawn <= bound < drawn + 10_000
    assert bound < production_upper_bound(45, height)
    expected, parts = expected_stills(cards, height)
    assert 0 < expected <= bound and sum(parts.values()) == expected and "voice" not in parts


def test_the_estimate_learns_from_image_posts() -> None:
    history = [{"video_seconds": 6, "actual_micros": 600, "cpu_seconds": {"render": "3", "pictures": "1"}}]
    assert expected_stills(10, 360, history)[0] == 1000
    assert expected_stills(10, 360, history)[1] == {"render": 750, "pictures": 250}
    half, whole = (expected_stills(5, 1080, pixel_share=Decimal(share))[0] for share in ("0.5", "1"))
    assert half < whole


@pytest.mark.parametrize("cards", [0, 26])
def test_no_post_has_so_many_cards(cards: int) -> None:
    with pytest.raises(ChimeraError, match="expected 1–25"):
        still_limits(cards)


def test_formats_are_options_with_limits() -> None:
    assert RunOptions().format == "video"
    assert [RunOptions.model_validate({"format": f}).format for f in CARD_COUNTS] == list(CARD_COUNTS)
    with pytest.raises(ValueError, match="'video', 'image', 'thread' or 'carousel'"):
        RunOptions.model_validate({"format": "reel"})


def test_the_hash_is_of_order_words_and_pictures() -> None:
    base = {"posts": ["a", "b"], "post_media": ["card_01", ""], "alt": {"card_01": "x"}}
    whole = set_sha256(["1", "2"], **base)  # type: ignore[arg-type]
    others = [
        set_sha256(["2", "1"], **base),  # type: ignore[arg-type]
        set_sha256(["1", "2"], **{**base, "posts": ["b", "a"]}),  # type: ignore[arg-type]
        set_sha256(["1", "2"], **{**base, "post_media": ["", "card_01"]}),  # type: ignore[arg-type]
        set_sha256(["1", "2"], **{**base, "alt": {"card_01": "y"}}),  # type: ignore[arg-type]
    ]
    assert len({whole, *others}) == 5
    assert card_kinds({"card_10": 1, "card_02": 1, "video": 1, "card_1": 1}) == ["card_02", "card_10"]
    assert card_name("card_02") == "card-02.jpg"


def test_the_strongest_line_has_a_figure_and_a_length_that_can_be_read() -> None:
    def lines(*texts: str) -> list[Scene]:
        return [Scene(narration=text, visual_prompt="p") for text in texts]

    assert strongest_line(
        lines("Short.", "Boats carried 12,400 people across the sea last year. So it goes.")
    ).startswith("Boats")
    assert strongest_line(lines("It is so. The ferries sail every night of the week from the old harbour.")).startswith(
        "The ferries"
    )
    assert strongest_line(lines("Only this.")) == "Only this."
