"""`chimera scan`: what is rising now, without making anything."""

from __future__ import annotations

import click

from chimera.domain.options import KEYLESS, RunOptions
from chimera.entrypoints import parse
from chimera.settings import get_settings
from chimera_local.cli import emit
from chimera_local.cli.progress import StageProgress
from chimera_local.world import absolute_source, world


@click.command()
@click.option("--source", "sources", multiple=True, help="As for `chimera run`.")
@click.option("--keyword", "keywords", multiple=True, help="Only trends that speak of this; repeat for several.")
@click.option("--timeframe", default="24h", show_default=True, help="24h, 7d or an ISO 8601 duration.")
@click.option("--min-velocity", default=0.0, show_default=True, help="0–10.")
@click.option("--max-results", default=20, show_default=True, help="1–50.")
@click.option("--json", "as_json", is_flag=True, help="scout.analyze's answer as one JSON object.")
def scan(
    sources: tuple[str, ...],
    keywords: tuple[str, ...],
    timeframe: str,
    min_velocity: float,
    max_results: int,
    as_json: bool,
) -> int:
    """Ask the sources, merge and rank what they say."""
    from chimera.usecases.scanning import scan_now

    options = parse(
        RunOptions,
        {
            "sources": [absolute_source(s) for s in sources],
            "keywords": list(keywords),
            "timeframe": timeframe,
            "min_velocity": min_velocity,
            "max_results": max_results,
        },
    )
    with StageProgress() as progress, world(get_settings(), engine=False, note=progress.update) as w:
        progress.done("database")
        progress.update("scan")
        names = options.sources or [n for n in KEYLESS if n != "rss" or w.app.settings.rss_feeds]
        answer = scan_now(w.app, w.tenant, options.model_copy(update={"sources": names}))
        progress.done("scan")
    lines = [f"{'velocity':>8} {'volume':>8}  trend"]
    for trend in answer["trends"]:
        where = ", ".join(trend["platforms"])
        lines.append(f"{trend['rising_velocity']:8.2f} {trend['volume']:8d}  {trend['title'][:80]}  ({where})")
    for failure in answer["metadata"]["platforms_failed"]:
        lines.append(f"not reached: {failure['platform']}: {failure['error']}")
    emit(answer, as_json=as_json, text="\n".join(lines))
    return 0
