"""A video that is not good enough is made once more with another seed, then a person decides: the real machine, the real steps."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chimera.adapters.checks.technical import TechnicalCheck
from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.domain.allowance import CallItem, Draw
from chimera.domain.judge import REQUIRED
from chimera.domain.models import Check
from chimera.domain.prices import production_limits, production_upper_bound, retry_limits
from chimera.errors import ChimeraError
from chimera.purse import Purse
from chimera.usecases.containers import Rendering, inspect_content, render_content
from chimera.usecases.costs import metered
from chimera.usecases.judge import wants_another_seed
from chimera.usecases.production import MadeContent, worst_case
from chimera.usecases.scope import Scope
from chimera.usecases.speaking import speak
from chimera.usecases.verdict import judge
from chimera_local.asl import JSON, Machine, load_machine
from chimera_local.asl.memory import MemoryEngine
from chimera_local.machines import machine_files, substitutions

SCOPE = {"tenant_id": "t", "run_id": "r", "task_id": "k", "content_id": "c", "attempt": 0}
LINES = ["The bridge over the river closes in March.", "It opens again in the middle of May."]
SECONDS = 10


class Allowance:
    """Gives what the CFO approved and not a micro more."""

    def __init__(self, micros: int) -> None:
        self.micros = micros
        self.draws: dict[str, Draw] = {}
        self.most = 0

    def draw(self, request_id: str, call_id: str, micros: int, item: CallItem) -> Draw:
        if known := self.draws.get(call_id):
            if known.drawn_micros != micros:
                raise ChimeraError("CONFLICT", f"call {call_id} drew {known.drawn_micros} before, now {micros}")
            return replace(known, first=False)
        spent = sum(draw.charged_micros for draw in self.draws.values())
        if spent + micros > self.micros:
            raise ChimeraError("BUDGET_EXCEEDED", f"{call_id}: {micros} asked, {self.micros - spent} left")
        self.most += micros
        self.draws[call_id] = Draw(request_id=request_id, call_id=call_id, item=item, drawn_micros=micros)
        return self.draws[call_id]

    def correct(self, request_id: str, call_id: str, actual_micros: int, quantity: str | None = None) -> Draw:
        # the whole worst case is booked: what the bound has to stand
        self.draws[call_id] = replace(self.draws[call_id], state="CORRECTED")
        return self.draws[call_id]


class Canvas:
    """Paints flat grey for the seeds in `dull`, else a picture with shapes and colours."""

    name = "test-canvas"

    def __init__(self, dull: range) -> None:
        self.dull = dull
        self.seeds: list[int] = []

    def paint(self, spec: Any, *, index: int, seed: int, size: tuple[int, int], out_png: Path, **_: Any) -> Path:
        width, height = size
        picture: Any = np.full((height, width, 3), 110, np.uint8)
        if seed not in self.dull:
            blocks = np.random.default_rng(seed * 100 + index).integers(20, 235, (16, 9, 3), dtype=np.uint8)
            picture = cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)
        self.seeds.append(seed)
        cv2.imwrite(str(out_png), picture)
        return out_png


class OtherChecks:
    """Answers all questions that are not about the file."""

    name, category = "others", "policy"

    def run(self, subject: Any) -> list[Check]:
        kinds: Any = [kind for kind in REQUIRED if kind != "technical"]
        return [
            Check(name=kind, category=kind, score=1, threshold=0.5, passed=True, provider="others") for kind in kinds
        ]


class Steps:
    """Does the steps between approval and verdict for real; the rest is answered. `calls`: each step and its attempt."""

    def __init__(self, folder: Path, canvas: Canvas) -> None:
        self.folder, self.canvas = folder, canvas
        self.media = FolderMediaStore(folder / "media")
        self.store = Allowance(production_upper_bound(SECONDS, 360))
        self.calls: list[tuple[str, int]] = []
        self.limits: list[float | None] = []
        made = MadeContent(self.media, Scope(**SCOPE))
        profile = {"name": "Ada"}
        options = {"resolution": "360p", "fps": 24, "quality_preset": "draft", "aspect": "9:16"}
        persona = {"voice_id": "en-us+f2", "brand_guidelines": {}}
        made.write("brief", "material.json", {"options": options, "material": {"profile": profile, "seed": 7}, "persona": persona})  # fmt: skip
        trend = {
            "trend_id": "t", "topic": "Bridge", "title": "Bridge", "volume": 1, "sentiment_score": 0, "rising_velocity": 0,
            "platforms": ["rss"], "url": "https://city.example", "timestamp": "2026-11-21T00:00:00Z",
        }  # fmt: skip
        made.write("brief", "used_material.json", {"trend": trend, "profile": profile})
        brief = {
            "brief_id": "b", "trend_id": "t", "title": "A bridge", "script": " ".join(LINES), "estimated_cost": "0.01",
            "scenes": [{"narration": t, "visual_prompt": "river", "on_screen_text": "March"} for t in LINES],
            "projected_engagement": 1.0, "projected_roi": 2.0, "duration_seconds": SECONDS, "sources": [],
            "writer": {"provider": "offline", "model": "extractive", "prompt_version": "1"},
        }  # fmt: skip
        made.write("brief", "brief.json", brief)
        self.request = {"limits": production_limits(SECONDS, 360), "retry_limits": retry_limits(SECONDS, 360)}
        made.write("brief", "request.json", self.request)

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        answers: dict[str, JSON] = {
            "open_task": {"scope": SCOPE, "channels": ["local"]},
            "write_brief": {"request": {}, **self.request},
            "approve": {"decision": "approved", "request_id": "q"},
        }
        name = name.rpartition(":")[2]
        done = self._step(name, payload)
        if name == "record_verdict":
            return {"content_hash": "h", "reason": "", **self._judged()}
        return answers.get(name, {}) if done is None else done

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        command = arguments["ContainerOverrides"]["Command"]
        self.limits.append(timeout_seconds)
        self._step(command[0], json.loads(command[2]))
        return {"JobId": job_key, "Status": "SUCCEEDED"}

    def _step(self, name: str, payload: JSON) -> JSON:
        scope = Scope(**{key: payload[key] for key in SCOPE if key in payload}) if "content_id" in payload else None
        self.calls.append((name, scope.attempt if scope else 0))
        if scope is None or name not in {"voice", "pictures", "render", "inspect", "judge"}:
            return None
        made, purse = MadeContent(self.media, scope), Purse(self.store, "q")  # type: ignore[arg-type]
        if name == "voice":
            return speak(made, {"espeak-ng": EspeakVoice()}, purse)
        if name == "pictures":
            return self._paint(made, purse)
        if name == "render":
            work = self.folder / f"work-{scope.attempt}"
            render_content(made, work, lambda _part: None, purse, Rendering(encoder="x264"))
            return {}
        if name == "inspect":
            inspect_content(made, purse)
            return {}
        return judge(made, [TechnicalCheck(), OtherChecks()], purse)

    def _paint(self, made: MadeContent, purse: Purse) -> JSON:
        """A picture for each scene, with the seed of this attempt, drawn and metered as the real step is."""
        scope, seed = made.scope, 7 + made.scope.attempt
        limit = worst_case(made, "pictures")
        with metered(made.media, scope.prefix, "pictures", gigabytes=1, purse=purse, worst_case_micros=limit):
            names = [f"{index}.png" for index in range(len(LINES) + 1)]
            for index, name in enumerate(names):
                self.canvas.paint(None, index=index, seed=seed, size=(360, 640), out_png=self.folder / name)
                made.media.put_file(scope.key("pictures", name), self.folder / name)
        found = {
            "fingerprint": str(seed),
            "provider": "test",
            "model": "test",
            "licence": "ours",
            "origin": "algorithm",
        }
        scenes = [{"image": name} for name in names]
        made.write("pictures", "pictures.json", {**found, "seed": seed, "scenes": scenes[:-1], "outro": scenes[-1]})
        return {"scenes": len(LINES)}

    def _judged(self) -> dict[str, Any]:
        report = MadeContent(self.media, Scope(**SCOPE)).read("reports", "judge.json")
        return {"verdict": report["verdict"], "confidence": report["confidence"]}

    def attempts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.media.get_bytes("tenants/t/content/c/reports/attempts.json"))[
            "attempts"
        ]
        return found


def creation() -> Machine:
    file = next(file for file in machine_files() if file.name == "creation.asl.json")
    return load_machine("creation", file.read_text("utf-8"), substitutions=substitutions())


def say_no(engine: MemoryEngine) -> bool:
    """A person who rejects what waits for one."""
    waiting = [token for token, state in engine.tokens.items() if state.status == "OPEN"]
    for token in waiting:
        engine.answer(token, {"decision": "rejected"})
    return bool(waiting)


def run(steps: Any) -> list[str]:
    """Every state that the execution went through, in order, until it waits for a person or ends."""
    engine = MemoryEngine({"creation": creation()}, steps, between=say_no)
    found = engine.run("creation", {"tenant_id": "t", "run_id": "r", "task_id": "k", "options": {"stop_at": None, "auto_approve": False}}, "x")  # fmt: skip
    assert found.status == "SUCCEEDED", (found.error, found.cause)
    history = [event for event in engine.history(found.id) if event.type.endswith("StateEntered")]
    return [str(event.state) for event in history]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")  # a job works in its current folder
    return tmp_path


def test_flat_pictures_are_made_once_more_and_then_a_person_decides(here: Path) -> None:
    steps = Steps(here, Canvas(dull=range(1000)))
    states = run(steps)
    assert states.count("another_seed") == 1 and "request_review" in states and "ready" not in states
    made = [call for call in steps.calls if call[0] in {"voice", "pictures", "render", "inspect", "judge"}]
    assert sorted(made[:2]) == [("pictures", 0), ("voice", 0)] and sorted(made[5:7]) == [("pictures", 1), ("voice", 1)]
    assert [name for name, attempt in made[7:] if attempt == 1] == ["render", "inspect", "judge"]
    assert set(steps.canvas.seeds) == {7, 8}
    # the voice is used again; all else is drawn twice, from the one approval, which covers all of both worst cases
    assert sorted(steps.store.draws) == [
        "inspect", "inspect/seed-1", "judge", "judge/seed-1", "pictures", "pictures~2", "render", "render/seed-1", "voice",
    ]  # fmt: skip
    assert steps.store.most <= steps.store.micros
    first, second = steps.attempts()
    assert (first["code"], second["code"]) == ("QUALITY_FAILED", None)
    assert max(first["quality_score"], second["quality_score"]) < 0.8
    assert any("quality.score" in problem for problem in second["problems"])


def test_another_seed_that_is_better_needs_nobody(here: Path) -> None:
    steps = Steps(here, Canvas(dull=range(8)))  # seed 7 is dull, 8 is not
    states = run(steps)
    assert states.count("another_seed") == 1 and states[-1] == "ready"
    first, second = steps.attempts()
    assert first["quality_score"] < 0.8 <= second["quality_score"] and second["problems"] == []
    report = json.loads(steps.media.get_bytes("tenants/t/content/c/reports/technical.json"))
    assert report["quality"]["score"] == second["quality_score"]


class Answers:
    """Every step answers at once; the judge as told, by attempt."""

    def __init__(self, *judged: dict[str, Any]) -> None:
        self.judged = judged
        self.seen: list[tuple[str, JSON, float | None]] = []

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        name = name.rpartition(":")[2]
        self.seen.append((name, payload, timeout_seconds))
        limits = production_limits(SECONDS, 360)
        if name == "judge":
            return self.judged[payload["attempt"]]
        verdict = self.judged[-1]["verdict"]
        answers: dict[str, JSON] = {
            "open_task": {"scope": SCOPE, "channels": []},
            "write_brief": {"request": {}, "limits": limits, "retry_limits": retry_limits(SECONDS, 360)},
            "approve": {"decision": "approved", "request_id": "q"},
            "record_verdict": {"verdict": verdict, "confidence": 1, "content_hash": "h", "reason": ""},
        }
        return answers.get(name, {})

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        self.seen.append((arguments["ContainerOverrides"]["Command"][0], None, timeout_seconds))
        return {"JobId": job_key, "Status": "SUCCEEDED"}


def judged(verdict: str, *, retry: bool) -> dict[str, Any]:
    return {"verdict": verdict, "confidence": 1, "content_hash": "h", "quality_score": 0.5, "retry": retry}


def test_a_judge_that_asks_again_and_again_gets_one_retry() -> None:
    steps = Answers(judged("review", retry=True), judged("review", retry=True))
    states = run(steps)
    assert states.count("another_seed") == 1 and states.count("judge") == 2 and "request_review" in states
    renders = [timeout for name, _, timeout in steps.seen if name == "render"]
    assert renders == [500, 167], "the second one has a third of the time"


def test_what_is_good_enough_is_not_made_twice() -> None:
    states = run(Answers(judged("pass", retry=False)))
    assert "another_seed" not in states and states[-1] == "ready"


def answers(quality: float | None, *failed: str) -> list[Check]:
    found = [
        Check(name=name, category="technical", score=0, threshold=1, passed=False, provider="x") for name in failed
    ]
    passed = None if quality is None else quality >= 0.8
    return [*found, Check(name="quality.score", category="quality", score=quality or 0, threshold=0.8, passed=passed, provider="x")]  # fmt: skip


@pytest.mark.parametrize(
    ("checks", "verdict", "attempt", "again"),
    [
        (answers(0.7), "review", 0, True),
        (answers(0.7, "technical.frozen_picture", "technical.flashes"), "review", 0, True),
        (answers(0.7), "review", 1, False),  # once
        (answers(0.8), "pass", 0, False),
        (answers(None), "review", 0, False),  # not known: a person looks
        (
            answers(0.7, "technical.frozen_picture", "technical.width"),
            "review",
            0,
            False,
        ),  # another seed has that width too
        (answers(0.7, "technical.captions_in_time"), "review", 0, False),
        (answers(0.7), "reject", 0, False),  # the words stay as they are
        ([], "review", 0, False),
    ],
)
def test_only_what_another_seed_can_mend_is_made_again(
    checks: list[Check], verdict: Any, attempt: int, again: bool
) -> None:
    assert wants_another_seed(checks, verdict, attempt) is again
