"""From a template and a brief to a storyboard: the template is evaluated in a locked-down process, its result is checked.

The rule that no template can bend: every brief scene's narration is in the storyboard exactly once and in order,
whole or split at the ends of its sentences. Nothing else is spoken.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from chimera.domain.models import BrandTheme, Persona
from chimera.errors import ChimeraError
from chimera.media.layers import Area, CaptionLook
from chimera.media.layout import LAYOUTS
from chimera.media.models import Aspect
from chimera.templates.context import BriefWords, context_of
from chimera.templates.frames import base_regions, look_of
from chimera.templates.problems import Problem, ProblemsError, nearest, refused
from chimera.templates.regions import Rect, merged
from chimera.templates.resolving import Resolved
from chimera.templates.rules import check_narration, misplaced
from chimera.templates.storyboard import Storyboard, StoryScene

WORKER = "chimera.templates.worker"
HEAD = ("captions", "music", "logo")


@dataclass(frozen=True)
class Limits:
    """What one expansion may use."""

    cpu_seconds: int = 5
    wall_seconds: float = 30.0
    memory_bytes: int = 384_000_000
    output_bytes: int = 3_000_000
    steps: int = 100_000
    scenes: int = 200
    layers: int = 60


LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a video is made of besides the template: the brief's words, the persona, what the user asked for."""

    brief: BriefWords
    persona: Persona
    aspect: Aspect = "9:16"
    platform: str = ""
    seed: int = 0
    parameters: Mapping[str, Any] | None = None
    assets: tuple[str, ...] = ()
    captions: str = ""
    soft_captions: bool = False
    mask_profanity: bool = False


def expand(resolved: Resolved, wish: Wish, *, limits: Limits = LIMITS) -> Storyboard:
    """The storyboard; the same for the same input. `VALIDATION_FAILED` names template, file, line and what to do."""
    (made,) = trials(resolved, [wish], limits=limits)
    if isinstance(made, ProblemsError):
        raise refused(resolved.reference, made.problems)
    if made.problems:
        raise refused(resolved.reference, made.problems)
    return made.storyboard


@dataclass(frozen=True)
class Trial:
    """A storyboard, what is wrong with its places, and where in the template each scene and layer comes from."""

    storyboard: Storyboard
    problems: tuple[Problem, ...]
    origins: list[dict[str, Any]]


def trials(resolved: Resolved, wishes: Sequence[Wish], *, limits: Limits = LIMITS) -> list[Trial | ProblemsError]:
    """What comes of each wish, or why nothing does; all in one process."""
    prepared: list[dict[str, Any] | ProblemsError] = []
    for wish in wishes:
        try:
            prepared.append(_request(resolved, wish, limits))
        except ProblemsError as error:
            prepared.append(error)
    try:
        answers = iter(ask_worker([p for p in prepared if isinstance(p, dict)], resolved.pack.document.file, limits))
    except ProblemsError as error:
        return [p if isinstance(p, ProblemsError) else error for p in prepared]
    return [
        one if isinstance(one, ProblemsError) else _trial(one, next(answers), resolved, wish, limits)
        for wish, one in zip(wishes, prepared, strict=True)
    ]


def _trial(
    request: Mapping[str, Any], answer: Mapping[str, Any], resolved: Resolved, wish: Wish, limits: Limits
) -> Trial | ProblemsError:
    own = request["regions"][resolved.reference]
    try:
        made = _evaluated(answer, resolved, limits)
        board = _storyboard(made, resolved, wish, request["params"][resolved.reference], own)
    except ProblemsError as error:
        return error
    return Trial(board, tuple(misplaced(board, made["scenes"], own, resolved)), made["scenes"])


def _request(resolved: Resolved, wish: Wish, limits: Limits) -> dict[str, Any]:
    params = parameters_of(resolved, wish.parameters or {})
    roots = _roots(resolved)
    head = {key: found for key in HEAD if (found := resolved.head(key)) is not None}
    return {
        "limits": asdict(limits),
        "root": resolved.reference,
        "packs": {
            name: {
                "parent": resolved.parents[name],
                "uses": resolved.uses[name],
                "blocks": pack.data.get("blocks") or {},
                "scenes": pack.data.get("scenes"),
            }
            for name, pack in resolved.packs.items()
        },
        "regions": {root: regions_of(resolved, root, wish.aspect, wish.platform, rtl=wish.brief.rtl) for root in roots},
        "params": {root: params if root == resolved.reference else parameters_of(resolved, {}, root) for root in roots},
        "head": head,
        "context": context_of(
            wish.brief,
            persona=wish.persona,
            aspect=wish.aspect,
            platform=wish.platform,
            seed=wish.seed,
            assets=wish.assets,
            template={"name": resolved.pack.name, "version": str(resolved.pack.version)},
        ),
    }


def check_parameters(resolved: Resolved, given: Mapping[str, Any]) -> None:
    """`VALIDATION_FAILED` for parameters that the template does not have or that are of a wrong type."""
    try:
        parameters_of(resolved, given)
    except ProblemsError as error:
        raise refused(resolved.reference, error.problems) from None


