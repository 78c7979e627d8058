"""Starts runs, follows them, and says what came of them; for the command line and for `up`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from chimera.domain.ids import new_id
from chimera.domain.options import RunOptions
from chimera.errors import CODES, ChimeraError, explain
from chimera.usecases.executions import executions_of_run, histories
from chimera.usecases.personas import with_persona
from chimera.usecases.reporting import stages_of
from chimera_local.jobs import progress_of
from chimera_local.world import World

POLL_SECONDS = 0.3
WAITING = ("waiting_review", "waiting_approval")


def start_run(world: World, options: RunOptions, run_id: str = "") -> str:
    """Start the supervisor; gives the run's id, the given one or a new one. `App.run_checks` is asked before.

    The row is entered first, so that the run can always be found; a run that is entered already is not begun twice.
    """
    run_id = run_id or new_id()
    options = with_persona(options, world.app.personas(world.tenant))
    world.app.runs(world.tenant).begin(run_id, f"supervisor:{run_id}", options.model_dump(mode="json"))
    continue_run(world, run_id)
    return run_id


def continue_run(world: World, run_id: str) -> None:
    """Start the supervisor of a run that is entered; one that was started goes on.

    The input is what was entered, to the letter: options that a later version adds would make it another one.
    """
    options = world.app.runs(world.tenant).get(run_id)["options"]
    event = {"tenant_id": world.tenant, "run_id": run_id, "options": options}
    world.workflows.start("supervisor", run_id, event)


def events_of(world: World, run_id: str) -> list[dict[str, Any]]:
    """The events of all executions of a run; `world.workflows` may be another process's."""
    executions = executions_of_run(world.app, world.tenant, run_id)
    return [event for events in histories(world.app, executions).values() for event in events]


def follow(
    world: World,
    run_id: str,
    on_stages: Callable[[list[dict[str, Any]]], None],
    on_render: Callable[[float], None],
) -> dict[str, Any]:
    """Wait until the run has ended or waits for a person; gives its row."""
    while True:
        on_stages(stages_of(events_of(world, run_id)))
        part = render_progress(world, run_id)
        if part is not None:
            on_render(part)
        row = ended(world, run_id)
        if row is not None:
            return row
        time.sleep(POLL_SECONDS)


def ended(world: World, run_id: str) -> dict[str, Any] | None:
    """The row of a run that has ended or waits for a person; None while it goes on by itself.

    On a full disk `INTERNAL` (`World.check_room`).
    """
    world.check_room()
    description = world.workflows.describe(f"supervisor:{run_id}")
    row = world.app.runs(world.tenant).get(run_id)
    if description["status"] != "RUNNING":
        if row["status"] == "running":  # the machine ended without closing the books
            error = explain(str(description.get("error")), str(description.get("cause") or ""))
            world.app.runs(world.tenant).set_status(run_id, "failed", error=error)
            row = world.app.runs(world.tenant).get(run_id)
        return row
    return row if row["status"] in WAITING and waits_for_person(world, run_id) else None


def waits_for_person(world: World, run_id: str) -> bool:
    """Whether a decision is really outstanding; a decided one is being delivered."""
    rows = world.app.content(world.tenant).of_run(run_id)
    subjects = {str(row["id"]) for row in rows} | {str(row["approval_request_id"]) for row in rows}
    pending = world.app.reviews(world.tenant).page(100, None, "pending")
    return any(str(review["content_id"] or review["request_id"]) in subjects for review in pending)


def render_progress(world: World, run_id: str) -> float | None:
    """How far the running render is, 0–1; None when none runs."""
    home = world.app.settings.home_path
    parts = [progress_of(home, f"render-{row['id']}") for row in world.app.content(world.tenant).of_run(run_id)]
    return max((part for part in parts if part is not None), default=None)


def report(world: World, run_id: str, elapsed_seconds: float) -> dict[str, Any]:
    """The object that `run --json` prints."""
    from chimera.usecases.run_report import build_report

    # what the run wrote is proved from now on, not only when the next command comes by
    world.app.sealer(world.tenant).seal_due(force=True)
    world.app.cfo(world.tenant).sweep()
    try:
        events = events_of(world, run_id) if world.app.settings.workflows_endpoint else []
    except ChimeraError:
        events = []
    return build_report(world.app, world.tenant, run_id, stages_of(events), elapsed_seconds)


def exit_code(result: dict[str, Any]) -> int:
    """The documented exit code of a finished or waiting run."""
    if any(p["status"] == "unknown" for p in result["publications"]):
        return 7
    if result["status"] in {"published", "stopped"}:
        return 0
    if result["status"] in WAITING:
        return 3
    code = (result.get("error") or {}).get("code", "INTERNAL")
    return CODES.get(code, CODES["INTERNAL"])[2]
