"""`chimera batch`: many productions from one file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from chimera.domain.money import usd
from chimera.settings import get_settings
from chimera_local.batches import Batch, check_lines, left_micros, read_batch
from chimera_local.cli import emit, who
from chimera_local.cli.progress import StageProgress
from chimera_local.world import world


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--parallel", type=click.IntRange(1, 64), default=None, help="At a time; empty: one more than half the cores."
)
@click.option("--name", default="", help="Another name makes everything anew; empty: the file's.")
@click.option("--retry-failed", is_flag=True, help="Begin those lines anew that ended without a video.")
@click.option("--check", is_flag=True, help="Only check every line, and say what they can cost.")
@click.option("--auto-approve", is_flag=True, help="Approve in advance what the judge puts to review, for every line.")
@click.option(
    "--stop-at", type=click.Choice(["brief", "approval", "render", "judge"]), default=None, help="For every line."
)
@click.option(
    "--resolution", type=click.Choice(["360p", "720p", "1080p", "4k"]), default=None, help="Where a line has none."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, also for --check.")
def batch(
    file: Path,
    parallel: int | None,
    name: str,
    retry_failed: bool,
    check: bool,
    auto_approve: bool,
    stop_at: str | None,
    resolution: str | None,
    as_json: bool,
) -> int:
    """Make a video of each line of FILE (JSONL or CSV): the file is checked whole before anything is spent.

    One JSON object a line on stdout, as each is finished. The same command again goes on where it was; nothing is made
    twice. `chimera schema run-options` has the fields of a line.
    """
    defaults: dict[str, Any] = {"stop_at": stop_at or "", "resolution": resolution or "1080p"}
    if auto_approve:
        defaults |= {"auto_approve": True, "approved_by": f"{who()}, in advance (--auto-approve)"}
    lines = read_batch(file, name=name or file.name, defaults=defaults)
    most = sum(line.worst_case_micros for line in lines)
    if check:
        with world(get_settings(), engine=False) as w:
            check_lines(lines, w.app.run_checks(w.tenant), file=file.name)
        said = {"lines": len(lines), "at_most": usd(most), "currency": "USD"}
        emit(said, as_json=as_json, text=f"{len(lines)} lines can be made, for at most {usd(most)} USD in all")
        return 0
    at_a_time = parallel or (os.cpu_count() or 1) // 2 + 1
    done = 0
    with StageProgress() as progress, world(get_settings(), note=progress.update) as w:
        progress.done("database")
        progress.done("engine")
        check_lines(lines, w.app.run_checks(w.tenant), file=file.name)
        left = left_micros(w)
        short = f"; the budgets leave {usd(left)} USD, so some may have to wait or be refused" if most > left else ""
        progress.note(f"{len(lines)} lines, for at most {usd(most)} USD in all, {at_a_time} at a time{short}")

        def result(one: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            click.echo(json.dumps(one, ensure_ascii=False, default=str))
            sys.stdout.flush()
            before = " (made before)" if one.get("made_before") else ""
            progress.note(f"line {one['line']}: {one['status']}{before}, {done} of {len(lines)}")

        return Batch(
            w, lines, parallel=at_a_time, retry_failed=retry_failed, on_result=result, note=progress.note
        ).run()