def parameters_of(resolved: Resolved, given: Mapping[str, Any], root: str = "") -> dict[str, Any]:
    """The template's parameters with what was asked for, checked: unknown names and wrong types are `ProblemsError`."""
    declared = resolved.named("parameters", root)
    found: list[Problem] = []
    label = f"parameters of {root or resolved.reference}"
    for name in given:
        if name not in declared:
            found.append(Problem(label, 0, 0, name, "there is no such parameter", nearest(name, declared)))
    values: dict[str, Any] = {}
    for name, spec in declared.items():
        value = given.get(name, spec.get("default"))
        if value is None:
            found.append(Problem(label, 0, 0, name, "it has no default and was not given", f"add --param {name}=…"))
            continue
        try:
            values[name] = parameter_value(value, spec)
        except ValueError as error:
            found.append(Problem(label, 0, 0, name, str(error)))
    if found:
        raise ProblemsError(found)
    return values


def parameter_value(value: Any, spec: Mapping[str, Any]) -> Any:
    """The value as the parameter's type has it. Raises `ValueError` with what came and what was expected."""
    kind = spec["type"]
    if kind in {"number", "integer"}:
        number = _number(value, whole=kind == "integer")
        low, high = spec.get("min"), spec.get("max")
        if (low is not None and number < low) or (high is not None and number > high):
            raise ValueError(
                f"got {number}, expected {low if low is not None else '…'} to {high if high is not None else '…'}"
            )
        return number
    if kind == "boolean":
        if isinstance(value, bool) or str(value).lower() in {"true", "false"}:
            return value is True or str(value).lower() == "true"
        raise ValueError(f"got {value!r}, expected true or false")
    if kind == "list":
        items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if not isinstance(items, list) or len(items) > 100 or not all(isinstance(i, str | int | float) for i in items):
            raise ValueError(f"got {value!r}, expected a list of at most 100 texts or numbers")
        return items
    text = str(value)
    if kind == "choice" and value not in spec["choices"] and text not in spec["choices"]:
        raise ValueError(f"got {text!r}, expected one of {', '.join(map(str, spec['choices']))}")
    if kind == "colour" and not _is_colour(text):
        raise ValueError(f"got {text!r}, expected ink, accent, highlight, background, surface or #rrggbb")
    if len(text) > 2_000:
        raise ValueError(f"got {len(text)} characters, expected at most 2000")
    return text


def _number(value: Any, *, whole: bool) -> int | float:
    wanted = "a whole number" if whole else "a number"
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"got {value!r}, expected {wanted}") from None
    if not -1e12 < number < 1e12 or (whole and number != int(number)):
        raise ValueError(f"got {value!r}, expected {wanted}")
    return int(number) if whole or isinstance(value, int) else number


def _is_colour(text: str) -> bool:
    if text in {"ink", "accent", "highlight", "background", "surface"}:
        return True
    return len(text) == 7 and text[0] == "#" and all(c in "0123456789abcdefABCDEF" for c in text[1:])


def regions_of(resolved: Resolved, root: str, aspect: Aspect, platform: str, *, rtl: bool = False) -> dict[str, Rect]:
    """All regions that a chain's layers can name, in reference pixels."""
    found = base_regions(aspect, platform)
    for pack in reversed(list(resolved.chain(root))):
        for key in ("all", aspect):
            own = (pack.data.get("regions") or {}).get(key) or {}
            found, wrong = merged(found, own, rtl=rtl)
            if wrong:
                raise ProblemsError(
                    pack.document.problem(
                        ("regions", key, name), why, nearest(why.split("'")[1], found) if "'" in why else ""
                    )
                    for name, why in wrong.items()
                )
    return found


def _roots(resolved: Resolved) -> list[str]:
    return list(
        dict.fromkeys([resolved.reference, *(root for uses in resolved.uses.values() for root in uses.values())])
    )


# --- the worker


