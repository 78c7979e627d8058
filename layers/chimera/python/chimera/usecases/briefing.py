"""Director's step: gathers what may be said, lets a writer say it, and says what making it may cost at the most."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from chimera.domain.cards import is_still
from chimera.domain.ids import stable_id
from chimera.domain.models import Draft, Material, Snippet
from chimera.domain.money import round_up_to_cents, usd
from chimera.domain.options import RunOptions
from chimera.domain.prices import (
    RETRIED_STEPS,
    Outside,
    expected_production,
    expected_stills,
    production_limits,
    production_upper_bound,
    retry_limits,
    still_limits,
    still_retry_limits,
    still_upper_bound,
    waiting_cost,
    with_waiting,
)
from chimera.errors import ChimeraError
from chimera.media.models import SHORT_SIDE, frame_size
from chimera.ports import PageReader, Writer
from chimera.templates.shelves import Templates
from chimera.templates.storyboard import Storyboard
from chimera.usecases.costs import metered
from chimera.usecases.director import create_brief
from chimera.usecases.layout import lay_out, template_of, unspoken
from chimera.usecases.production import MadeContent, approval_request_id, pixel_rate, rate_of
from chimera.usecases.speaking import FASTEST, WORDS_PER_MINUTE
from chimera.usecases.still_board import card_count, still_board

OutsideWork = Callable[[Draft, dict[str, Any]], Outside]
"""What a draft's production asks of others; the second argument is `material.json`."""
ENOUGH_WORDS = 120  # a trend whose own text is this long needs no page
MOST_PAGES = 3


def write_brief(
    made: MadeContent,
    writers: Iterable[Writer],
    pages: PageReader,
    templates: Templates,
    outside: OutsideWork | None = None,
) -> dict[str, Any]:
    """Write the brief and what the CFO is asked for: the enforced upper bound of what production can cost.

    `outside` says what its steps may have to pay and wait for (`usecases/paid_estimate.py`); without it there is nothing.
    """
    started = time.monotonic()
    scope, ask = made.scope, made.read("brief", "material.json")
    options = RunOptions.model_validate(ask["options"])
    material = Material.model_validate({**ask["material"], "format": options.format})
    height = SHORT_SIDE[options.resolution]
    known = made.read_or_none("brief", "request.json")
    if known:
        return known
    with metered(made.media, scope.prefix, "brief", gigabytes=0.5):
        template = template_of(options.template or str(ask["persona"]["template"]), options.parameters, templates)
        snippets, unread = read_pages(material, pages)
        material = material.model_copy(update={"snippets": snippets})
        draft, refused = write(material, writers)
        board = lay_out(template, ask, options, material, draft)
        left_out: tuple[str, ...] = ()
        if is_still(options.format):
            board, left_out = still_board(board, options.format, draft.scenes)
    if material.script:  # a person's own words take the time that they take
        material = material.model_copy(update={"duration_seconds": natural_seconds(draft, board)})
    seconds = expected_seconds(draft, board, material.duration_seconds)
    others = outside(draft, ask) if outside else Outside()
    extra = dict(others.micros)
    work = _still_work(card_count(board), height) if is_still(options.format) else _video_work(seconds, height)
    work = work.waiting_for(others.seconds)
    bound = round_up_to_cents(work.bound + sum(extra.values()))
    size = frame_size(options.aspect, options.resolution)
    rate, usual = rate_of(options.format, options.fps), rate_of(options.format, 30)
    share = Decimal(pixel_rate(size, rate)) / pixel_rate(frame_size("16:9", options.resolution), usual)
    expected, breakdown = work.expected(ask["history"], share)
    expected += sum(extra.values())
    breakdown = {
        step: breakdown.get(step, 0) + extra.get(step, 0)
        for step in [*breakdown, *(s for s in extra if s not in breakdown)]
    }
    brief = create_brief(
        material,
        draft,
        brief_id=stable_id(scope.content_id, "brief"),
        aspect=options.aspect,
        target_platforms=ask["persona"]["channels"],
        estimate=(expected, breakdown),
        request_cost_micros=bound,
        format=options.format,
        execution_time_ms=int((time.monotonic() - started) * 1000),
    )
    made.write("brief", "storyboard.json", board.model_dump(mode="json"))
    made.write("brief", "brief.json", brief.model_dump(mode="json"))
    made.write("brief", "used_material.json", material.model_dump(mode="json"))
    answer = {
        "brief_id": brief.brief_id,
        "title": brief.title,
        "writer": brief.writer.provider,
        "template": board.template,
        "template_checksum": board.checksum,
        "pages_unread": unread,
        "writers_refused": refused,
        "request": {
            "request_id": approval_request_id(scope.content_id),
            "agent_id": stable_id(scope.tenant_id, "artist"),
            "request_type": "compute",
            "request_cost": usd(bound),
            "projected_roi": str(brief.projected_roi),
            "justification": f"Produce {_what(options, board, material)}: {brief.title}"[:500],
            "currency": "USD",
        },
        "limits": work.limits,
        "paid": extra,
        "retry_limits": work.retry_limits,
        "left_out": list(left_out),
    }
    made.write("brief", "request.json", answer)
    return answer


