"""A batch: many productions from one file, checked whole before the first cent, each made once however often it is begun.

A line's run has an id that follows from the batch's name and the line itself, so nothing but the database remembers
what was done: the same file again goes on where it was, and a line that was changed is a new one.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chimera.domain.ids import stable_id
from chimera.domain.options import RunOptions
from chimera.domain.prices import production_upper_bound
from chimera.errors import ChimeraError, error_class
from chimera.media.models import SHORT_SIDE
from chimera.usecases.run_checks import RunChecks
from chimera_local.cli.options import absolute_asset
from chimera_local.runs import WAITING, continue_run, ended, exit_code, report, start_run
from chimera_local.world import World, absolute_music, absolute_source

MAX_LINES = 10_000
MAX_BYTES = 64 * 1024 * 1024
MAX_PROBLEMS = 50
_MATERIAL = ("title", "text", "script", "url")
_LISTS = ("sources", "assets", "keywords")
_POLL_SECONDS = 0.5
_MOST_ATTEMPTS = 100
_OPEN = {"running", *WAITING}


@dataclass(frozen=True)
class Line:
    """One production of a batch: where it stands in the file (from 1), what it asks for, what its runs' ids follow from."""

    number: int
    options: RunOptions
    key: str
    given: dict[str, Any]

    def run_id(self, attempt: int) -> str:
        """The id of its first run, or of the one that followed so many failed ones."""
        return stable_id(self.key, str(attempt))

    @property
    def worst_case_micros(self) -> int:
        """What its production can cost at the most before its script is known."""
        return production_upper_bound(self.options.duration_seconds, SHORT_SIDE[self.options.resolution])


def read_batch(path: Path, *, name: str, defaults: dict[str, Any]) -> list[Line]:
    """Every line of a JSONL or CSV file as a production, checked by its form (`check_lines` does the rest). Nothing is started.

    A line has the fields of RunOptions, and `title`, `text`, `script`, `url` for material of one's own; in CSV lists
    are separated by `;` and a template's parameters are columns `param.NAME`. `defaults` fill what a line leaves out.
    Raises `VALIDATION_FAILED` that names every bad line (the first 50), `FILE_TOO_LARGE`, `NOT_FOUND`.
    """
    text = _text(path)
    is_csv = path.suffix.lower() == ".csv" or not text.lstrip().startswith("{")
    rows = list(_csv_rows(text, path) if is_csv else _json_rows(text))
    lines: list[Line] = []
    problems: list[dict[str, Any]] = []
    seen: Counter[str] = Counter()
    for number, row in rows:
        try:
            given = row() if callable(row) else row
            options = _options({**defaults, **given})
        except ChimeraError as error:
            problems.append({"line": number, "problem": error.message})
            continue
        same = json.dumps(options.model_dump(mode="json"), sort_keys=True)
        seen[same] += 1
        lines.append(Line(number, options, stable_id("batch", name, same, str(seen[same])), given))
    if not lines and not problems:
        raise ChimeraError("VALIDATION_FAILED", f"{path.name} holds no line; expected one production a line")
    _refuse(path.name, len(rows), problems)
    return lines


def check_lines(lines: list[Line], checks: RunChecks, *, file: str) -> None:
    """Every line against what there is: persona, template and its parameters, platform, the user's own files.

    Raises `VALIDATION_FAILED` that names every bad line (the first 50 problems), with its number and what to do.
    """
    problems = [
        {"line": line.number, "problem": error.message, "code": error.code, "details": error.details}
        for line in lines
        for error in checks.problems(line.options)
    ]
    _refuse(file, len(lines), problems)


def _refuse(file: str, count: int, problems: list[dict[str, Any]]) -> None:
    """`VALIDATION_FAILED` if there is a problem."""
    if not problems:
        return
    first = "; ".join(f"line {p['line']}: {p['problem']}" for p in problems[:MAX_PROBLEMS])
    more = f" (and {len(problems) - MAX_PROBLEMS} more)" if len(problems) > MAX_PROBLEMS else ""
    bad = len({p["line"] for p in problems})
    raise ChimeraError(
        "VALIDATION_FAILED",
        f"{file}: {bad} of {count} lines cannot be made; nothing was started. {first}{more}",
        {"problems": problems[:MAX_PROBLEMS]},
    )


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ChimeraError("NOT_FOUND", f"there is no file {path}", {"file": str(path)})
        if path.stat().st_size > MAX_BYTES:
            raise ChimeraError("FILE_TOO_LARGE", f"{path.name} has more than {MAX_BYTES:,} bytes")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ChimeraError("VALIDATION_FAILED", f"{path.name}: byte {error.start} is not UTF-8") from None
    except OSError as error:
        raise ChimeraError("VALIDATION_FAILED", f"{path.name} cannot be read: {error.strerror}") from None


def _json_rows(text: str) -> Iterator[tuple[int, Callable[[], dict[str, Any]]]]:
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        count += 1
        if count > MAX_LINES:
            raise ChimeraError("VALIDATION_FAILED", f"more than {MAX_LINES:,} lines; cut the file into several")
        yield number, lambda line=line: _object(line)  # type: ignore[misc]


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ChimeraError("VALIDATION_FAILED", f"got {line[:60]!r}, expected a JSON object ({error})") from None
    if not isinstance(value, dict):
        raise ChimeraError("VALIDATION_FAILED", f"got a {type(value).__name__}, expected a JSON object")
    return value


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, Callable[[], dict[str, Any]]]]:
    try:
        dialect: Any = csv.Sniffer().sniff(text.partition("\n")[0], delimiters=",\t;")
    except csv.Error:
        dialect = csv.excel
    reader = csv.DictReader(io.StringIO(text), dialect=dialect, restkey="", strict=True)
    try:
        for count, row in enumerate(reader, 1):
            if count > MAX_LINES:
                raise ChimeraError("VALIDATION_FAILED", f"more than {MAX_LINES:,} lines; cut the file into several")
            if any(value for value in row.values()):
                yield reader.line_num, lambda row=row: _from_csv(row)  # type: ignore[misc]
    except csv.Error as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"{path.name}: line {reader.line_num} is neither JSON nor CSV: {error}"
        ) from None


