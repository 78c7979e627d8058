"""Evaluates a template: loops, conditions, blocks and expressions become scenes and layers with absolute boxes.

Runs in the worker only. Everything from outside is in `context`, as data; the packs' own texts are the only ones that
are read as expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chimera.templates.problems import nearest
from chimera.templates.regions import AreaError, Rect, area
from chimera.templates.sandbox import ExpressionError, Expressions

CONTROL = ("for", "when", "let", "use", "with")
AREAS = ("box", "window", "focus")
FOR = re.compile(r"^\s*([A-Za-z_]\w*)\s+in\s+(.+)$", re.S)
MAX_BLOCKS_DEEP = 16
EMPTY_OF = {"text": "text", "number": "text", "list": "items", "chart": "points"}
Path = tuple[str | int, ...]
Scope = dict[str, Any]


@dataclass(frozen=True)
class Frame:
    """Where evaluation stands: `root` is the template whose chain blocks are looked up in, `owner` the pack of this text."""

    root: str
    owner: str
    block: str
    path: Path
    calls: tuple[str, ...] = ()

    def at(self, *parts: str | int) -> Frame:
        """The same, further down."""
        return replace(self, path=(*self.path, *parts))


class EvaluationError(Exception):
    """The template is at fault, at this place."""

    def __init__(self, frame: Frame, message: str, fix: str = "") -> None:
        self.frame, self.message, self.fix = frame, message, fix
        super().__init__(message)

    def told(self) -> dict[str, Any]:
        """For the parent process."""
        return {"pack": self.frame.owner, "path": list(self.frame.path), "message": self.message, "fix": self.fix}


class Expansion:
    """One expansion of one request (see `engine.py` for its form)."""

    def __init__(self, request: Mapping[str, Any], expressions: Expressions | None = None) -> None:
        self._packs: Mapping[str, Any] = request["packs"]
        self._root: str = request["root"]
        self._limits: Mapping[str, int] = request["limits"]
        self._regions: dict[str, dict[str, Rect]] = {
            name: {key: (r[0], r[1], r[2], r[3]) for key, r in found.items()}
            for name, found in request["regions"].items()
        }
        self._base: Mapping[str, Any] = request["context"]
        self._params: Mapping[str, Any] = request["params"]
        self._head: Mapping[str, Any] = request["head"]
        self._expressions = expressions or Expressions()
        brief = self._base["brief"]
        self._expressions.aim.aspect, self._expressions.aim.seed = self._base["aspect"], self._base["seed"]
        self._expressions.aim.code = brief["language"]
        self._steps = 0
        self._scenes: list[dict[str, Any]] = []

    @staticmethod
    def warm() -> None:
        """Compile once, so that nothing has to be imported later."""
        Expressions().value("{{ [1, 2] | join(', ') }} {{ 'a b' | titlecase }}", {})
        Expressions().bare("range(2) | list", {})

    def run(self) -> dict[str, Any]:
        """Scenes, captions, music, logo: values and where each comes from."""
        frame = self._scenes_of(Frame(self._root, self._root, "scenes", ("scenes",)))
        if frame is None:
            raise EvaluationError(
                Frame(self._root, self._root, "", ()), "it has no `scenes`", "add `scenes:` or `extends:`"
            )
        self._expand_scenes(self._packs[frame.owner]["scenes"], frame, self._scope(frame.root))
        head = {}
        for key, (owner, value) in self._head.items():
            place = Frame(self._root, owner, "", (key,))
            head[key] = {"value": self._value(value, place, self._scope(self._root)), "at": self._origin(place)}
        return {"scenes": self._scenes, "head": head}

    # --- scenes and layers

    def _expand_scenes(self, items: list[Any], frame: Frame, scope: Scope) -> None:
        for number, item in enumerate(items):
            here = frame.at(number)
            for inner in self._controlled(item, here, scope):
                if "use" in item:
                    body, place, arguments = self._used(item, here, inner, "scenes")
                    self._expand_scenes(body, place, arguments)
                elif "scenes" in item:
                    self._expand_scenes(item["scenes"], here.at("scenes"), inner)
                else:
                    self._scene(item, here, inner)

    def _scene(self, item: Mapping[str, Any], here: Frame, scope: Scope) -> None:
        if len(self._scenes) >= self._limits["scenes"]:
            raise EvaluationError(here, f"more than {self._limits['scenes']} scenes", "limit the `for:`")
        made: dict[str, Any] = {}
        layers: list[dict[str, Any]] = []
        places: list[Any] = []
        for key, value in item.items():
            if key in CONTROL:
                continue
            if key == "layers":
                self._expand_layers(value, here.at(key), scope, layers, places)
            else:
                made[key] = self._value(value, here.at(key), scope)
        made = {key: value for key, value in made.items() if value is not None}
        made.setdefault("key", f"scene-{len(self._scenes) + 1}")
        self._scenes.append({"value": {**made, "layers": layers}, "at": self._origin(here), "layers_at": places})

    def _expand_layers(
        self, items: Any, frame: Frame, scope: Scope, layers: list[dict[str, Any]], places: list[Any]
    ) -> None:
        for number, item in enumerate(items):
            here = frame.at(number)
            for inner in self._controlled(item, here, scope):
                if "use" in item:
                    body, place, arguments = self._used(item, here, inner, "layers")
                    self._expand_layers(body, place, arguments, layers, places)
                elif "layers" in item:
                    self._expand_layers(item["layers"], here.at("layers"), inner, layers, places)
                else:
                    made = {k: self._value(v, here.at(k), inner) for k, v in item.items() if k not in CONTROL}
                    made = {key: value for key, value in made.items() if value is not None}
                    if _empty(made):
                        continue
                    if len(layers) >= self._limits["layers"]:
                        raise EvaluationError(
                            here, f"more than {self._limits['layers']} layers in a scene", "limit the `for:`"
                        )
                    layers.append(made)
                    places.append(self._origin(here))

    def _controlled(self, item: Mapping[str, Any], here: Frame, scope: Scope) -> Iterator[Scope]:
        """The scopes that an item is evaluated in: once for each of `for`, with `let`, if `when`."""
        self._step(here)
        for looped in self._looped(item, here, scope):
            inner = dict(looped)
            for name, value in (item.get("let") or {}).items():
                inner[name] = self._value(value, here.at("let", name), inner)
            when = item.get("when", True)
            if not (self._bare(when, here.at("when"), inner) if isinstance(when, str) else when):
                continue
            yield inner

    def _looped(self, item: Mapping[str, Any], here: Frame, scope: Scope) -> Iterator[Scope]:
        if "for" not in item:
            yield scope
            return
        match = FOR.match(item["for"])
        if match is None:
            raise EvaluationError(
                here.at("for"), f"got {item['for']!r}", "write `NAME in LIST`, such as `scene in brief.scenes`"
            )
        found = self._bare(match[2], here.at("for"), scope)
        if isinstance(found, Mapping):
            found = [{"key": key, "value": value} for key, value in found.items()]
        if not isinstance(found, list):
            raise EvaluationError(here.at("for"), f"{match[2]!r} gives {type(found).__name__}, expected a list")
        for index, value in enumerate(found):
            self._step(here)
            first, last = index == 0, index == len(found) - 1
            loop = {"index": index + 1, "index0": index, "first": first, "last": last, "length": len(found)}
            yield {**scope, match[1]: value, "loop": loop}

    # --- blocks

    def _used(self, item: Mapping[str, Any], here: Frame, scope: Scope, kind: str) -> tuple[Any, Frame, Scope]:
        name = str(item["use"])
        place = self._lookup(name, here)
        if place is None:
            raise EvaluationError(here.at("use"), f"unknown block {name!r}", nearest(name, self._blocks_of(here.root)))
        call = f"{place.owner}#{place.block}"
        if len(here.calls) >= MAX_BLOCKS_DEEP or call in here.calls:
            names = " > ".join([c.partition("#")[2] for c in here.calls] + [place.block])
            raise EvaluationError(
                here.at("use"), f"blocks use each other without end: {names}", "let one of them not use the next"
            )
        if place.block == "scenes" and not name.partition("#")[2]:  # `use: super` among scenes
            if kind != "scenes":
                raise EvaluationError(here.at("use"), "the parent's scenes cannot stand among layers")
            return (
                self._packs[place.owner]["scenes"],
                replace(place, calls=(*here.calls, call)),
                self._scope(place.root),
            )
        block = self._packs[place.owner]["blocks"][place.block]
        if kind not in block:
            have = "scenes" if "scenes" in block else "layers"
            raise EvaluationError(
                here.at("use"), f"the block {name!r} holds {have}, expected {kind}", f"use it among {have}"
            )
        arguments = self._arguments(block, item, here, scope, place)
        path: Path = ("blocks", place.block, kind)
        return block[kind], replace(place, path=path, calls=(*here.calls, call)), arguments

    def _arguments(
        self, block: Mapping[str, Any], item: Mapping[str, Any], here: Frame, scope: Scope, place: Frame
    ) -> Scope:
        declared: Mapping[str, Any] = block.get("arguments") or {}
        given: Mapping[str, Any] = item.get("with") or {}
        inner = self._scope(place.root)
        for name in given:
            if name not in declared:
                raise EvaluationError(
                    here.at("with", name), f"the block has no argument {name!r}", nearest(name, declared)
                )
        values: Scope = {}
        for name, spec in declared.items():
            if name in given:
                values[name] = self._value(given[name], here.at("with", name), scope)
            elif "default" in (spec or {}):
                where = replace(place, path=("blocks", place.block, "arguments", name, "default"))
                values[name] = self._value(spec["default"], where, inner)
            else:
                raise EvaluationError(
                    here.at("use"), f"the block's argument {name!r} is missing", f"add it under `with: {{{name}: …}}`"
                )
        return {**inner, **values}

    def _lookup(self, name: str, here: Frame) -> Frame | None:
        """Where a block is defined: the most derived one of a chain; `super` is the next above this one."""
        if name == "super":
            if here.block == "scenes":
                above = self._packs[here.owner]["parent"]
                return self._scenes_of(Frame(here.root, above, "scenes", ("scenes",))) if above else None
            return self._block_of(here.root, self._packs[here.owner]["parent"], here.block)
        pack, found, block = name.partition("#")
        if found:
            root = self._packs[here.owner]["uses"].get(pack)
            return self._block_of(root, root, block) if root else None
        return self._block_of(here.root, here.root, name)

    def _block_of(self, root: str, start: str, block: str) -> Frame | None:
        owner = start
        while owner:
            if block in self._packs[owner]["blocks"]:
                return Frame(root, owner, block, ("blocks", block))
            owner = self._packs[owner]["parent"]
        return None

    def _scenes_of(self, frame: Frame) -> Frame | None:
        owner = frame.owner
        while owner and self._packs[owner]["scenes"] is None:
            owner = self._packs[owner]["parent"]
        return replace(frame, owner=owner) if owner else None

    def _blocks_of(self, root: str) -> list[str]:
        names: list[str] = []
        while root:
            names += self._packs[root]["blocks"]
            root = self._packs[root]["parent"]
        return names

    # --- values

    def _scope(self, root: str) -> Scope:
        return {**self._base, "params": self._params[root]}

    def _value(self, value: Any, here: Frame, scope: Scope) -> Any:
        self._step(here)
        if isinstance(value, str):
            made = self._asked(self._expressions.value, value, here, scope)
        elif isinstance(value, Mapping):
            made = {k: self._value(v, here.at(k), scope) for k, v in value.items()}
        elif isinstance(value, list):
            made = [self._value(v, here.at(i), scope) for i, v in enumerate(value)]
        else:
            made = value
        if here.path[-1:] and here.path[-1] in AREAS and made is not None and not {"let", "with"} & set(here.path):
            return self._area(made, here)
        return made

    def _area(self, spec: Any, here: Frame) -> dict[str, float]:
        regions = self._regions[here.root]
        try:
            x, y, width, height = area(spec, regions, rtl=self._base["brief"]["rtl"])
        except AreaError as error:
            near = nearest(spec, regions) if isinstance(spec, str) else ""
            raise EvaluationError(here, str(error), near) from None
        return {"x": round(x, 2), "y": round(y, 2), "width": round(width, 2), "height": round(height, 2)}

    def _bare(self, text: str, here: Frame, scope: Scope) -> Any:
        return self._asked(self._expressions.bare, text, here, scope)

    def _asked(self, ask: Any, text: str, here: Frame, scope: Scope) -> Any:
        try:
            return ask(text, scope)
        except ExpressionError as error:
            message = str(error)
            undefined = re.match(r"'(\w+)' is undefined", message)
            names = [*scope, *self._expressions.env.globals]
            raise EvaluationError(here, message, nearest(undefined[1], names) if undefined else "") from None

    def _step(self, here: Frame) -> None:
        self._steps += 1
        if self._steps > self._limits["steps"]:
            raise EvaluationError(
                here, f"more than {self._limits['steps']:,} steps; is there a loop in a loop?", "limit the `for:`"
            )

    @staticmethod
    def _origin(here: Frame) -> list[Any]:
        return [here.owner, list(here.path)]


def _empty(layer: dict[str, Any]) -> bool:
    """A layer with nothing to show is left out: briefs need not have an on-screen text or a number for every scene."""
    key = EMPTY_OF.get(str(layer.get("kind")))
    if key is None or key not in layer:
        return False
    value = layer[key]
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list) and key == "items":
        layer[key] = value = [v for v in value if not (isinstance(v, str) and not v.strip())]
    return bool(value == [])
