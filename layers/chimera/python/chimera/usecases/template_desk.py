"""What people do with templates, however they ask: look at one, publish one, say which a persona uses, take that back."""

from __future__ import annotations

from typing import Any, Protocol

from chimera.domain.models import Persona
from chimera.errors import ChimeraError
from chimera.ports import Row
from chimera.templates.bundle import open_bundle
from chimera.templates.pins import earlier, stack
from chimera.templates.problems import ProblemsError, refused
from chimera.templates.resolving import Resolved
from chimera.templates.semver import Reference
from chimera.templates.shelves import Templates
from chimera.usecases.personas import find


class TemplatePins(Protocol):
    """Which template each persona uses; see adapters/postgres/personas.py."""

    def all(self) -> list[Persona]:
        """Every persona."""
        ...

    def set_template(
        self, persona_id: str, template: str, *, by: str, rollback: bool = False, expected: str | None = None
    ) -> str:
        """Change it; what it was. `CONFLICT` if that is not what was `expected`."""
        ...

    def template_history(self, persona_id: str) -> list[Row]:
        """Every change, oldest first."""
        ...


def describe(resolved: Resolved, templates: Templates) -> dict[str, Any]:
    """One version of a template: what it takes and what it is made of."""
    pack = resolved.pack
    return {
        "name": pack.name,
        "version": str(pack.version),
        **{key: pack.text(key) for key in ("title", "description", "kind", "author", "licence", "extends")},
        "origin": pack.origin,
        "versions": [str(v) for v in templates.versions(pack.name)],
        "built_on": sorted(name for name in resolved.packs if name != pack.reference),
        "checksum": resolved.checksum,
        "parameters": resolved.named("parameters"),
        "roles": resolved.named("roles"),
        "blocks": sorted(resolved.named("blocks")),
        "files": {name: len(data) for name, data in sorted(pack.files.items())},
    }


def publish_bundle(data: bytes, label: str, templates: Templates, *, by: str) -> dict[str, Any]:
    """Publish an exported file: every hash in it is checked, then the template as `Templates.publish` checks any.

    The same file again is the same publication.
    """
    try:
        pack = open_bundle(data, label)
    except ProblemsError as error:
        raise refused(label, error.problems) from None
    return templates.publish(pack, by=by)


def persona_of(personas: TemplatePins, wanted: str) -> Persona:
    """The persona of that name or id; "" is the only one there is. `NOT_FOUND` says which there are."""
    everyone = personas.all()
    if wanted or len(everyone) == 1:
        return find(everyone, wanted) if wanted else everyone[0]
    names = ", ".join(p.name for p in everyone)
    raise ChimeraError("NOT_FOUND", f"which persona? expected one of: {names}", {"persona": ""})


def pin(reference: str, persona: Persona, personas: TemplatePins, templates: Templates, *, by: str) -> dict[str, Any]:
    """Let a persona use NAME@VERSION or a range; NAME alone is pinned to its newest version. Again, it changes nothing."""
    asked = Reference.parse(reference)
    found = templates.resolve(reference)
    wanted = str(asked) if asked.range.text else found.reference
    before = persona.template
    if before != wanted:
        before = personas.set_template(persona.persona_id, wanted, by=by)
    return {
        "persona_id": persona.persona_id,
        "persona": persona.name,
        "before": before,
        "after": wanted,
        "now": found.reference,
    }


def roll_back(
    persona: Persona, personas: TemplatePins, templates: Templates, *, by: str, pinned: str | None = None
) -> dict[str, Any]:
    """Take a persona's last pin back; again goes one further back. `CONFLICT` where there is none.

    With `pinned`, only the pin that the caller saw is taken back: asked again it is the same rollback, and after any other
    change it is a `CONFLICT`.
    """
    history = personas.template_history(persona.persona_id)
    last = history[-1] if history else None
    done = last is not None and last["rollback"] and (last["before"], last["after"]) == (pinned, persona.template)
    if pinned is not None and pinned != persona.template and not done:
        raise ChimeraError(
            "CONFLICT",
            f"{persona.name} uses {persona.template}, expected {pinned[:80]!r}; look again",
            {"pinned": {"got": pinned[:80], "expected": persona.template}},
        )
    pins = stack(history, persona.template)
    if not done:
        before, to = persona.template, earlier(history, persona.template)
        if to is None:
            raise ChimeraError(
                "CONFLICT", f"{persona.name} has used nothing but {before}; there is no pin to take back"
            )
        found = templates.resolve(to)
        personas.set_template(persona.persona_id, to, by=by, rollback=True, expected=before)
        pins = pins[:-1]
    else:
        before, to = str(pinned), persona.template
        found = templates.resolve(to)
    return {
        "persona_id": persona.persona_id,
        "persona": persona.name,
        "before": before,
        "after": to,
        "now": found.reference,
        "pins": pins,
    }
