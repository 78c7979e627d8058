"""Trends from a file (`file:PATH`): JSON or CSV, of the Trend contract's fields or of a source's plain
columns.
"""

from __future__ import annotations

import csv
import io
import json
import math
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chimera.domain.cleaning import clean_count, clean_tags
from chimera.domain.trends import VOLUME_MAX, RawTrend, select
from chimera.errors import ChimeraError

MAX_BYTES = 50 * 1024 * 1024
MAX_ROWS = 100_000
MAX_PROBLEMS = 20

METRICS = ("views", "likes", "comments", "shares")
PLAIN = ("platform", "topic", "title", "description", *METRICS, "published_at", "url", "tags", "extra")
CONTRACT = (
    "trend_id",
    "topic",
    "title",
    "description",
    "platforms",
    "volume",
    "sentiment_score",
    "rising_velocity",
    "engagement_metrics",
    "url",
    "tags",
    "timestamp",
    "metadata",
)
COLUMNS = tuple(dict.fromkeys((*PLAIN, *CONTRACT)))
_EXPECTED = f"title or topic, and any of: {', '.join(COLUMNS)}"
_RANGES = {"volume": (0, VOLUME_MAX), "sentiment_score": (-1, 1), "rising_velocity": (0, 10)}


class FileSource:
    """A file is taken as it is: the timeframe does not apply. JSON: a list, or an object with a list under
    "trends".

    Wrong columns or values are VALIDATION_FAILED, naming columns and rows (the first data row is row 1);
    NOT_FOUND, FILE_TOO_LARGE (more than 50 MiB). Repeated rows count once. What a row states itself (volume,
    rising_velocity, sentiment_score) is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"file:{path}"

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[RawTrend]:
        """The file's rows in their order."""
        text = self._text()
        rows = self._json(text) if self._is_json(text) else self._csv(text)
        if not rows:
            raise self._bad("holds no trends", {"got": "0 rows", "expected": "1 row or more"})
        if len(rows) > MAX_ROWS:
            raise self._bad(
                f"has more than {MAX_ROWS} rows", {"got": len(rows), "expected": f"at most {MAX_ROWS} rows"}
            )
        trends = self._trends(rows)
        return select(trends, keywords=keywords, now=datetime.now(UTC), timeframe_hours=None, limit=limit)

    def _bad(self, what: str, details: dict[str, Any]) -> ChimeraError:
        return ChimeraError("VALIDATION_FAILED", f"{self.name} {what}", {"file": str(self._path), **details})

    def _text(self) -> str:
        try:
            with self._path.open("rb") as file:
                info = self._path.stat()
                if not stat.S_ISREG(info.st_mode):
                    raise self._bad("is not a file", {"expected": "a JSON or CSV file"})
                body = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise ChimeraError("NOT_FOUND", f"{self.name}: no such file", {"file": str(self._path)}) from None
        except OSError as error:
            raise self._bad(f"cannot be read ({error.strerror})", {"expected": "a readable JSON or CSV file"}) from None
        if len(body) > MAX_BYTES:
            raise ChimeraError(
                "FILE_TOO_LARGE",
                f"{self.name} has more than {MAX_BYTES} bytes",
                {"file": str(self._path), "limit_bytes": MAX_BYTES},
            )
        encoding = "utf-16" if body[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
        try:
            return body.decode(encoding)
        except UnicodeDecodeError as error:
            raise self._bad(
                f"is not UTF-8: byte {body[error.start : error.start + 1].hex()} at position {error.start}",
                {"expected": "a file saved as UTF-8"},
            ) from None

    def _is_json(self, text: str) -> bool:
        suffix = self._path.suffix.lower()
        return suffix == ".json" or (suffix not in {".csv", ".tsv"} and text.lstrip()[:1] in {"[", "{"})

    def _json(self, text: str) -> list[dict[str, Any]]:
        if not text.strip():
            raise self._bad("is empty", {"got": "0 bytes", "expected": "a JSON list of trends"})
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._bad(f"is not JSON: {str(error)[:120]}", {"expected": "a JSON list of trends"}) from None
        if isinstance(document, dict):
            document = document.get("trends")
        if not isinstance(document, list):
            raise self._bad("has no list of trends", {"expected": 'a list, or an object with a list under "trends"'})
        for number, row in enumerate(document, 1):
            if not isinstance(row, dict):
                raise self._bad(
                    f"row {number} is not an object",
                    {"row": number, "got": repr(row)[:80], "expected": "an object"},
                )
        self._columns(document)
        return [{key: value for key, value in row.items() if value is not None} for row in document]

    def _csv(self, text: str) -> list[dict[str, Any]]:
        head = text.split("\n", 1)[0]
        if not text.strip():
            raise self._bad("is empty", {"got": "0 bytes", "expected": _EXPECTED})
        delimiter = max(",;\t", key=head.count)
        # the module's limit is for the whole process; a long description must not be refused for its
        # length alone
        csv.field_size_limit(MAX_BYTES)
        try:
            lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error as error:
            raise self._bad(f"is not CSV: {error}", {"expected": _EXPECTED}) from None
        names = [name.strip() for name in lines[0]]
        if len(set(names)) != len(names):
            raise self._bad("names a column twice", {"got": [n[:60] for n in names[:50]], "expected": _EXPECTED})
        self._columns([dict.fromkeys(names, "")], first=0)
        rows: list[dict[str, Any]] = []
        for number, line in enumerate(lines[1:], 1):
            if not any(cell.strip() for cell in line):
                continue
            if len(line) > len(names):
                raise self._bad(
                    f"row {number} has {len(line)} cells under {len(names)} columns",
                    {"row": number, "got": [c[:40] for c in line[:20]], "expected": names},
                )
            rows.append({name: cell for name, cell in zip(names, line, strict=False) if cell.strip()})
        return rows

    def _columns(self, rows: list[dict[str, Any]], first: int = 1) -> None:
        """Refuse unknown names, and rows that can have no title; row 0 is a CSV's header."""
        for number, row in enumerate(rows, first):
            unknown = [str(name)[:60] for name in row if name not in COLUMNS]
            if unknown or not {"title", "topic"} & set(row):
                where = f"row {number}" if number else "the header"
                what = f"unknown columns {', '.join(unknown[:20])}" if unknown else "neither title nor topic"
                raise self._bad(
                    f"has wrong columns: {where} has {what}",
                    {"row": number, "got": [str(name)[:60] for name in row][:50], "expected": _EXPECTED},
                )

    def _trends(self, rows: list[dict[str, Any]]) -> list[RawTrend]:
        problems: list[dict[str, Any]] = []
        trends: list[RawTrend] = []
        for number, row in enumerate(rows, 1):
            try:
                trends.append(_trend(row))
            except _WrongValueError as wrong:
                problems.append({"row": number, "column": wrong.column, "got": wrong.got, "expected": wrong.expected})
                if len(problems) >= MAX_PROBLEMS:
                    break
        if problems:
            first = problems[0]
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise self._bad(
                f"row {first['row']}, {first['column']}: got {first['got']}, expected {first['expected']}{more}",
                {"problems": problems},
            )
        return trends


class _WrongValueError(Exception):
    def __init__(self, column: str, value: Any, expected: str) -> None:
        super().__init__(column)
        self.column, self.got, self.expected = column, repr(value)[:80], expected


def _trend(row: dict[str, Any]) -> RawTrend:
    metrics = _mapping(row, "engagement_metrics")
    metadata = _mapping(row, "metadata")
    counts = {name: _count(name, row.get(name, metrics.get(name))) for name in METRICS}
    platforms = clean_tags(row.get("platforms") if "platforms" in row else row.get("platform"))
    if isinstance(row.get("platforms"), str) and row["platforms"].lstrip().startswith("["):
        platforms = clean_tags(_json_cell("platforms", row["platforms"]))
    tags = row.get("tags")
    if isinstance(tags, str) and tags.lstrip().startswith("["):
        tags = _json_cell("tags", tags)
    if not isinstance(tags, str | list | None):
        raise _WrongValueError("tags", tags, "a list, or texts separated by ; | or ,")
    for name in ("title", "topic", "description", "url"):
        if not isinstance(row.get(name, ""), str):
            raise _WrongValueError(name, row[name], "text")
    extra = {key: value for key, value in _mapping(row, "extra").items() if key not in {"identity", "window_hours"}}
    extra |= {key: metadata[key] for key in ("top_posts", "influencers") if isinstance(metadata.get(key), list)}
    fields = {
        "platform": platforms[0] if platforms else "file",
        "also_on": platforms[1:],
        "topic": row.get("topic", ""),
        "title": row.get("title", ""),
        "description": row.get("description", ""),
        **counts,
        "published_at": _time(row),
        "url": row.get("url", ""),
        "tags": tags,
        **{name: _number(name, row.get(name)) for name in _RANGES},
        "extra": extra,
    }
    try:
        return RawTrend.model_validate(fields)
    except ValueError:
        got = row.get("title", row.get("topic", ""))
        raise _WrongValueError("title", got, "a title or topic with at least one visible character") from None


def _json_cell(column: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _WrongValueError(column, text, "JSON") from None


def _mapping(row: dict[str, Any], column: str) -> dict[str, Any]:
    value = row.get(column, {})
    if isinstance(value, str):
        value = _json_cell(column, value)
    if not isinstance(value, dict):
        raise _WrongValueError(column, value, "a JSON object")
    return value


def _count(column: str, value: Any) -> int | None:
    if value is None or value == "":
        return None
    count = clean_count(value)
    if count is None or (isinstance(value, float) and value != count):
        raise _WrongValueError(column, value, "a whole number, 0 or more")
    return count


def _number(column: str, value: Any) -> float | int | None:
    if value is None or value == "":
        return None
    low, high = _RANGES[column]
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    whole = column != "volume" or number == int(number if math.isfinite(number) else 0)
    if not low <= number <= high or not whole:
        raise _WrongValueError(column, value, f"a {'whole ' if column == 'volume' else ''}number from {low} to {high}")
    return int(number) if column == "volume" else number


def _time(row: dict[str, Any]) -> datetime | None:
    column = "timestamp" if "timestamp" in row else "published_at"
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else None
        when = when and (when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        when = None
    if when is None:
        raise _WrongValueError(column, value, "an ISO 8601 time such as 2026-01-31T12:00:00Z")
    return when
