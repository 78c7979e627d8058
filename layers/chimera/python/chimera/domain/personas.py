"""What a person may say of a persona: every key with its meaning, the limits of each, and changes as merge patches.

A key is what people type (`theme.accent`, `voice.speed`, `lexicon.GIF`); its path is where the value stands in the contract's
Persona (`brand_guidelines.theme.accent`). `*` is any name, at the end of a key any text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from chimera.domain.ids import is_uuid
from chimera.domain.models import BrandGuidelines, Model, Persona, PersonalityProfile
from chimera.errors import ChimeraError

Path = tuple[str, ...]
NATURAL_PACE = 165
"""Words a minute that `voice.speed` 1.0 stands for."""
_FACTORS = (0.5, 1.8)
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Key(NamedTuple):
    """One thing that can be said of a persona, where it is kept, what it does."""

    name: str
    path: Path
    meaning: str


def _brand(*path: str) -> Path:
    return ("brand_guidelines", *path)


_VOICE = (
    (
        "provider",
        "provider",
        "espeak-ng, recording, elevenlabs, openai, polly or a plugin's; empty: the first that can",
    ),
    ("name", "voice", "the provider's own name for a voice; of recording file:PATH or key:KEY"),
    ("speed", "words_per_minute", "80–300 words a minute, or a factor such as 1.1; empty: fitted to the duration"),
    ("pause", "pause_seconds", "after a sentence, 0.05–2 seconds; empty: at most 0.30"),
)
_THEME = (
    ("mode", "dark or light"),
    ("background", "#rrggbb of the ground; empty colours are chosen to fit"),
    ("surface", "#rrggbb of panels"),
    ("accent", "#rrggbb of what stands out; made readable on the ground if it is not"),
    ("highlight", "#rrggbb of the second mark"),
    ("ink", "#rrggbb of plain type"),
    ("display_font", "of titles: Montserrat, Inter, Roboto or a font file of yours"),
    ("text_font", "of everything else"),
    ("logo", "a picture of yours, kept as a plain PNG; it stands still in a corner"),
    ("name", "the brand's name on title cards, at most 32 characters"),
)
KEYS: tuple[Key, ...] = (
    Key("name", ("name",), "1–100 characters, once in a tenant; --persona takes it"),
    Key("tone", ("tone",), "how it sounds, for the writer and the music: calm and factual"),
    Key("audience", ("target_audience",), "for whom it writes"),
    Key("style", _brand("voice"), "how it puts things, in a word or two: clear, witty"),
    Key("avoid", _brand("avoid"), "what it never says: a list of words and phrases"),
    Key("language", ("language",), "of the script and the voice: en, de, pt-br"),
    Key("template", ("template",), "NAME, NAME@1 or NAME@1.2.0; `chimera template ls`"),
    Key("channels", ("channels",), "where it may post: a list of the tenant's channels; none: nowhere"),
    Key("daily_quota", ("daily_quota",), "productions a day, 0–1000; 0: it makes none"),
    Key("cooldown_hours", ("cooldown_hours",), "hours until a topic may come again"),
    Key(
        "voice_id",
        ("voice_id",),
        "espeak-ng's voice where `voice.name` says nothing: en-us, en-gb+m3; empty: the language's",
    ),
    *(Key(f"voice.{name}", _brand("voices", "narrator", at), meaning) for name, at, meaning in _VOICE),
    *(
        Key(f"voices.*.{name}", _brand("voices", "*", at), f"of another role: {meaning}")
        for name, at, meaning in _VOICE
    ),
    Key("lexicon.*", _brand("pronunciations", "*"), "how a word is said: a respelling, /IPA/ or [[espeak phonemes]]"),
    *(Key(f"theme.{name}", _brand("theme", name), meaning) for name, meaning in _THEME),
    Key("captions", _brand("captions"), "karaoke, pop, box, minimal or off; empty: the template's"),
    Key("music", _brand("music"), "auto, off, calm, curious, upbeat, tense, warm or newsroom"),
    Key("libraries", _brand("libraries"), "who may deliver pictures, in this order: pexels, openverse, openai …"),
    Key("assets", _brand("assets"), "own pictures and footage: a list of file:PATH and key:KEY"),
)
LISTS = frozenset(k.name for k in KEYS if k.name in {"avoid", "channels", "libraries", "assets"})


def _plain(value: str) -> str:
    if _INVISIBLE.search(value):
        raise ValueError("expected one line without control characters")
    return value.strip()


Line = Annotated[str, AfterValidator(_plain)]
Said = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]


class PersonaForm(PersonalityProfile):
    """All that a person sets of a persona; unknown keys are refused with the known ones."""

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_plain)]
    tone: Said = "clear and curious"
    target_audience: Said = "general"
    brand_guidelines: BrandGuidelines = BrandGuidelines()
    channels: list[Line] = Field(default=[], max_length=50)
    daily_quota: int = Field(default=10, ge=0, le=1000)
    cooldown_hours: int = Field(default=72, ge=0, le=87_600)
    template: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)] = "explainer@1"
    language: str = Field(default="en", max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    voice_id: Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_plain)] = "en-us"

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: object) -> object:
        refuse_unknown(given)
        return given

    @model_validator(mode="after")
    def _sound(self) -> PersonaForm:
        if not self.name or is_uuid(self.name):
            raise ValueError(f"name: got {self.name!r}, expected a name that is not an id")
        brand = self.brand_guidelines
        texts = [brand.voice, *brand.avoid, *brand.voices, *brand.libraries, brand.theme.name if brand.theme else ""]
        long = next((t for t in texts if len(t) > 200 or _INVISIBLE.search(t)), None)
        if long is not None or len(brand.avoid) > 200:
            raise ValueError(f"{(long or 'avoid')[:60]!r}: expected at most 200 entries of one line and 200 characters")
        return self


class PersonaChange(Model):
    """A merge patch (RFC 7396) of a persona: null takes a value back to its default, what is left out stays."""

    name: str | None = None
    tone: str | None = None
    target_audience: str | None = None
    brand_guidelines: dict[str, Any] | None = Field(default=None, description="Any part of BrandGuidelines")
    channels: list[str] | None = None
    daily_quota: int | None = None
    cooldown_hours: int | None = None
    template: str | None = None
    language: str | None = None
    voice_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: object) -> object:
        refuse_unknown(given)
        return given


def form_of(persona: Persona) -> dict[str, Any]:
    """A persona as the values that a form is made of."""
    return persona.model_dump(mode="json", exclude={"persona_id"}, exclude_defaults=True) | {"name": persona.name}


def merged(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the patch laid on it (RFC 7396); a mapping that null values empty goes with them."""
    result = dict(document)
    for name, value in patch.items():
        if isinstance(value, Mapping):
            before = result.get(name)
            inner = merged(before if isinstance(before, Mapping) else {}, value)
            value = inner if inner else None
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


