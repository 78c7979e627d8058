"""A template that would never end, or eat all memory, is stopped, and its worker can open nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from chimera.errors import ChimeraError
from chimera.templates.engine import Limits
from tests.fakes.template_packs import EVERY_SCENE, board

SHORT = Limits(cpu_seconds=1, memory_bytes=200_000_000, steps=3_000, output_bytes=20_000)
NESTED = "scenes:\n  - for: a in range(500)\n    scenes: [{for: b in range(500), scenes: [{for: c in range(500), when: c < 0}]}]\n"
LARGE = "scenes:\n  - for: a in range(150)\n    narration: \"{{ 'x' * 9000 }}\"\n"
MEMORY = "scenes:\n" + "  - when: \"(range(500) | map('string') | map('center', 9) | list) == 1\"\n" + EVERY_SCENE[8:]
HUGE = 'scenes:\n  - let: {x: "{{ \'a\' * 20000 }}", y: "{{ (x | replace(\'a\', x)) | length }}"}\n    key: "{{ y }}"\n'


def why(text: str, limits: Limits = SHORT) -> str:
    with pytest.raises(ChimeraError) as caught:
        board(text, limits=limits)
    assert caught.value.code == "VALIDATION_FAILED"
    return caught.value.message


def test_a_loop_in_a_loop_is_stopped_by_counting() -> None:
    assert "more than 3,000 steps" in why(NESTED)


def test_computing_without_end_is_stopped_by_the_clock() -> None:
    assert "more than 1 s of computing time" in why(NESTED, Limits(cpu_seconds=1, steps=10**9))


def test_what_does_not_end_is_stopped_by_the_wall_clock() -> None:
    assert "not done after 0.01 s" in why(EVERY_SCENE, Limits(wall_seconds=0.01))


def test_memory_is_bounded() -> None:
    assert "used more than 200 MB" in why(HUGE)


def test_the_answer_is_bounded() -> None:
    assert "larger than 20,000 bytes" in why(LARGE)


def test_a_filter_that_is_not_given_cannot_be_used() -> None:
    assert "No filter named 'center'" in why(MEMORY)


def test_more_scenes_or_layers_than_allowed_are_refused() -> None:
    assert "more than 200 scenes" in why('scenes: [{for: a in range(300), key: "{{ a }}"}]', Limits())
    layers = "layers: [{for: a in range(99), kind: shape, form: circle, box: motif}]"
    assert "more than 60 layers" in why(f"scenes: [{{key: a, {layers}}}]", Limits())


PROBE = """
import json, os, socket
from chimera.templates.worker import lock_down
lock_down({"cpu_seconds": 5, "memory_bytes": 300_000_000})
tried = {}
for name, attempt in {
    "file": lambda: open("/etc/hostname"),
    "write": lambda: open("/tmp/never-written", "w"),
    "socket": lambda: socket.socket(),
    "pipe": os.pipe,
    "memory": lambda: bytearray(400_000_000),
}.items():
    try:
        attempt()
        tried[name] = "done"
    except (OSError, MemoryError) as error:
        tried[name] = type(error).__name__
print(json.dumps(tried), sorted(os.environ))
"""


def test_the_worker_can_open_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    tried = json.loads(done.stdout[: done.stdout.index("}") + 1])
    assert set(tried.values()) <= {"OSError", "MemoryError"}
    assert len(tried) == 5
