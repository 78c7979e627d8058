"""Trends from a file: what is taken, and how what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.sources import file as file_source
from chimera.adapters.sources.file import FileSource
from chimera.domain.trends import RawTrend
from chimera.errors import ChimeraError

TREND = {
    "trend_id": "t-1",
    "topic": "moss clocks",
    "title": "A clock that runs on moss",
    "description": "It runs slowly.",
    "platforms": ["hackernews", "mastodon"],
    "volume": 4200,
    "sentiment_score": 0.5,
    "rising_velocity": 7.25,
    "engagement_metrics": {"views": 4200, "likes": 10, "comments": None, "shares": 0, "engagement_rate": 0.1},
    "url": "https://example.org/moss",
    "tags": ["plants", "time"],
    "timestamp": "2026-01-02T03:04:05Z",
    "metadata": {"top_posts": ["https://example.org/p"], "influencers": ["@gardener"]},
}


def read(path: Path, content: str | bytes, **wanted: Any) -> list[RawTrend]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    arguments: dict[str, Any] = {"keywords": [], "timeframe_hours": 24, "limit": 100} | wanted
    return FileSource(path).fetch(**arguments)


def refused(path: Path, content: str | bytes) -> ChimeraError:
    with pytest.raises(ChimeraError) as caught:
        read(path, content)
    return caught.value


@pytest.mark.parametrize("wrap", [lambda t: [t], lambda t: {"trends": [t], "metadata": {}, "execution_time_ms": 5}])
def test_json_of_the_contract(tmp_path: Path, wrap: Any) -> None:
    (trend,) = read(tmp_path / "a.json", json.dumps(wrap(TREND)))
    assert (trend.platform, trend.also_on) == ("hackernews", ["mastodon"])
    assert (trend.views, trend.likes, trend.comments, trend.shares) == (4200, 10, None, 0)
    assert (trend.volume, trend.rising_velocity, trend.sentiment_score) == (4200, 7.25, 0.5)
    assert trend.published_at is not None and trend.published_at.year == 2026
    assert trend.extra == {"top_posts": ["https://example.org/p"], "influencers": ["@gardener"]}


def test_plain_columns_as_csv(tmp_path: Path) -> None:
    text = (
        "platform,title,description,views,likes,published_at,url,tags\n"
        'blog,"Moss, and ""time""",Two\n'
        'news,"Line\nbreak",Text,"1,200",,2026-01-02,https://example.org/1,a;b\n'
        "\n"
    )
    first, second = read(tmp_path / "a.csv", text)
    assert (first.title, first.views, first.url) == ('Moss, and "time"', None, "")
    assert (second.title, second.views, second.likes, second.tags) == ("Line break", 1200, None, ["a", "b"])


def test_contract_as_csv_with_json_cells(tmp_path: Path) -> None:
    text = 'title;platforms;engagement_metrics;rising_velocity\nMoss clocks;"[""x"", ""y""]";"{""likes"": 3}";2.5\n'
    (trend,) = read(tmp_path / "a.csv", text)
    assert (trend.platform, trend.also_on, trend.likes, trend.rising_velocity) == ("x", ["y"], 3, 2.5)


def test_topic_alone_is_enough_and_the_timeframe_does_not_apply(tmp_path: Path) -> None:
    (trend,) = read(tmp_path / "a.json", json.dumps([{"topic": "old news", "published_at": "1999-12-31T23:59:59Z"}]))
    assert (trend.title, trend.platform) == ("old news", "file")


def test_repeated_rows_count_once(tmp_path: Path) -> None:
    found = read(tmp_path / "a.json", json.dumps([TREND, TREND, {"topic": "Moss!"}, {"topic": "moss"}]))
    assert [t.topic for t in found] == ["moss clocks", "Moss!"]


def test_right_to_left_emoji_and_markup(tmp_path: Path) -> None:
    rows = [{"title": "مدينة <b>قديمة</b><script>x()</script> 🌍"}]
    assert [t.title for t in read(tmp_path / "a.json", json.dumps(rows))] == ["مدينة قديمة 🌍"]


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_two_megabyte_title_is_cut(tmp_path: Path, suffix: str) -> None:
    title = "word " * 400_000
    content = json.dumps([{"title": title}]) if suffix == "json" else f"title\n{title}\n"
    (trend,) = read(tmp_path / f"a.{suffix}", content)
    assert len(trend.title) <= 500 and trend.title.endswith("…")


