"""Personas as people set them: found by name or id, made, changed, deleted; what they name is checked against what there is."""

from __future__ import annotations

import difflib
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from chimera.domain.ids import new_id, stable_id
from chimera.domain.models import Persona
from chimera.domain.options import RunOptions
from chimera.domain.personas import PersonaForm, form_of, key_of, meaning_of, merged
from chimera.errors import ChimeraError
from chimera.ports import MediaStore, PersonaRows
from chimera.usecases.ingest import upload_prefix

Spelled = Callable[[Sequence[str | int]], str]
_OWN = "recording"


class PersonaStore(PersonaRows, Protocol):
    """Personas of one tenant, to be written; see adapters/postgres/personas.py."""

    def create(self, persona: Persona, *, by: str, given: dict[str, Any]) -> Persona:
        """Enter it; the same id with the same `given` again is the same persona. `CONFLICT` for a name that is taken."""
        ...

    def change(self, persona_id: str, edit: Callable[[Persona], Persona], *, by: str) -> Persona:
        """Under a lock: what `edit` makes of it. `NOT_FOUND`, `CONFLICT` for a name that is taken."""
        ...

    def delete(self, persona_id: str, *, by: str) -> Persona:
        """Remove one that nothing was made for; `NOT_FOUND`, `CONFLICT`."""
        ...

    def channel_ids(self) -> list[str]:
        """The tenant's channels."""
        ...


class Registered(Protocol):
    """What a persona can name; see adapters/registered.py. None: cannot be told here, so nothing is refused."""

    files: bool
    """Whether files of this machine may be named."""

    def voices(self) -> Sequence[str] | None:
        """Providers of voices."""
        ...

    def pictures(self) -> Sequence[str] | None:
        """Libraries and makers of pictures."""
        ...

    def template(self, reference: str) -> None:
        """Raises for a template that there is not."""
        ...

    def lexicon(self, entries: Mapping[str, str]) -> None:
        """Raises for an entry that cannot be said."""
        ...

    def voice(self, provider: str, voice: str) -> None:
        """Raises for a voice that the provider ("" is the offline one) cannot have."""
        ...

    def font(self, family: str) -> None:
        """Raises for a font that cannot be used."""
        ...

    def media_key(self, key: str) -> bool:
        """Whether the tenant has something under a key, or below it."""
        ...


def find(everyone: Sequence[Persona], wanted: str) -> Persona:
    """The persona of that id or name; of a name in another case if only one has it. `NOT_FOUND`, `CONFLICT`: who there is."""
    exact = [p for p in everyone if wanted.lower() == p.persona_id or wanted == p.name]
    alike = exact or [p for p in everyone if wanted.strip().casefold() == p.name.casefold()]
    if len(alike) == 1:
        return alike[0]
    if alike:
        ids = ", ".join(f"{p.name!r} ({p.persona_id})" for p in alike)
        raise ChimeraError("CONFLICT", f"persona {wanted[:100]!r} may be several: {ids}", {"persona": wanted[:100]})
    names = [p.name for p in everyone]
    there = f"there are: {', '.join(names[:20])}{' …' if len(names) > 20 else ''}" if names else "there is none yet"
    raise ChimeraError(
        "NOT_FOUND", f"no persona {wanted[:100]!r}; {_near(wanted, names)}{there}", {"persona": wanted[:100]}
    )


def with_persona(options: RunOptions, personas: PersonaRows) -> RunOptions:
    """The options with the id of the persona that they name; errors as of `find`."""
    if not options.persona_id:
        return options
    return options.model_copy(update={"persona_id": find(personas.all(), options.persona_id).persona_id})


