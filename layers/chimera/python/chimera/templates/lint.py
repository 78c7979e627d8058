"""Everything that can be said against a template before anybody uses it: form, names, places, and trial expansions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from chimera.media.models import Aspect
from chimera.media.safe_areas import PLATFORMS
from chimera.templates.engine import parameter_value, regions_of, trials
from chimera.templates.expansion import CONTROL, FOR
from chimera.templates.packs import Pack
from chimera.templates.problems import MOST, Problem, ProblemsError, nearest
from chimera.templates.reading import Path
from chimera.templates.regions import ASPECTS, AreaError, area
from chimera.templates.resolving import Library, Resolved, resolve
from chimera.templates.rules import overlaps
from chimera.templates.sample import bare_sample, sample_of, sample_wish
from chimera.templates.sandbox import Aim, ExpressionError, environment, parsed, unwrapped
from chimera.templates.schema import check

_BRIEF = ("title", "description", "language", "rtl", "hashtags", "sources", "scenes")
_GLOBAL = (
    "brief", "numbers", "series", "params", "persona", "assets", "aspect", "platform", "seed", "template",
)  # fmt: skip
_ASPECTS: tuple[Aspect, ...] = ("9:16", "16:9", "1:1")


def problems_of(pack: Pack, library: Library) -> list[Problem]:
    """All problems, in the order of the file. Trial expansions run only where form and names are right."""
    found = check(pack)
    if found:
        return found
    try:
        resolved = resolve(pack, library)
    except ProblemsError as error:
        return list(error.problems)
    found = [*_parameters(pack), *_regions(resolved)]
    found += _Names(resolved).problems()
    if not found:
        found += _trials(resolved)
    found.sort(key=lambda p: (p.file, p.line, p.column))
    return list(dict.fromkeys(found))[:MOST]


def _parameters(pack: Pack) -> Iterator[Problem]:
    for name, spec in (pack.data.get("parameters") or {}).items():
        place: Path = ("parameters", name, "default")
        if "default" not in spec:
            continue
        try:
            made = parameter_value(spec["default"], spec)
        except ValueError as error:
            yield pack.document.problem(place, f"the default does not fit `type: {spec['type']}`: {error}")
            continue
        if spec["type"] in {"boolean", "string", "list"} and type(made) is not type(spec["default"]):
            yield pack.document.problem(
                place, f"got {spec['default']!r}, expected a {spec['type']}", "write it as that type"
            )


def _regions(resolved: Resolved) -> Iterator[Problem]:
    """Every region in every aspect, and each of them possible."""
    pack = resolved.pack
    own: Mapping[str, Any] = pack.data.get("regions") or {}
    by_aspect = {aspect: set(own.get(aspect) or {}) for aspect in ASPECTS}
    everywhere = set(own.get("all") or {})
    inherited: set[str] = set()
    for parent in list(resolved.chain())[1:]:
        regions = parent.data.get("regions") or {}
        inherited |= set(regions.get("all") or {}).union(*(set(regions.get(a) or {}) for a in ASPECTS))
    for name in sorted(set().union(*by_aspect.values()) - everywhere - inherited):
        missing = [aspect for aspect in ASPECTS if name not in by_aspect[aspect]]
        if missing and name not in _base():
            has = next(aspect for aspect in ASPECTS if name in by_aspect[aspect])
            fix = f"add it under {' and '.join(map(repr, missing))}, or under `all`"
            yield pack.document.problem(
                ("regions", has, name), f"the region is missing for {', '.join(missing)}", fix, key=True
            )
    for aspect in _ASPECTS:
        try:
            regions_of(resolved, resolved.reference, aspect, "")
        except ProblemsError as error:
            yield from error.problems


def _base() -> frozenset[str]:
    from chimera.templates.frames import BASE

    return BASE


class _Names:
    """Checks every expression's names, every `use`, every region that is named outright."""

    def __init__(self, resolved: Resolved) -> None:
        self._resolved = resolved
        self._pack = resolved.pack
        self._env = environment(Aim())
        self._params = set(resolved.named("parameters"))
        self._found: list[Problem] = []
        try:
            self._regions = regions_of(resolved, resolved.reference, "9:16", "")
        except ProblemsError:
            self._regions = {}

    def problems(self) -> list[Problem]:
        """All of them."""
        data = self._pack.data
        self._items(data.get("scenes") or [], ("scenes",), set(_GLOBAL), "scenes")
        for name, block in (data.get("blocks") or {}).items():
            arguments = block.get("arguments") or {}
            for argument, spec in arguments.items():
                if spec and "default" in spec:
                    self._value(spec["default"], ("blocks", name, "arguments", argument, "default"), set(_GLOBAL))
            kind = "scenes" if "scenes" in block else "layers"
            self._items(block[kind], ("blocks", name, kind), {*_GLOBAL, *arguments}, kind)
        for key in ("captions", "music", "logo"):
            self._value(data.get(key), (key,), set(_GLOBAL))
        return self._found

    def _say(self, path: Path, message: str, fix: str = "") -> None:
        self._found.append(self._pack.document.problem(path, message, fix))

    def _items(self, items: list[Any], path: Path, names: set[str], kind: str) -> None:
        for number, item in enumerate(items):
            here = (*path, number)
            inner = set(names)
            if "for" in item:
                match = FOR.match(item["for"])
                if match:
                    self._expression("{{" + unwrapped(match[2]) + "}}", (*here, "for"), inner)
                    inner |= {match[1], "loop"}
            for name, value in (item.get("let") or {}).items():
                self._value(value, (*here, "let", name), inner)
                inner.add(name)
            if isinstance(item.get("when"), str):
                self._expression("{{" + unwrapped(item["when"]) + "}}", (*here, "when"), inner)
            if "use" in item:
                self._use(item, here, inner, kind)
                continue
            for key, value in item.items():
                if key in CONTROL:
                    continue
                if key in {"scenes", "layers"}:
                    self._items(value, (*here, key), inner, key)
                else:
                    self._value(value, (*here, key), inner)

    def _use(self, item: Mapping[str, Any], here: Path, names: set[str], kind: str) -> None:
        for name, value in (item.get("with") or {}).items():
            self._value(value, (*here, "with", name), names)
        used = str(item["use"])
        if used == "super":
            if len(list(self._resolved.chain())) == 1:
                self._say((*here, "use"), "`super` needs a parent", "add `extends: NAME@^1`, or remove this")
            return
        pack, foreign, name = used.partition("#")
        root = self._resolved.uses[self._pack.reference].get(pack, "") if foreign else ""
        blocks = self._resolved.named("blocks", root)
        block = blocks.get(name if foreign else used)
        if block is None:
            self._say((*here, "use"), f"unknown block {used!r}", nearest(name if foreign else used, blocks))
            return
        if kind not in block:
            have = "scenes" if "scenes" in block else "layers"
            self._say((*here, "use"), f"the block {used!r} holds {have}, expected {kind}", f"use it among {have}")
        declared = block.get("arguments") or {}
        for name in item.get("with") or {}:
            if name not in declared:
                self._say((*here, "with", name), f"the block has no argument {name!r}", nearest(name, declared))
        for name, spec in declared.items():
            if "default" not in (spec or {}) and name not in (item.get("with") or {}):
                self._say((*here, "use"), f"the block's argument {name!r} is missing", f"add `with: {{{name}: …}}`")

    def _value(self, value: Any, path: Path, names: set[str]) -> None:
        last = path[-1]
        if last in {"box", "window", "focus"} and not {"let", "with"} & set(path) and not _dynamic(value):
            self._area(value, path)
        if isinstance(value, str):
            self._expression(value, path, names)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                self._value(inner, (*path, key), names)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                self._value(inner, (*path, number), names)

    def _area(self, value: Any, path: Path) -> None:
        if not self._regions or value is None:
            return
        try:
            area(value, self._regions)
        except AreaError as error:
            name = value.get("from") if isinstance(value, Mapping) else value
            known = isinstance(name, str) and name not in self._regions
            self._say(path, str(error), nearest(name, self._regions) if known else "")

    def _expression(self, text: str, path: Path, names: set[str]) -> None:
        if "{" not in text:
            return
        from jinja2 import meta, nodes

        try:
            tree = parsed(self._env, text)
        except ExpressionError as error:
            self._say(path, str(error))
            return
        known = {*names, *self._env.globals}
        for name in sorted(meta.find_undeclared_variables(tree) - known):
            self._say(path, f"unknown name {name!r}", nearest(name, known))
        for node in tree.find_all(nodes.Getattr):
            if not isinstance(node.node, nodes.Name):
                continue
            if node.node.name == "params" and node.attr not in self._params:
                self._say(path, f"there is no parameter {node.attr!r}", nearest(node.attr, self._params))
            if node.node.name == "brief" and node.attr not in _BRIEF:
                self._say(path, f"a brief has no {node.attr!r}", nearest(node.attr, _BRIEF))