def test_wrong_columns_are_named_with_what_was_expected(tmp_path: Path) -> None:
    error = refused(tmp_path / "a.csv", "name,clicks\nx,1\n")
    assert error.code == "VALIDATION_FAILED"
    assert error.details["got"] == ["name", "clicks"]
    assert "title" in error.details["expected"] and "name, clicks" in error.message


def test_wrong_columns_in_json_name_the_row(tmp_path: Path) -> None:
    error = refused(tmp_path / "a.json", json.dumps([{"title": "fine"}, {"title": "x", "clicks": 3}]))
    assert error.details["row"] == 2 and error.details["got"] == ["title", "clicks"]
    error = refused(tmp_path / "a.json", json.dumps([{"title": "fine"}, {"url": "https://example.org"}]))
    assert error.details["row"] == 2 and "neither title nor topic" in error.message


def test_wrong_values_name_row_column_and_value(tmp_path: Path) -> None:
    rows = [
        {"title": "fine"},
        {"title": "a", "views": "many"},
        {"title": "b", "rising_velocity": 11},
        {"title": "c", "timestamp": "yesterday"},
        {"title": "d", "volume": 1_000_001},
        {"title": "e", "likes": -1},
        {"title": "<b></b>"},
        {"title": "f", "engagement_metrics": [1]},
        {"title": 5},
        {"title": "g", "tags": 5},
        {"title": "h", "likes": 1.5},
        {"title": "i", "sentiment_score": float("nan")},
    ]
    error = refused(tmp_path / "a.json", json.dumps(rows))
    assert error.code == "VALIDATION_FAILED"
    problems = error.details["problems"]
    assert [(p["row"], p["column"]) for p in problems] == [
        (2, "views"),
        (3, "rising_velocity"),
        (4, "timestamp"),
        (5, "volume"),
        (6, "likes"),
        (7, "title"),
        (8, "engagement_metrics"),
        (9, "title"),
        (10, "tags"),
        (11, "likes"),
        (12, "sentiment_score"),
    ]
    assert problems[0]["got"] == "'many'" and "whole number" in problems[0]["expected"]
    assert "row 2, views: got 'many'" in error.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b""),
        ("a.json", b"  \n"),
        ("a.json", b"[]"),
        ("a.json", b'{"trends": []}'),
        ("a.json", b'{"rows": []}'),
        ("a.json", b"[1, 2]"),
        ("a.json", b"{"),
        ("a.json", b"[" * 100_000),
        ("a.csv", b""),
        ("a.csv", b"title\n"),
        ("a.csv", b"title,title\na,b\n"),
        ("a.csv", b"title,url\na,b,c,d\n"),
        ("a.csv", b'title\n"never closed'),
        ("a.csv", "title\nCafé\n".encode("latin-1")),
        ("a.json", '["café"]'.encode("latin-1")),
        ("a.csv", b"\x00\x01\x02\x03"),
    ],
)
def test_what_is_no_list_of_trends_is_one_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    if content.endswith(b"never closed"):  # Python's reader takes the rest as the cell: one trend
        assert len(read(tmp_path / name, content)) == 1
        return
    error = refused(tmp_path / name, content)
    assert error.code == "VALIDATION_FAILED"
    assert str(tmp_path / name) in error.message and "expected" in error.details


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marked_encodings_are_understood(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path / "a.csv", "title\nCafé\n".encode(encoding))[0].title == "Café"


def test_missing_folder_and_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: dict[str, Any] = {"keywords": [], "timeframe_hours": 24, "limit": 1}
    with pytest.raises(ChimeraError) as caught:
        FileSource(tmp_path / "none.json").fetch(**wanted)
    assert caught.value.code == "NOT_FOUND"
    with pytest.raises(ChimeraError) as caught:
        FileSource(tmp_path).fetch(**wanted)
    assert caught.value.code == "VALIDATION_FAILED"
    monkeypatch.setattr(file_source, "MAX_BYTES", 100)
    error = refused(tmp_path / "a.json", " " * 101)
    assert error.code == "FILE_TOO_LARGE" and error.details["limit_bytes"] == 100