def ask_worker(requests: Sequence[dict[str, Any]], label: str, limits: Limits) -> list[dict[str, Any]]:
    """The worker's answers: each `{"ok": …}`, `{"error": …}` or `{"limit": …}`. `ProblemsError` where it had to be stopped."""

    def over(what: str, fix: str) -> ProblemsError:
        return ProblemsError([Problem(label, 0, 0, "", what, fix)])

    if not requests:
        return []
    # -I would hide the layer's folder on Lambda, which is on the path by PYTHONPATH only; this is the same, the path given.
    command = [sys.executable, "-s", "-P", "-B", "-m", WORKER]
    environment = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONHASHSEED": "0"}
    given = {"limits": asdict(limits), "requests": list(requests)}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(given).encode(),
            capture_output=True,
            timeout=limits.wall_seconds,
            env=environment,
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise over(f"it was not done after {limits.wall_seconds:g} s", "look for a loop without end") from None
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise over(f"it used more than {limits.cpu_seconds} s of computing time", "look for a loop without end")
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        text = done.stderr.decode("utf-8", "replace")
        if "MemoryError" in text or done.returncode in (-signal.SIGSEGV, -signal.SIGABRT):
            raise over(_LIMITS["memory"].format(limits.memory_bytes // 1_000_000), _SMALLER) from None
        raise ChimeraError(
            "INTERNAL", f"the template worker ended with {done.returncode}", {"stderr": text[-1500:]}
        ) from None
    return answers


_SMALLER = "make its texts and lists smaller"
_LIMITS = {
    "memory": "it used more than {} MB",
    "depth": "its expressions are nested too deeply",
    "output": "its storyboard is larger than {:,} bytes",
}


def _evaluated(answer: Mapping[str, Any], resolved: Resolved, limits: Limits) -> dict[str, Any]:
    """What the worker made of a request; what it refused is told at the template's own lines."""
    if "limit" in answer:
        size = limits.output_bytes if answer["limit"] == "output" else limits.memory_bytes // 1_000_000
        what = _LIMITS[answer["limit"]].format(size)
        raise ProblemsError([Problem(resolved.pack.document.file, 0, 0, "", what, _SMALLER)])
    if "error" in answer:
        wrong = answer["error"]
        document = resolved.packs[wrong["pack"]].document
        raise ProblemsError([document.problem(tuple(wrong["path"]), wrong["message"], wrong["fix"])])
    result: dict[str, Any] = answer["ok"]
    return result


# --- what came back


def _storyboard(
    answer: Mapping[str, Any], resolved: Resolved, wish: Wish, params: dict[str, Any], regions: Mapping[str, Rect]
) -> Storyboard:
    found: list[Problem] = []
    scenes: list[StoryScene] = []
    for made in answer["scenes"]:
        try:
            scenes.append(StoryScene.model_validate(made["value"]))
        except ValidationError as error:
            found += _pointed(error, made, resolved)
    if found:
        raise ProblemsError(found)
    if not scenes:
        raise ProblemsError(
            [resolved.pack.document.problem(("scenes",), "no scene came of it", "check `for:` and `when:`")]
        )
    scenes = check_narration(scenes, answer["scenes"], wish.brief, resolved)
    brand = wish.persona.brand_guidelines.theme or BrandTheme()
    theme_tweaks = resolved.head("theme")
    head = answer["head"]
    return Storyboard(
        template=resolved.reference,
        checksum=resolved.checksum,
        parameters=params,
        title=wish.brief.title,
        language=wish.brief.language,
        aspect=wish.aspect,
        platform=wish.platform,
        theme=look_of(brand, theme_tweaks[1] if theme_tweaks else {}, wish.seed),
        scenes=tuple(scenes),
        sources=tuple(wish.brief.sources),
        captions=_captions(head.get("captions"), resolved, wish, regions),
        music=str((head.get("music") or {}).get("value") or ""),
        logo_box=_logo(head.get("logo"), brand),
        seed=wish.seed,
    )


def _pointed(error: ValidationError, made: Mapping[str, Any], resolved: Resolved) -> list[Problem]:
    """Pydantic's complaints, at the lines of the template that gave the values."""
    found = []
    for wrong in error.errors(include_url=False):
        location = [part for part in wrong["loc"] if not (isinstance(part, str) and part in LAYER_KINDS)]
        owner, path = made["at"]
        if location[:1] == ["layers"] and len(location) > 1 and isinstance(location[1], int):
            owner, path = made["layers_at"][location[1]]
            location = location[2:]
        value = wrong.get("input")
        came = "" if wrong["type"] == "missing" else f"got {value!r}"[:120] + ", expected: "
        place = (*path, *location)
        found.append(resolved.packs[owner].document.problem(place, f"{came}{wrong['msg']}"))
    return found


LAYER_KINDS = frozenset({"text", "kinetic", "shape", "number", "chart", "list", "progress", "sources", "icon"})


def _captions(
    made: Mapping[str, Any] | None, resolved: Resolved, wish: Wish, regions: Mapping[str, Rect]
) -> CaptionLook:
    layout = LAYOUTS[wish.aspect]
    value = dict(made["value"]) if made else {}
    given = value.pop("box", None) or dict(zip(("x", "y", "width", "height"), regions["captions"], strict=True))
    style = value.pop("style", "karaoke")
    # a template without captions shows the words itself; only who asks for this video can want both
    asked = wish.captions or (wish.persona.brand_guidelines.captions if style != "off" else "")
    look = {"size": layout.caption_size, "line_chars": layout.caption_line_chars, **value}
    try:
        return CaptionLook.model_validate(
            {
                **look,
                "box": given,
                "style": asked or style,
                "soft": wish.soft_captions,
                "mask_profanity": wish.mask_profanity,
            }
        )
    except ValidationError as error:
        owner, path = made["at"] if made else (resolved.reference, ["captions"])
        document = resolved.packs[owner].document
        raise ProblemsError(
            document.problem((*path, *w["loc"]), f"got {w.get('input')!r}, expected: {w['msg']}")
            for w in error.errors()
        ) from None


def _logo(made: Mapping[str, Any] | None, brand: BrandTheme) -> Area | None:
    if made is None or not brand.logo or not made["value"].get("box"):
        return None
    return Area.model_validate(made["value"]["box"])