def _from_csv(row: dict[str, Any]) -> dict[str, Any]:
    if row.get(""):
        raise ChimeraError("VALIDATION_FAILED", f"got {len(row['']):d} values more than there are columns")
    given: dict[str, Any] = {}
    for name, value in row.items():
        if value is None or value == "":
            continue
        column = name.strip()
        if column.startswith("param."):
            given.setdefault("parameters", {})[column.removeprefix("param.")] = value
        elif column in _LISTS:
            given[column] = [part.strip() for part in value.split(";") if part.strip()]
        else:
            given[column] = value
    return given


def _options(given: dict[str, Any]) -> RunOptions:
    values = dict(given)
    if "persona" in values and "persona_id" not in values:  # as the command line calls it
        values["persona_id"] = values.pop("persona")
    own = {name: values.pop(name) for name in _MATERIAL if name in values}
    if own:
        if values.get("material"):
            raise ChimeraError("VALIDATION_FAILED", f"material and {', '.join(own)}: expected one of them")
        values["material"] = own
    try:
        options = RunOptions.model_validate(values)
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'line'}: got {str(e.get('input'))[:60]!r}, {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()[:3]
        )
        raise ChimeraError("VALIDATION_FAILED", said) from None
    return options.model_copy(
        update={
            "sources": [absolute_source(s) for s in options.sources],
            "assets": [absolute_asset(a) for a in options.assets],
            "music": absolute_music(options.music.removeprefix("file:")),
            "force": options.force or bool(options.sources),
        }
    )


class Batch:
    """Makes the lines that are not made yet. `retry_failed` begins those anew that ended without a video."""

    def __init__(
        self,
        world: World,
        lines: list[Line],
        *,
        parallel: int,
        retry_failed: bool = False,
        on_result: Callable[[dict[str, Any]], None],
        note: Callable[[str], None],
    ) -> None:
        self._world = world
        self._waiting = list(lines)
        self._active: dict[str, tuple[Line, float]] = {}
        self._parallel = parallel
        self._retry = retry_failed
        self._on_result = on_result
        self._note = note
        self.exit_code = 0

    def run(self) -> int:
        """To the end, `parallel` at a time and never more than the budgets can hold; gives the exit code.

        A line that waits for a person, or failed, does not hold up the others. The exit code is the largest of all.
        """
        try:
            while self._waiting or self._active:
                self._begin_some()
                for run_id, (line, since) in list(self._active.items()):
                    if self._over(run_id):
                        del self._active[run_id]
                        self._tell(line, run_id, time.monotonic() - since)
                if self._active:
                    time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            at_work, left = len(self._active), len(self._waiting)
            self._note(f"interrupted with {at_work} at work and {left} not begun; the same command goes on from here")
            raise
        return self.exit_code

    def _begin_some(self) -> None:
        while self._waiting and len(self._active) < self._parallel:
            line = self._waiting[0]
            run_id, row = self._last(line)
            if row is not None and row["status"] not in _OPEN:
                self._waiting.pop(0)
                self._tell(line, run_id, 0.0, made_before=True)
                continue
            if row is None and self._active and line.worst_case_micros > left_micros(self._world):
                break  # what is at work now may give some of its money back
            self._waiting.pop(0)
            start_run(self._world, line.options, run_id)
            self._note(f"line {line.number}: {'begun' if row is None else 'goes on'}")
            self._active[run_id] = (line, time.monotonic())

    def _last(self, line: Line) -> tuple[str, dict[str, Any] | None]:
        """The line's newest run, or the id of the one to begin."""
        runs = self._world.app.runs(self._world.tenant)
        last: tuple[str, dict[str, Any] | None] = (line.run_id(0), None)
        for attempt in range(_MOST_ATTEMPTS):
            run_id = line.run_id(attempt)
            try:
                row = runs.get(run_id)
            except error_class("NOT_FOUND"):
                return last if last[1] is not None and not self._begins_anew(last[1]) else (run_id, None)
            last = (run_id, row)
        return last

    def _begins_anew(self, row: dict[str, Any]) -> bool:
        return self._retry and row["status"] in {"failed", "rejected"}

    def _over(self, run_id: str) -> bool:
        try:
            return ended(self._world, run_id) is not None
        except error_class("AGENT_OFFLINE"):
            if not self._world.shared:
                raise
            self._world.reopen()  # the process whose engine we used has ended
            for active in self._active:
                continue_run(self._world, active)
            return False

    def _tell(self, line: Line, run_id: str, seconds: float, **more: Any) -> None:
        result = {"line": line.number, "given": line.given, **report(self._world, run_id, seconds), **more}
        self.exit_code = max(self.exit_code, exit_code(result))
        self._on_result(result)


def left_micros(world: World) -> int:
    """What the budgets of the day, the week and the month leave for a production, in micros."""
    lines = world.app.ledger(world.tenant).budgets()
    return min((line.remaining_micros for line in lines if line.category in ("total", "compute")), default=0)
