"""`chimera run` and `chimera resume`: the main job, followed to its end."""

from __future__ import annotations

import time
from typing import Any

import click

from chimera.errors import ChimeraError, error_class
from chimera.settings import get_settings
from chimera_local.cli import emit
from chimera_local.cli.options import production_options, run_options
from chimera_local.cli.progress import StageProgress
from chimera_local.cli.screen import inline
from chimera_local.runs import continue_run, exit_code, follow, report, start_run
from chimera_local.world import World, world


@click.command()
@production_options
@click.option(
    "--stop-at",
    type=click.Choice(["brief", "approval", "render", "judge"]),
    default=None,
    help="Stop after this stage.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def run(stop_at: str | None, as_json: bool, **given: Any) -> int:
    """Carry one trend, or your own words, to a finished, judged, paid-for and published video, image post or thread."""
    options = run_options({**given, "stop_at": stop_at or ""})
    started = time.monotonic()
    with StageProgress() as progress, world(get_settings(), note=progress.update) as w:
        progress.done("database")
        progress.done("engine")
        w.app.run_checks(w.tenant).check(options)
        run_id = start_run(w, options)
        return to_the_end(w, run_id, progress, started, as_json)


@click.command()
@click.argument("run_id", required=False)
@click.option("--json", "as_json", is_flag=True, help="What `run --json` prints; several runs: one line each.")
def resume(run_id: str | None, as_json: bool) -> int:
    """Go on with what was interrupted, each run from the step it had reached.

    Without RUN_ID all unfinished runs are resumed. A run that waits for a person is reported, not waited for.
    """
    started = time.monotonic()
    with StageProgress() as progress, world(get_settings(), note=progress.update) as w:
        progress.done("database")
        progress.done("engine")
        runs = w.app.runs(w.tenant)
        rows = [runs.get(run_id)] if run_id else runs.unfinished()
        if not rows:
            newest = runs.page(1, None)
            if not newest:
                raise ChimeraError("NOT_FOUND", "there is no run to resume; `chimera run` starts one", {})
            rows = newest  # everything had ended: say how the last one did
        codes = []
        for row in rows:
            identifier = str(row["id"])
            if row["status"] in {"running", "waiting_review", "waiting_approval"}:
                continue_run(w, identifier)
            codes.append(to_the_end(w, identifier, progress, started, as_json))
        return max(codes)


def to_the_end(w: World, run_id: str, progress: StageProgress, started: float, as_json: bool) -> int:
    """Follow a run, show its report, give its exit code."""

    def stages(found: list[dict[str, Any]]) -> None:
        for stage in found:
            if stage["status"] == "done":
                progress.done(stage["name"])
            else:
                progress.update(stage["name"])

    def render(part: float) -> None:
        if part < 1:
            progress.update("render", part=part)

    while True:
        try:
            follow(w, run_id, stages, render)
            break
        except error_class("AGENT_OFFLINE"):
            if not w.shared:
                raise
            progress.note("the process whose engine was used has ended; going on with one of our own")
            w.reopen()
            continue_run(w, run_id)
    result = report(w, run_id, time.monotonic() - started)
    emit(result, as_json=as_json, text=summary(result, w.app.settings.public_base_url))
    return exit_code(result)


def summary(result: dict[str, Any], base_url: str) -> str:
    """What a person wants to know, in a dozen lines."""
    lines = [""]
    trend, video, cost, judge = result["trend"], result["video"], result["cost"], result["judge"]
    if trend:
        lines.append(f"Trend      {trend['title']}  ({', '.join(trend['platforms'])})")
    if video:
        size = f"{video['width']}x{video['height']}@{video['fps']}, {video['size_bytes'] / 1e6:.1f} MB"
        lines += [f"Video      {video['path']}", f"           {video['duration_seconds']:.1f} s, {size}"]
        lines.append(f"Captions   {result['captions']['srt']}")
        lines += [f"Thumbnails {'  '.join(result['thumbnails'])}"] if result.get("thumbnails") else []
    if result.get("images"):
        first = result["images"][0]
        size = sum(image["size_bytes"] for image in result["images"])
        lines.append(
            f"Images     {first['path']}  ({len(result['images'])} of {first['width']}x{first['height']}, {size / 1e6:.1f} MB)"
        )
    if result.get("posts"):
        lines.append(f"Posts      {len(result['posts'])}, the first: {result['posts'][0].splitlines()[0][:80]}")
    for one in result.get("assets_left_out") or []:
        lines.append(f"Left out   {inline(one['file'])}: {inline(one['reason'])}")
    origin = result["provenance"]
    if origin:
        signed = f"signed by {origin['signed_by']}" if origin["manifest"] else "no manifest"
        lines.append(f"Origin     {signed}; {origin['digital_source_type']}; {origin['bill']}")
    for publication in result["publications"]:
        lines.append(f"Post       {publication['url']}  ({publication['platform']}: {publication['status']})")
    if result["publications"]:
        lines.append(f"Feed       {base_url}/channel/feed.xml  (`make up` serves it)")
    if cost["estimated"]:
        lines.append(f"Cost       {cost['actual'] or '-'} USD (estimated {cost['estimated']} USD)")
    for approval in result["approvals"]:
        lines.append(f"Approval   {approval['decision']}: up to {approval['amount']} USD")
    if judge:
        failed = [c["name"] for c in judge["checks"] if c["passed"] is not True]
        lines.append(
            f"Judge      {judge['verdict']} ({len(judge['checks'])} checks{', not passed: ' + ', '.join(failed) if failed else ''})"
        )
    ledger = result["ledger"]
    lines.append(f"Ledger     {ledger['entries']} entries, {'verified' if ledger['verified'] else 'NOT VERIFIED'}")
    used = {k: v for k, v in result["used"].items() if v not in (None, [], "", 0, False)}
    lines.append(
        "Used       " + ", ".join(f"{k}: {v if not isinstance(v, list) else _short(v)}" for k, v in used.items())
    )
    lines.append(f"Run        {result['run_id']}: {result['status']} after {result['elapsed_seconds']:.0f} s")
    if result["error"]:
        lines.append(f"Why        {result['error'].get('code')}: {result['error'].get('message')}")
    if result["status"] in {"waiting_review", "waiting_approval"}:
        lines.append("Next       `chimera review ls`, then `chimera review approve ID` and `chimera resume`")
    return "\n".join(lines)


def _short(values: list[Any]) -> str:
    return " ".join(str(v["platform"]) if isinstance(v, dict) and "platform" in v else str(v) for v in values)
