"""Puts a template together with all it is built on: parents by `extends`, other packs by `use: pack@version#block`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chimera.errors import ChimeraError
from chimera.templates.packs import Pack
from chimera.templates.problems import ProblemsError
from chimera.templates.semver import Reference

MAX_CHAIN = 8
MAX_PACKS = 24


class Library(Protocol):
    """Where templates are looked up."""

    def find(self, reference: Reference) -> Pack:
        """The highest version that is meant; `NOT_FOUND` says which there are."""
        ...


@dataclass(frozen=True)
class Resolved:
    """A template with everything it needs; ids are NAME@VERSION."""

    pack: Pack
    packs: Mapping[str, Pack]
    parents: Mapping[str, str]
    uses: Mapping[str, Mapping[str, str]]

    @property
    def reference(self) -> str:
        """NAME@VERSION."""
        return self.pack.reference

    @property
    def checksum(self) -> str:
        """The pack's own checksum; where it is built on others, one over all of theirs."""
        if len(self.packs) == 1:
            return self.pack.checksum
        lines = [f"{name} {pack.checksum}\n" for name, pack in sorted(self.packs.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def chain(self, root: str = "") -> Iterator[Pack]:
        """A pack and its ancestors, most derived first."""
        name = root or self.reference
        while name:
            yield self.packs[name]
            name = self.parents[name]

    def head(self, key: str) -> tuple[str, Any] | None:
        """The most derived pack that says something under a key of the head, and what."""
        for pack in self.chain():
            if pack.data.get(key) is not None:
                return pack.reference, pack.data[key]
        return None

    def named(self, key: str, root: str = "") -> dict[str, Any]:
        """`parameters` or `roles` of a chain: each name as the most derived pack has it."""
        found: dict[str, Any] = {}
        for pack in self.chain(root):
            for name, value in (pack.data.get(key) or {}).items():
                found.setdefault(name, value)
        return found


def resolve(pack: Pack, library: Library) -> Resolved:
    """Everything `pack` is built on. Raises `ProblemsError` for cycles, missing packs and unpinned references."""
    packs: dict[str, Pack] = {}
    parents: dict[str, str] = {}
    uses: dict[str, dict[str, str]] = {}
    waiting: list[tuple[Pack, tuple[str, ...]]] = [(pack, (pack.name,))]
    while waiting:
        one, path = waiting.pop()
        if one.reference in packs:
            continue
        if len(packs) >= MAX_PACKS or len(path) > MAX_CHAIN:
            raise ProblemsError([one.document.problem((), f"built on too many templates: {' > '.join(path)}")])
        packs[one.reference] = one
        parents[one.reference] = ""
        uses[one.reference] = {}
        extends = one.data.get("extends")
        if extends:
            found = _find(one, ("extends",), str(extends), path, library)
            parents[one.reference] = found.reference
            waiting.append((found, (*path, found.name)))
        for place, used in used_packs(one):
            name = used.partition("#")[0]
            found = _find(one, place, name, path, library)
            uses[one.reference][name] = found.reference
            waiting.append((found, (*path, found.name)))
    return Resolved(pack, packs, parents, uses)


def used_packs(pack: Pack) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every `use:` that names another pack, with its place."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), dict(pack.data))]
    while stack:
        path, value = stack.pop()
        if isinstance(value, Mapping):
            if isinstance(value.get("use"), str) and "#" in value["use"]:
                yield (*path, "use"), value["use"]
            stack += [((*path, k), v) for k, v in value.items()]
        elif isinstance(value, list):
            stack += [((*path, i), v) for i, v in enumerate(value)]


def _find(pack: Pack, place: tuple[str | int, ...], text: str, path: tuple[str, ...], library: Library) -> Pack:
    try:
        reference = Reference.parse(text)
    except ChimeraError as error:
        raise ProblemsError([pack.document.problem(place, error.message)]) from None
    if not reference.range.text or reference.range.text == "*":
        fix = f"pin it, such as {reference.name}@^1"
        raise ProblemsError([pack.document.problem(place, f"{text!r} says no version", fix)])
    if reference.name in path:
        names = " > ".join([*path, reference.name])
        raise ProblemsError([pack.document.problem(place, f"built on itself: {names}", "remove one of these steps")])
    try:
        return library.find(reference)
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
        raise ProblemsError([pack.document.problem(place, error.message)]) from None