def _dynamic(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(_dynamic(part) for part in parts)


def _trials(resolved: Resolved) -> Iterator[Problem]:
    """The sample and the barest of briefs, in every aspect, with and without a brand; and on every platform."""
    try:
        samples = (sample_of(resolved.pack), bare_sample())
    except ProblemsError as error:
        yield from error.problems
        return
    needed = {n: _stand_in(s) for n, s in resolved.named("parameters").items() if s.get("default") is None}
    sample, bare = samples
    asked = [
        sample_wish(one, aspect=aspect, parameters=dict(needed), brand=brand)
        for aspect in _ASPECTS
        for one, brand in ((sample, "Harbour Post"), (bare, ""))
    ]
    asked += [sample_wish(sample, platform=platform, parameters=dict(needed)) for platform in PLATFORMS]

    told: set[tuple[str, int, str]] = set()
    for wish, made in zip(asked, trials(resolved, asked), strict=True):
        if isinstance(made, ProblemsError):
            wrong = list(made.problems)
        else:
            wrong = [*made.problems, *overlaps(made.storyboard, made.origins, resolved)]
        for problem in wrong:
            key = (problem.file, problem.line, problem.where)  # the same line is wrong in several trials: told once
            if key not in told:
                told.add(key)
                named = f"9:16 on {wish.platform}:" if wish.platform else "9:16:"
                yield replace(problem, message=problem.message.replace("9:16:", named, 1))


def _stand_in(spec: Mapping[str, Any]) -> Any:
    kinds = {"string": "text", "boolean": True, "colour": "accent", "list": ["one", "two"]}
    if spec["type"] == "choice":
        return spec["choices"][0]
    return kinds.get(spec["type"], spec.get("min", spec.get("max", 1)))