def keep_logo(tenant_id: str, path: Path, media: MediaStore, *, folder: Path | None = None) -> str:
    """A person's picture in the store as a plain PNG, as `key:uploads/…`; the same picture again is the same key.

    `folder` is where it is worked on. `NOT_FOUND`; errors as of `chimera.media.own.probe.probe`.
    """
    from chimera.media.own.logo import prepare_logo  # its libraries are loaded only by who brings a file

    try:
        real = path.expanduser().resolve(strict=True)  # the person named it: a link of theirs is followed once
    except (OSError, RuntimeError, ValueError):
        raise ChimeraError("NOT_FOUND", f"there is no file {str(path)[:200]}", {"file": str(path)[:200]}) from None
    with tempfile.TemporaryDirectory(prefix=".logo-", dir=folder) as scratch:
        data = prepare_logo(real, out=Path(scratch) / "logo.png").read_bytes()
    key = f"{upload_prefix(tenant_id, stable_id(tenant_id, 'upload', hashlib.sha256(data).hexdigest()))}/media.png"
    if not media.exists(key):
        media.put_bytes(key, data)
    return f"key:{key.removeprefix(f'tenants/{tenant_id}/')}"


class PersonaDesk:
    """Where one person's wishes for personas are checked and carried out. `spelled` names a value in errors; None: by its key."""

    def __init__(self, rows: PersonaStore, registered: Registered, *, by: str, spelled: Spelled | None = None) -> None:
        self._rows = rows
        self._registered = registered
        self._by = by
        self._spelled = spelled or key_of

    def all(self) -> list[Persona]:
        """Every persona, by name."""
        return self._rows.all()

    def find(self, wanted: str) -> Persona:
        """By id or name, as `find`."""
        return find(self._rows.all(), wanted)

    def create(self, patch: Mapping[str, Any], persona_id: str = "") -> Persona:
        """A persona of these values, the others by default; it posts to the local channel if it names none."""
        given = merged({}, patch)
        channels = self._rows.channel_ids()
        if "channels" not in given and "local" in channels:
            given["channels"] = ["local"]
        persona = self._checked(given, persona_id or new_id(), None, channels)
        return self._rows.create(persona, by=self._by, given=form_of(persona))

    def change(self, persona_id: str, patch: Mapping[str, Any], *, whole: bool = False) -> Persona:
        """The persona with a merge patch laid on it; with `whole` these values and no others."""
        channels = self._rows.channel_ids()

        def edit(before: Persona) -> Persona:
            start = {} if whole else form_of(before)
            if before.voice_id == before.language.lower():
                start.pop("voice_id", None)  # nobody chose it: it follows the language
            return self._checked(merged(start, patch), before.persona_id, before, channels)

        return self._rows.change(persona_id, edit, by=self._by)

    def delete(self, persona_id: str) -> Persona:
        """The persona that is no more; `CONFLICT` while something was made for it."""
        return self._rows.delete(persona_id, by=self._by)

    def _checked(
        self, values: Mapping[str, Any], persona_id: str, before: Persona | None, channels: Sequence[str]
    ) -> Persona:
        language = values.get("language")
        if isinstance(language, str) and language != "en" and "voice_id" not in values:
            values = {**values, "voice_id": language.lower()}  # an English voice only spells other words
        try:
            form = PersonaForm.model_validate(values)
        except ValidationError as error:
            found = [(self._spelled(e["loc"]), _expected(e)) for e in error.errors()[:20]]
            raise _refused(dict(reversed(found))) from None
        persona = Persona(persona_id=persona_id, **form.model_dump(exclude_none=True))
        old = before or Persona(persona_id=persona_id, name="-")
        problems: dict[str, str] = {}
        for path, check in self._checks(persona, old, channels):
            try:
                check()
            except ChimeraError as error:
                problems.setdefault(self._spelled(path), error.message)
        if problems:
            raise _refused(problems)
        return persona

    def _checks(
        self, new: Persona, old: Persona, channels: Sequence[str]
    ) -> Iterable[tuple[tuple[str, ...], Callable[[], object]]]:
        """What to look at: all that is not as it was before, so that what is gone since hinders no other change."""
        known, brand, was = self._registered, new.brand_guidelines, old.brand_guidelines
        if new.template != old.template:
            yield ("template",), lambda: known.template(new.template)
        for one in sorted(set(new.channels) - set(old.channels)):
            yield ("channels",), lambda one=one: _among(one, channels)  # type: ignore[misc]
        if new.voice_id != old.voice_id:
            yield ("voice_id",), lambda: known.voice("", new.voice_id)
        if brand.pronunciations != was.pronunciations:
            yield ("brand_guidelines", "pronunciations"), lambda: known.lexicon(brand.pronunciations)
        for role, choice in brand.voices.items():
            if choice == was.voices.get(role):
                continue
            at = ("brand_guidelines", "voices", role)
            if choice.provider:
                yield (*at, "provider"), lambda c=choice: _among(c.provider, known.voices())  # type: ignore[misc]
            if choice.provider == _OWN:
                yield (*at, "voice"), lambda c=choice: self._own(c.voice)  # type: ignore[misc]
            elif choice.voice:
                yield (*at, "voice"), lambda c=choice: known.voice(c.provider, c.voice)  # type: ignore[misc]
        for one in [name for name in brand.libraries if name not in was.libraries]:
            yield ("brand_guidelines", "libraries"), lambda one=one: _among(one, known.pictures())  # type: ignore[misc]
        for one in [asset for asset in brand.assets if asset not in was.assets]:
            yield ("brand_guidelines", "assets"), lambda one=one: self._own(one)  # type: ignore[misc]
        theme, had = brand.theme, was.theme
        if theme is not None:
            for name in ("display_font", "text_font"):
                font = getattr(theme, name)
                if had is None or font != getattr(had, name):
                    yield ("brand_guidelines", "theme", name), lambda f=font: known.font(f)  # type: ignore[misc]
            if theme.logo and (had is None or theme.logo != had.logo):
                yield ("brand_guidelines", "theme", "logo"), lambda: self._logo(theme.logo)

    def _own(self, entry: str) -> None:
        """`file:PATH` where files may be named, or `key:KEY` of something the tenant has."""
        kind, _, rest = entry.partition(":")
        if kind == "file" and rest:
            if not self._registered.files:
                raise ChimeraError(
                    "FORBIDDEN", f"got {entry[:120]!r}; files of the machine can be named on the command line only"
                )
        elif kind != "key" or not rest:
            raise ChimeraError("VALIDATION_FAILED", f"got {entry[:120]!r}, expected file:PATH or key:KEY")
        elif not self._registered.media_key(rest):
            raise ChimeraError("VALIDATION_FAILED", f"got {entry[:120]!r}, which this tenant does not have")

    def _logo(self, logo: str) -> None:
        """Only something that the tenant has brought: no file, and no key elsewhere. The render makes it a plain PNG."""
        if not logo.startswith("key:uploads/") or not self._registered.media_key(logo.removeprefix("key:")):
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"got {logo[:120]!r}, expected key:uploads/… of a picture of yours;"
                " `chimera persona set NAME --logo FILE` does that",
            )


def _among(name: str, known: Iterable[str] | None) -> None:
    if known is None:
        return
    names = sorted(known)
    if name not in names:
        there = f"there are: {', '.join(names)}" if names else "there is none"
        raise ChimeraError("VALIDATION_FAILED", f"got {name[:80]!r}; {_near(name, names)}{there}")


def _near(name: str, names: Sequence[str]) -> str:
    folded = {n.casefold(): n for n in names}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    return f"did you mean {folded[close[0]]!r}? " if close else ""


def _expected(problem: Any) -> str:
    said = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error" and not problem["loc"]:
        return said
    if problem["type"] == "string_pattern_mismatch":
        said = meaning_of(problem["loc"]) or said
    return f"got {repr(problem.get('input'))[:80]}, expected: {said}"


def _refused(problems: Mapping[str, str]) -> ChimeraError:
    """One error for all that is wrong, by key."""
    said = "; ".join(f"{key}: {text}" if key else text for key, text in problems.items())
    return ChimeraError("VALIDATION_FAILED", said, {key or "persona": text for key, text in problems.items()})
