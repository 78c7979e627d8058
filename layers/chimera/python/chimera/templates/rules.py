"""The rules of a storyboard: what is said is the brief's, and what must be read stands where it can be read."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from chimera.media.layers import Area
from chimera.templates.context import BriefWords
from chimera.templates.language import sentences, squeezed
from chimera.templates.problems import Problem, ProblemsError, shown
from chimera.templates.regions import Rect
from chimera.templates.resolving import Resolved
from chimera.templates.storyboard import Storyboard, StoryScene

# Shapes may bleed to the frame's edge; everything else is read, and stays inside the safe area.
BLEEDS = frozenset({"shape"})
READ = frozenset({"text", "kinetic", "number", "chart", "list", "sources"})
_TOLERANCE = 1.0  # a reference pixel: sums of fractions are not exact


def check_narration(
    scenes: Sequence[StoryScene], made: Sequence[Mapping[str, Any]], brief: BriefWords, resolved: Resolved
) -> list[StoryScene]:
    """The scenes with `brief_scene` filled in. `ProblemsError` if a word of the brief is missing, doubled, moved or changed."""
    pieces = [[squeezed(s) for s in sentences(scene.narration)] for scene in brief.scenes]
    marked = [set(itertools.accumulate(map(len, cut))) for cut in pieces]
    wholes = ["".join(cut) for cut in pieces]
    place, done = 0, 0
    known: list[StoryScene] = []
    for scene, origin in zip(scenes, made, strict=True):
        said = squeezed(scene.narration)
        if not said:
            known.append(scene)
            continue
        while place < len(wholes) and done == len(wholes[place]):
            place, done = place + 1, 0
        if place >= len(wholes):
            raise _spoken(
                resolved, origin, f"{shown(scene.narration)} is said after the whole brief was", "say each once"
            )
        rest = wholes[place][done:]
        if not rest.startswith(said):
            fix = "say each scene's narration once and in order, unchanged: whole, or its `sentences` one after another"
            raise _spoken(
                resolved, origin, f"{shown(scene.narration)} is not what brief scene {place + 1} says next", fix
            )
        done += len(said)
        if done not in marked[place]:
            fix = "split at the ends of sentences, with `scene.sentences`"
            raise _spoken(resolved, origin, f"brief scene {place + 1} is split in the middle of a sentence", fix)
        if scene.brief_scene not in (None, place):
            message = f"brief_scene is {scene.brief_scene}, but the words are of {place}"
            raise _spoken(resolved, origin, message, "leave it out; it is found by itself")
        known.append(scene.model_copy(update={"brief_scene": place}))
    missing = [i for i, whole in enumerate(wholes) if i > place or (i == place and done < len(whole))]
    missing = [i for i in missing if wholes[i]]
    if missing:
        fix = "every scene's narration must be said: loop over all of `brief.scenes`"
        message = f"brief scene {missing[0] + 1} of {len(wholes)} is not said (to its end)"
        raise ProblemsError([resolved.pack.document.problem(("scenes",), message, fix)])
    return known


def _spoken(resolved: Resolved, origin: Mapping[str, Any], message: str, fix: str) -> ProblemsError:
    owner, path = origin["at"]
    return ProblemsError([resolved.packs[owner].document.problem((*path, "narration"), message, fix)])


def misplaced(
    storyboard: Storyboard, made: Sequence[Mapping[str, Any]], regions: Mapping[str, Rect], resolved: Resolved
) -> list[Problem]:
    """Layers outside the safe area (shapes and windows outside the frame), keys used twice, unknown speakers."""
    found: list[Problem] = []
    keys: set[str] = set()
    roles = {"narrator", *resolved.named("roles")}
    for scene, origin in zip(storyboard.scenes, made, strict=True):
        document = resolved.packs[origin["at"][0]].document
        at = tuple(origin["at"][1])
        if scene.key in keys:
            fix = "use the loop's number in it: key: 'point-{{ loop.index }}'"
            found.append(document.problem((*at, "key"), f"two scenes have the key {scene.key!r}", fix))
        keys.add(scene.key)
        if scene.speaker not in roles:
            fix = f"name it under `roles:`; there are: {', '.join(sorted(roles))}"
            found.append(document.problem((*at, "speaker"), f"unknown role {scene.speaker!r}", fix))
        for layer, (owner, path) in zip(scene.layers, origin["layers_at"], strict=True):
            limit = "frame" if layer.kind in BLEEDS else "safe"
            if not inside(layer.box, regions[limit]):
                place = (*path, "box")
                message = f"{_text(layer.box)} leaves the {limit} area {_text_of(regions[limit])}"
                fix = "use a region, or fractions between 0 and 1"
                found.append(resolved.packs[owner].document.problem(place, f"{storyboard.aspect}: {message}", fix))
        window = scene.picture.window
        if window is not None and not inside(window, regions["frame"]):
            message = f"{storyboard.aspect}: {_text(window)} leaves the frame {_text_of(regions['frame'])}"
            found.append(document.problem((*at, "picture", "window"), message, "use a region inside the frame"))
    if not inside(storyboard.captions.box, regions["safe"]):
        message = f"{storyboard.aspect}: the captions leave the safe area"
        found.append(resolved.pack.document.problem(("captions",), message, "use a region inside the safe area"))
    return found


def overlaps(storyboard: Storyboard, made: Sequence[Mapping[str, Any]], resolved: Resolved) -> list[Problem]:
    """Type that stands where captions will: what `validate` says of scenes in which something is said."""
    captions = storyboard.captions
    if captions.style == "off" or captions.soft:
        return []
    found = []
    for scene, origin in zip(storyboard.scenes, made, strict=True):
        if not scene.narration.strip():
            continue
        for layer, (owner, path) in zip(scene.layers, origin["layers_at"], strict=True):
            if layer.kind in READ and _meet(layer.box, captions.box):
                message = f"{storyboard.aspect}: this {layer.kind} {_text(layer.box)} covers the captions {_text(captions.box)}"
                fix = "move it, move `captions:`, or set captions to `style: 'off'`"
                found.append(resolved.packs[owner].document.problem((*path, "box"), message, fix))
    return found


def inside(box: Area, limit: Rect) -> bool:
    """Whether the area lies in the rectangle, to a pixel."""
    x, y, width, height = limit
    return (
        box.x >= x - _TOLERANCE
        and box.y >= y - _TOLERANCE
        and box.x + box.width <= x + width + _TOLERANCE
        and box.y + box.height <= y + height + _TOLERANCE
    )


def _meet(a: Area, b: Area) -> bool:
    wide = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    high = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    return wide > _TOLERANCE and high > _TOLERANCE


def _text(box: Area) -> str:
    return _text_of((box.x, box.y, box.width, box.height))


def _text_of(rect: Rect) -> str:
    return "[" + ", ".join(f"{part:.0f}" for part in rect) + "]"
