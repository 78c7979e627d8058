"""Reads a template's YAML as data, with the line of every value, and refuses what could hurt: bombs, tags, doubles.

YAML 1.2's core schema: only `true`/`false` are booleans, `9:16` is text, there are no dates. Aliases are allowed as
long as what they unfold to stays small.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chimera.templates.problems import Problem, ProblemsError

MAX_BYTES = 256_000
MAX_NODES = 20_000
MAX_DEPTH = 40
Path = tuple[str | int, ...]

_INT = re.compile(r"^[-+]?\d{1,15}$")
_FLOAT = re.compile(r"^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d{1,3})?$")
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "~": None, "Null": None, "": None}


@dataclass(frozen=True)
class Document:
    """The data of a file and where each part of it stands: (line, column), from 1."""

    file: str
    data: Any
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Where a value (or its key) stands; of what is missing, where it would."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, (1, 1))

    def problem(self, path: Path, message: str, fix: str = "", *, key: bool = False) -> Problem:
        """A problem at a path of this file."""
        from chimera.templates.problems import path_text

        line, column = self.place(path, key=key)
        return Problem(self.file, line, column, path_text(path), message, fix)


def read_yaml(data: bytes, file: str) -> Document:
    """The document of one YAML file; `ProblemsError` names the line and what to do."""
    if len(data) > MAX_BYTES:
        raise _wrong(file, 0, 0, f"the file has {len(data):,} bytes, expected at most {MAX_BYTES:,}", "split it up")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _wrong(file, line, 1, f"byte {error.start} is not UTF-8", "save the file as UTF-8") from None
    return _Reader(file).read(text)


class _Reader:
    """Builds data from the parser's events, which come one by one: nothing unfolds before it is counted."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._marks: dict[Path, tuple[int, int]] = {}
        self._keys: dict[Path, tuple[int, int]] = {}
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: set[str] = set()
        self._nodes = 0

    def read(self, text: str) -> Document:
        import yaml  # only who reads templates loads it

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            events = iter(yaml.parse(text, Loader=loader))
            data = self._document(events)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            said = str(error.problem or error.context or "not YAML")
            source = text.splitlines()[line - 1 : line]
            raise _wrong(self._file, line, column, f"not YAML: {said}", _advice("".join(source))) from None
        except yaml.reader.ReaderError as error:
            line = text.encode("utf-8")[: error.position].count(b"\n") + 1
            raise _wrong(self._file, line, 1, "a control character stands in the file", "remove it") from None
        return Document(self._file, data, self._marks, self._keys)

    def _document(self, events: Iterator[Any]) -> Any:
        value: Any = None
        documents = 0
        for event in events:
            kind = type(event).__name__
            if kind in {"StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"}:
                continue
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise self._at(event, "a second document begins here", "one file holds one template; remove `---`")
                continue
            value, _ = self._value(event, events, ())
        return value

    def _value(self, event: Any, events: Iterator[Any], path: Path) -> tuple[Any, int]:
        kind = type(event).__name__
        self._marks[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        if len(path) > MAX_DEPTH:
            raise self._at(event, f"nested deeper than {MAX_DEPTH}", "use `blocks` to name inner parts")
        if kind == "AliasEvent":
            return self._alias(event)
        self._count(event, 1)
        name = event.anchor
        if name:
            self._open.add(name)
        before = self._nodes
        if event.tag is not None and not str(event.tag).startswith("tag:yaml.org,2002:str"):
            raise self._at(event, f"the tag {event.tag} is not allowed", "write the value without a tag")
        if kind == "ScalarEvent":
            value = self._scalar(event)
        elif kind == "SequenceStartEvent":
            value = []
            while type(inner := next(events)).__name__ != "SequenceEndEvent":
                value.append(self._value(inner, events, (*path, len(value)))[0])
        else:
            value = self._mapping(events, path)
        nodes = self._nodes - before + 1
        if name:
            self._open.discard(name)
            self._anchors[name] = (value, nodes)
        return value, nodes

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while type(event := next(events)).__name__ != "MappingEndEvent":
            if type(event).__name__ != "ScalarEvent":
                raise self._at(
                    event,
                    "a key must be a plain word",
                    "a value that begins with {{ needs quotes around it; else write `key: value`",
                )
            key = str(event.value)
            if key in found:
                line = self._keys[(*path, key)][0]
                raise self._at(event, f"the key {key!r} stands here a second time (first in line {line})", "remove one")
            inner = (*path, key)
            self._keys[inner] = (event.start_mark.line + 1, event.start_mark.column + 1)
            found[key] = self._value(next(events), events, inner)[0]
        return found

    def _alias(self, event: Any) -> tuple[Any, int]:
        if event.anchor in self._open:
            raise self._at(event, f"*{event.anchor} stands inside itself", "an alias must come after its anchor's end")
        if event.anchor not in self._anchors:
            raise self._at(event, f"*{event.anchor} has no anchor", f"write &{event.anchor} where the value stands")
        value, nodes = self._anchors[event.anchor]
        self._count(event, nodes)
        return value, nodes

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._at(
                event, f"more than {MAX_NODES:,} values, aliases unfolded", "use `for:` and `blocks` instead"
            )

    def _scalar(self, event: Any) -> Any:
        text = str(event.value)
        if event.tag is not None or event.style in {"'", '"', "|", ">"}:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.match(text):
            return int(text)
        return float(text) if _FLOAT.match(text) else text

    def _at(self, event: Any, message: str, fix: str) -> ProblemsError:
        return _wrong(self._file, event.start_mark.line + 1, event.start_mark.column + 1, message, fix)


def _advice(line: str) -> str:
    if "\t" in line:
        return "indent with spaces"
    return "check indentation and quotes: a value that begins with {{ needs quotes around it"


def _wrong(file: str, line: int, column: int, message: str, fix: str) -> ProblemsError:
    return ProblemsError([Problem(file, line, column, "", message, fix)])
