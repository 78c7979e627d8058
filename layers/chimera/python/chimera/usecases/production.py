"""Artist: opens a piece of content, makes its voice and pictures, renders it, books what it cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from chimera.domain.approval import verify_approval
from chimera.domain.cards import is_still
from chimera.domain.ids import stable_id
from chimera.domain.models import Brief, Material, Model, Persona, Trend
from chimera.domain.money import to_micros
from chimera.domain.options import RunOptions
from chimera.domain.prices import JUDGE_TIMEOUT_SECONDS, step_worst_case
from chimera.domain.written_language import written_language
from chimera.media.models import frame_size
from chimera.ports import Clock, ContentRows, MediaStore, PersonaRows, Verifier
from chimera.purse import Purse
from chimera.templates.storyboard import Storyboard
from chimera.usecases.costs import Meter, metered, noted
from chimera.usecases.scope import Scope


class OpenTask(Model):
    """Input of `open_task`."""

    tenant_id: str
    run_id: str
    task_id: str
    options: RunOptions


def open_task(
    event: OpenTask,
    content: ContentRows,
    trend_of: Callable[[str], Trend],
    personas: PersonaRows,
    media: MediaStore,
) -> dict[str, Any]:
    """Claim the task and lay out what the writer may use; gives the scope that all later steps carry."""
    row = content.open(event.task_id, event.run_id, event.options.format)
    persona = _reading(personas.get(str(row["persona_id"])), event.options)
    trend = trend_of(str(row["trend_source_id"]))
    scope = Scope(tenant_id=event.tenant_id, run_id=event.run_id, task_id=event.task_id, content_id=str(row["id"]))
    profile = persona.model_dump(include={"name", "tone", "target_audience", "brand_guidelines"})
    material = Material.model_validate(
        {
            "trend": trend.model_dump(),
            "profile": profile,
            "duration_seconds": event.options.duration_seconds,
            "language": persona.language,
            "script": event.options.material.script if event.options.material else "",
            "seed": event.options.seed or int(hashlib.sha256(scope.content_id.encode()).hexdigest()[:6], 16),
        }
    )
    options = event.options
    rate = pixel_rate(frame_size(options.aspect, options.resolution), rate_of(options.format, options.fps))
    history = [r["production"] for r in content.rate_history(rate)]
    ask = {
        "material": material.model_dump(mode="json"),
        "options": event.options.model_dump(mode="json"),
        "persona": persona.model_dump(mode="json"),
        "history": history,
    }
    media.put_bytes(scope.key("brief", "material.json"), as_json(ask))
    return {"scope": scope.model_dump(mode="json"), "channels": persona.channels, "title": trend.title[:200]}


def _reading(persona: Persona, options: RunOptions) -> Persona:
    """The persona, with a language that can read a person's own words: an English voice only spells Arabic letters."""
    own = options.material
    language = written_language(own.script or own.text or own.title, persona.language) if own else persona.language
    return (
        persona
        if language == persona.language
        else persona.model_copy(update={"language": language, "voice_id": language})
    )


class MadeContent:
    """The JSON files that the steps of one production leave for each other."""

    def __init__(self, media: MediaStore, scope: Scope) -> None:
        self.media = media
        self.scope = scope

    def read(self, kind: str, name: str) -> dict[str, Any]:
        """A file of this content; `NOT_FOUND` if its step has not run."""
        value: dict[str, Any] = json.loads(self.media.get_bytes(self.scope.key(kind, name)))
        return value

    def read_or_none(self, kind: str, name: str) -> dict[str, Any] | None:
        """A file of this content, or None."""
        return self.read(kind, name) if self.media.exists(self.scope.key(kind, name)) else None

    def write(self, kind: str, name: str, value: Any) -> str:
        """Keep a file of this content."""
        return self.media.put_bytes(self.scope.key(kind, name), as_json(value))

    def brief(self) -> Brief:
        """The brief."""
        return Brief.model_validate(self.read("brief", "brief.json"))

    def storyboard(self) -> Storyboard | None:
        """What a template made of the brief; None for content of before there were templates: the plain layout."""
        value = self.read_or_none("brief", "storyboard.json")
        return None if value is None else Storyboard.model_validate(value)


def worst_case(made: MadeContent, step: str) -> int:
    """Micros that a step cannot exceed: the time limit that the state machine ends it at, at its price."""
    return step_worst_case(step, JUDGE_TIMEOUT_SECONDS if step == "judge" else time_limit(made, step))


