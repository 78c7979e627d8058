"""What can be known to be wrong with a run before it begins: found here, before any money is asked for, not at the brief."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chimera.domain.models import Persona
from chimera.domain.options import RunOptions
from chimera.errors import ChimeraError
from chimera.media.safe_areas import margins
from chimera.ports import MediaStore, PersonaRows
from chimera.usecases.layout import template_of
from chimera.usecases.own_pictures import own_assets
from chimera.usecases.personas import find

if TYPE_CHECKING:
    from chimera.templates.shelves import Templates


class RunChecks:
    """Checks options against what there is: personas, templates and their parameters, platforms, the user's own files.

    What was looked up once is not looked up again: one object checks the lines of a whole batch. `allow_files` as of
    `own_assets`.
    """

    def __init__(
        self, *, tenant_id: str, templates: Templates, personas: PersonaRows, media: MediaStore, allow_files: bool
    ) -> None:
        self._tenant = tenant_id
        self._templates = templates
        self._personas = personas
        self._media = media
        self._allow_files = allow_files
        self._everyone: list[Persona] | None = None
        self._packs: dict[tuple[str, str], ChimeraError | None] = {}
        self._assets: dict[str, ChimeraError | None] = {}

    def check(self, options: RunOptions) -> None:
        """Raises what is wrong: the one error, or `VALIDATION_FAILED` with all of them."""
        found = self.problems(options)
        if len(found) == 1:
            raise found[0]
        if found:
            problems = [{"code": e.code, "problem": e.message, **e.details} for e in found]
            raise ChimeraError("VALIDATION_FAILED", "; ".join(e.message for e in found), {"problems": problems})

    def problems(self, options: RunOptions) -> list[ChimeraError]:
        """Everything that is wrong, in the order of a person's own decisions: who, how, with what."""
        cast: list[Persona] = []
        found: list[ChimeraError | None] = []
        try:
            cast = self._cast(options.persona_id)
        except ChimeraError as error:
            found.append(error)  # a template that is named can be looked at even so
        names = [options.template] if options.template else [persona.template for persona in cast]
        found += [self._template(name, options) for name in dict.fromkeys(names)]
        found.append(_error_of(lambda: margins(options.aspect, options.platform)))
        found += [self._asset(entry) for entry in dict.fromkeys(options.assets)]
        return [error for error in found if error is not None]

    def _cast(self, persona_id: str) -> list[Persona]:
        """Who may make it: the one that is named, else everyone who makes anything."""
        if self._everyone is None:
            self._everyone = self._personas.all()
        if not persona_id:
            return [persona for persona in self._everyone if persona.daily_quota > 0]
        return [find(self._everyone, persona_id)]

    def _template(self, name: str, options: RunOptions) -> ChimeraError | None:
        asked = (name, repr(sorted(options.parameters.items())))
        if asked not in self._packs:
            self._packs[asked] = _error_of(lambda: template_of(name, options.parameters, self._templates))
        return self._packs[asked]

    def _asset(self, entry: str) -> ChimeraError | None:
        if entry not in self._assets:
            self._assets[entry] = _error_of(lambda: self._look_at(entry))
        return self._assets[entry]

    def _look_at(self, entry: str) -> None:
        """That it is there and holds something of use. The files of a folder are known by their first bytes, a single file is
        opened: who names one file means that file."""
        own = own_assets([entry], (), tenant_id=self._tenant, media=self._media, allow_files=self._allow_files)
        path = Path(entry.removeprefix("file:")).expanduser() if entry.startswith("file:") else None
        if path is not None and len(own.assets) == 1 and path.is_file():
            from chimera.media.own.probe import probe  # its libraries are loaded only by who brings a file

            facts = probe(own.assets[0].path)
            if facts.kind == "sound":
                raise ChimeraError(
                    "VALIDATION_FAILED",
                    f"assets: {entry[:120]!r}: got sound ({facts.container}), expected pictures or footage; a persona can"
                    " speak with a recording of yours, and `music` takes music",
                    {"asset": entry[:200]},
                )


def _error_of(look: Callable[[], object]) -> ChimeraError | None:
    try:
        look()
    except ChimeraError as error:
        return error
    return None