# --- keys


def path_of(key: str, *, whole: bool = False) -> Path:
    """Where a key's value is kept. `whole` takes a group as well (`theme`, `voices.guest`, `lexicon`).

    `VALIDATION_FAILED` for an unknown key, with the nearest one.
    """
    for known in KEYS:
        found = _matched(key, known)
        if found is not None:
            return found
    if whole:
        for known in KEYS:
            parts = known.name.split(".")
            for size in range(1, len(parts)):
                found = _matched(key, Key(".".join(parts[:size]), known.path[: size - len(parts)], ""))
                if found is not None:
                    return found
    raise unknown_key(key, [k.name for k in KEYS])


def key_of(path: Sequence[str | int]) -> str:
    """What people call the value at a path (an entry of a list by its number); the path itself where it has no key."""
    steps = [str(step) for step in path]
    for known in KEYS:
        if len(known.path) <= len(steps):
            pairs = list(zip(known.path, steps, strict=False))
            if all(mark in {"*", step} for mark, step in pairs):
                named = known.name
                for mark, step in pairs:
                    named = named.replace("*", step, 1) if mark == "*" else named
                return ".".join([named, *(step for step in steps[len(known.path) :] if step.isdigit())])
    return ".".join(steps)


def meaning_of(path: Sequence[str | int]) -> str:
    """What the value at a path is, in words; "" where it has no key."""
    for known in KEYS:
        if len(known.path) <= len(path) and _along(known.path, tuple(map(str, path))):
            return known.meaning
    return ""