def made_once(
    made: MadeContent,
    purse: Purse,
    step: Literal["render", "inspect"],
    report: str,
    mark: tuple[str, str],
    make: Callable[[Meter], dict[str, Any]],
) -> tuple[dict[str, Any], bool]:
    """What a container's step says in `reports/<report>`, and whether it was made now.

    A report that bears the mark (a field and its value) is taken as it is; else `make` does the work, measured and paid,
    and its answer is kept.
    """
    field, value = mark
    known = made.read_or_none("reports", report)
    if known and known.get(field) == value:
        return known, False
    scope, limit = made.scope, worst_case(made, step)
    gigabytes = {"render": 4, "inspect": 2}[step]
    with metered(
        made.media, scope.prefix, step, gigabytes=gigabytes, purse=purse, worst_case_micros=limit, attempt=scope.attempt
    ) as meter:
        found = make(meter)
    found[field] = value
    made.write("reports", report, found)
    return found, True


def time_limit(made: MadeContent, step: str) -> int:
    """Seconds after which the state machine ends a step."""
    limits = "retry_limits" if made.scope.attempt else "limits"
    return int(made.read("brief", "request.json")[limits][f"{step}_seconds"])


def pixel_rate(size: tuple[int, int], fps: int) -> int:
    """Pixels a second: what productions must have in common to be compared by cost."""
    return size[0] * size[1] * fps


def rate_of(format: str, fps: int) -> int:
    """Pictures a second that productions are compared by: a card stands for a second, so no video is compared with it."""
    return 1 if is_still(format) else fps


def production_facts(made: MadeContent) -> dict[str, Any]:
    """What the whole production used, for the next estimate."""
    lines = noted(made.media, made.scope.prefix)
    seconds: dict[str, Decimal] = {}
    for line in lines:
        seconds[line.step] = seconds.get(line.step, Decimal(0)) + Decimal(line.quantity)
    render = made.read("reports", "render.json")
    still, size = is_still(render.get("format", "video")), (render["width"], render["height"])
    return {
        "pixel_rate": pixel_rate(size, 1 if still else render["fps"]),
        "video_seconds": len(render["cards"]) if still else render["duration_seconds"],
        "actual_micros": sum(line.amount_micros for line in lines),
        "cpu_seconds": {step: str(used) for step, used in seconds.items()},
    }


def approval_request_id(content_id: str) -> str:
    """The id under which the production of this content is approved: the same each time it is asked for."""
    return stable_id(content_id, "production")


class Produce(Scope):
    """Input of a step that spends: the scope and the CFO's signed approval."""

    approval: dict[str, Any]


def check_approval(event: Produce, verifier: Verifier, clock: Clock) -> None:
    """No valid signature of the CFO for this production, no production: `INVALID_SIGNATURE`.

    When it ends was checked by the ledger at its single dispatch; a production that goes on after a crash is not late.
    """
    verify_approval(
        event.approval.get("token"),
        verifier,
        now=clock.now(),
        request_id=str(event.approval.get("request_id", "")),
        agent_id=stable_id(event.tenant_id, "artist"),
        tenant_id=event.tenant_id,
        amount_micros=None,
        check_expiry=False,
    )


def save_brief(made: MadeContent, content: ContentRows) -> dict[str, Any]:
    """The content's row, with title, script and estimate; again is the same."""
    brief = made.brief()
    content.advance(
        made.scope.content_id,
        ("draft",),
        brief_id=brief.brief_id,
        title=brief.title,
        script=brief.script,
        visual_prompts=brief.visual_prompts,
        brief=brief.model_dump(mode="json", exclude={"script", "visual_prompts"}),
        estimated_cost_micros=to_micros(brief.estimated_cost, "estimated_cost"),
        format=brief.format,
        style=brief.tone_guidelines,
    )
    return {"brief_id": brief.brief_id, "title": brief.title}


def summary(made: dict[str, Any], *, reused: bool) -> dict[str, Any]:
    """What a step that makes a file for each scene answers the state machine."""
    return {"provider": made["provider"], "scenes": len(made["scenes"]), "reused": reused}


def fingerprint_of(*parts: Any) -> str:
    """The hash of all that a step's work depends on."""
    return hashlib.sha256(as_json(parts)).hexdigest()


def terms_of(provider: Any) -> dict[str, str]:
    """What a provider says of its work for the bill of materials: whose it is, and what made it."""
    facts = {"licence": "unknown", "origin": "trained_model", "author": provider.name, "source": ""}
    return {name: str(getattr(provider, name, default)) for name, default in facts.items()}


def as_json(value: Any) -> bytes:
    """A value as the bytes of its file; Decimals are strings."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_default).encode()


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