@dataclass(frozen=True)
class _Work:
    """What a production may cost and take, and what it is expected to cost."""

    bound: int
    limits: dict[str, int]
    retry_limits: dict[str, int]
    expected: Callable[[list[dict[str, Any]], Decimal], tuple[int, dict[str, int]]]

    def waiting_for(self, seconds: Mapping[str, int]) -> _Work:
        """The work whose steps may have to wait so long for others, in the first attempt and in the one with another seed."""
        limits = with_waiting(self.limits, seconds)
        again = with_waiting(self.retry_limits, {s: seconds[s] for s in RETRIED_STEPS if s in seconds})
        longer = waiting_cost(self.limits, limits) + waiting_cost(self.retry_limits, again)
        return replace(self, bound=self.bound + longer, limits=limits, retry_limits=again)


def _video_work(seconds: int, height: int) -> _Work:
    return _Work(
        production_upper_bound(seconds, height),
        production_limits(seconds, height),
        retry_limits(seconds, height),
        lambda history, share: expected_production(seconds, height, history, pixel_share=share),
    )


def _still_work(cards: int, height: int) -> _Work:
    return _Work(
        still_upper_bound(cards, height),
        still_limits(cards, height),
        still_retry_limits(cards, height),
        lambda history, share: expected_stills(cards, height, history, pixel_share=share),
    )


def _what(options: RunOptions, board: Storyboard, material: Material) -> str:
    if not is_still(options.format):
        return f"{material.duration_seconds} s of video"
    cards = card_count(board)
    return f"{options.format}, {cards} card{'s' if cards != 1 else ''}"


def expected_seconds(draft: Draft, board: Storyboard, asked: int) -> int:
    """How long the video will be: as asked, unless even the fastest pace cannot say the script in that time."""
    spoken = len(draft.script.split()) * 60 / FASTEST
    return min(600, max(asked, round(spoken + unspoken(board))))


def natural_seconds(draft: Draft, board: Storyboard) -> int:
    """How long a script is at the usual pace: 1–600 s."""
    spoken = len(draft.script.split()) * 60 / WORDS_PER_MINUTE
    return max(1, min(600, round(spoken + unspoken(board))))


def read_pages(material: Material, pages: PageReader) -> tuple[list[Snippet], list[dict[str, str]]]:
    """The text of the trend's pages, at the same time; a page that cannot be read is noted and left out."""
    if len(material.trend.description.split()) >= ENOUGH_WORDS:
        return [], []
    addresses = list(dict.fromkeys([material.trend.url, *material.trend.metadata.top_posts]))
    addresses = [a for a in addresses if a.startswith(("http://", "https://"))][:MOST_PAGES]
    if not addresses:
        return [], []

    def read(address: str) -> Snippet | dict[str, str]:
        try:
            return pages.snippet(address)
        except ChimeraError as error:
            return {"url": address, "error": f"{error.code}: {error.message}"[:300]}

    with ThreadPoolExecutor(max_workers=MOST_PAGES) as pool:
        answers = list(pool.map(read, addresses))
    return [a for a in answers if isinstance(a, Snippet)], [a for a in answers if isinstance(a, dict)]


def write(material: Material, writers: Iterable[Writer]) -> tuple[Draft, list[dict[str, str]]]:
    """The first writer that can, by priority; who could not is noted. `VALIDATION_FAILED` (bad material) is final.

    A person's own script goes only to who takes it as it stands (`speaks_script`).
    """
    refused: list[dict[str, str]] = []
    able = [w for w in writers if getattr(w, "speaks_script", False) == bool(material.script)]
    for writer in sorted(able, key=lambda w: (w.priority, w.name)):
        try:
            return writer.write(material), refused
        except ChimeraError as error:
            if error.code == "VALIDATION_FAILED":
                raise
            refused.append({"writer": writer.name, "error": f"{error.code}: {error.message}"[:300]})
    raise ChimeraError("PROVIDER_REJECTED", "no writer could write a script", {"refused": refused})