def patch_of(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Keys and values as a merge patch; text is read as the key needs it, "" and None take a value back."""
    patch: dict[str, Any] = {}
    for key, value in values:
        empty = value is None or value == ""
        path = path_of(key, whole=empty)
        at = patch
        for step in path[:-1]:
            inner = at.setdefault(step, {})
            if not isinstance(inner, dict):
                inner = at[step] = {}
            at = inner
        at[path[-1]] = None if empty else _read(key, path, value)
    return patch


def flat(document: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """A nested document of keys, as a file has it, as one key and value each."""
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        key = f"{before}.{name}" if before else str(name)
        found += flat(value, key) if isinstance(value, Mapping) else [(key, value)]
    return found


def named(form: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a form under the keys that people use, nested as in a file, in the order of `KEYS`."""
    result: dict[str, Any] = {}
    for known in KEYS:
        for path, value in _values(form, known.path):
            if known.name.startswith("voices.") and path[2] == "narrator":
                continue
            parts = _parts(known, path)
            at = result
            for part in parts[:-1]:
                at = at.setdefault(part, {})
            at[parts[-1]] = value
    return result


def unknown_key(key: str, known: Iterable[str]) -> ChimeraError:
    """The one error for a key that there is not."""
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    near = f"did you mean {close[0]!r}? " if close else ""
    return ChimeraError(
        "VALIDATION_FAILED", f"unknown key {key[:80]!r}; {near}There are: {', '.join(names)}", {"key": key[:80]}
    )


def refuse_unknown(given: object) -> None:
    """`ValueError` for a name that is in no path of `KEYS`, with the names that may stand there."""
    if isinstance(given, Mapping):
        _refuse_unknown(given, ())


def _refuse_unknown(given: Mapping[Any, Any], above: Path) -> None:
    paths = [k.path for k in KEYS if len(k.path) > len(above) and _along(k.path, above)]
    steps = {p[len(above)] for p in paths}
    for name, value in given.items():
        place = (*above, str(name))
        if "*" not in steps and name not in steps:
            raise ValueError(unknown_key(".".join(place), sorted(".".join((*above, s)) for s in steps)).message)
        if isinstance(value, Mapping) and any(len(p) > len(place) and _along(p, place) for p in paths):
            _refuse_unknown(value, place)


def _along(pattern: Path, path: Path) -> bool:
    return all(mark in {"*", step} for mark, step in zip(pattern, path, strict=False))


def _matched(key: str, known: Key) -> Path | None:
    """The path of a key that fits a known one; a `*` at its end takes the rest, dots and all."""
    marks = known.name.split(".")
    parts = key.split(".", len(marks) - 1)
    if len(parts) != len(marks) or not all(
        mark == part or (mark == "*" and part) for mark, part in zip(marks, parts, strict=True)
    ):
        return None
    if "*" not in marks and len(key.split(".")) != len(marks):
        return None
    names = iter(part for mark, part in zip(marks, parts, strict=True) if mark == "*")
    return tuple(next(names) if step == "*" else step for step in known.path)


def _read(key: str, path: Path, value: Any) -> Any:
    if path[-1] == "words_per_minute" and path[:2] == _brand("voices"):
        return _pace(key, value)
    if isinstance(value, str) and key in LISTS:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _pace(key: str, value: Any) -> int:
    """Words a minute; a small number is a factor of the natural pace."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if _FACTORS[0] <= number <= _FACTORS[1]:
        number = round(number * NATURAL_PACE)
    if not 80 <= number <= 300 or number != int(number):
        expected = f"a factor {_FACTORS[0]}–{_FACTORS[1]} or 80–300 words a minute"
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"{key}: got {str(value)[:40]!r}, expected {expected}",
            {key: {"got": str(value)[:40], "expected": expected}},
        )
    return int(number)


def _values(document: Any, path: Path, above: Path = ()) -> list[tuple[Path, Any]]:
    if len(above) == len(path):
        return [(above, document)]
    if not isinstance(document, Mapping):
        return []
    step = path[len(above)]
    names = list(document) if step == "*" else [step] if step in document else []
    return [found for name in names for found in _values(document[name], path, (*above, str(name)))]


def _parts(known: Key, path: Path) -> list[str]:
    names = iter(step for mark, step in zip(known.path, path, strict=True) if mark == "*")
    return [next(names) if part == "*" else part for part in known.name.split(".")]
