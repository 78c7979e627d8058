"""What a persona can name on this machine: voices, libraries, templates, fonts, files; asked for only when it is named.

Where a library is not installed (a function has few) a name cannot be judged: it passes, and the step that uses it refuses it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from chimera.errors import ChimeraError
from chimera.ports import MediaStore
from chimera.templates.problems import nearest
from chimera.templates.shelves import Templates

_OFFLINE = "espeak-ng"


class RegisteredNames:
    """`providers` gives all of a kind by name. `files`: files of this machine may be named."""

    def __init__(
        self,
        tenant_id: str,
        *,
        providers: Callable[[str], Mapping[str, Any]],
        templates: Templates,
        media: MediaStore,
        files: bool,
    ) -> None:
        self._own = f"tenants/{tenant_id}/"
        self._providers = providers
        self._templates = templates
        self._media = media
        self.files = files

    @cached_property
    def _voices(self) -> Mapping[str, Any] | None:
        return self._of("voices")

    def voices(self) -> Sequence[str] | None:
        """The providers of voices; None: not to be told here."""
        return None if self._voices is None else sorted(self._voices)

    def pictures(self) -> Sequence[str] | None:
        """Libraries, and canvases that make a picture of a prompt; None: not to be told here."""
        libraries, canvases = self._of("libraries"), self._of("canvases")
        if libraries is None or canvases is None:
            return None
        return sorted([*libraries, *(name for name, canvas in canvases.items() if hasattr(canvas, "make"))])

    def template(self, reference: str) -> None:
        """`NOT_FOUND` with the nearest name."""
        try:
            self._templates.resolve(reference)
        except ModuleNotFoundError:  # it is the reader of YAML that is not here
            return

    def lexicon(self, entries: Mapping[str, str]) -> None:
        """`VALIDATION_FAILED` for the first entry that cannot be said."""
        from chimera.adapters.voices.lexicon import Lexicon

        Lexicon(entries)

    def voice(self, provider: str, voice: str) -> None:
        """`VALIDATION_FAILED` for a voice that the provider cannot have; "" is espeak-ng, the offline voice."""
        chosen = (self._voices or {}).get(provider or _OFFLINE)
        form = getattr(chosen, "voice_form", None)
        if form is not None and not form.fullmatch(voice):
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"got {voice[:80]!r}, expected a voice of {provider}, such as {chosen.default_voice('en', 0)}",  # type: ignore[union-attr]
            )
        if chosen is not None and chosen.name == _OFFLINE:
            with tempfile.TemporaryDirectory(prefix="voice-") as folder:
                try:
                    chosen.synthesize("a", voice=voice, speed_wpm=165, out_wav=Path(folder) / "a.wav")
                except ChimeraError as error:
                    near = nearest(voice.partition("+")[0].lower(), _espeak_voices())
                    raise ChimeraError(error.code, f"{error.message}; {near}".removesuffix("; ")) from None

    def font(self, family: str) -> None:
        """`VALIDATION_FAILED` for a family that does not come along and is no font file that may be named."""
        try:
            from chimera.media.fonts import BUNDLED, font_file
        except ImportError:
            return
        if family in BUNDLED:
            return
        if self.files:
            try:
                font_file(family)
            except ChimeraError as error:
                raise ChimeraError(error.code, f"{error.message}; {nearest(family, BUNDLED)}") from None
            return
        raise ChimeraError("VALIDATION_FAILED", f"got {family[:80]!r}; {nearest(family, BUNDLED)}")

    def media_key(self, key: str) -> bool:
        """Whether the tenant has something under a key, or below it."""
        whole = key if key.startswith("tenants/") else self._own + key.lstrip("/")
        if not whole.startswith(self._own) or ".." in whole.split("/") or len(whole) > 1024:
            return False
        return self._media.exists(whole) or bool(self._media.keys(whole.rstrip("/") + "/"))

    def _of(self, kind: str) -> Mapping[str, Any] | None:
        try:
            return self._providers(kind)
        except ImportError:
            return None


def _espeak_voices() -> list[str]:
    import espeakng_loader

    languages = Path(espeakng_loader.get_data_path()) / "lang"
    return ["en-gb", *(path.name.lower() for path in languages.rglob("*") if path.is_file())]
