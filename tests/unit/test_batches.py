"""Reading a batch's file: JSONL or CSV, every bad line named, the same line the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chimera.errors import ChimeraError
from chimera_local.batches import Line, read_batch


def read(path: Path, text: str | bytes, **defaults: Any) -> list[Line]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_batch(path, name="b", defaults=defaults)


def test_csv_and_jsonl_say_the_same(tmp_path: Path) -> None:
    table = 'title;text;aspect;keywords;param.accent;seed\n"Night; trains";"It is new.";1:1;a; red;3\n'
    one = {
        "title": "Night trains", "text": "It is new.", "aspect": "1:1", "keywords": ["a", "b"],
        "parameters": {"accent": "red"}, "seed": 3,
    }  # fmt: skip
    (from_csv,) = read(
        tmp_path / "b.csv",
        table.replace("; red", ";red")
        .replace("Night; trains", "Night trains")
        .replace(";a;", ";a|b;")
        .replace("a|b", '"a;b"'),
    )
    (from_json,) = read(tmp_path / "b.jsonl", json.dumps(one))
    assert from_csv.options == from_json.options and from_csv.run_id(0) == from_json.run_id(0)
    assert from_csv.number == 2 and from_json.number == 1
    assert from_json.options.material is not None and from_json.options.material.text == "It is new."


def test_the_same_line_twice_is_two_productions_and_always_the_same_two(tmp_path: Path) -> None:
    line = json.dumps({"script": "A word."})
    first = read(tmp_path / "a.jsonl", f"{line}\n\n{line}\n")
    again = read(tmp_path / "b.jsonl", f"{line}\n{json.dumps({'script': 'Another.'})}\n{line}\n")
    assert [x.number for x in first] == [1, 3]
    assert [x.run_id(0) for x in first] == [again[0].run_id(0), again[2].run_id(0)]
    assert len({x.run_id(0) for x in [*first, *again]}) == 3
    assert first[0].run_id(0) != first[0].run_id(1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no line"),
        ('{"script": "a"}\n[1]\n', "line 2: got a list"),
        ('{"script": "a"\n', "line 1: got"),
        ('{"script": "a", "text": "b"}', "expected one of them"),
        ('{"script": ""}', "no letter or digit"),
        ('{"aspect": "2:1"}', "aspect: got '2:1'"),
        ('{"assets": ["/etc/hosts"]}', "expected file:PATH"),
        ('{"assets": ["file:/nowhere/at/all"]}', "there is no file or folder"),
        ('{"sources": ["file:/nowhere.json"]}', "there is no file"),
        ('title,text\n"a,b\n', "neither JSON nor CSV"),
        ("title,text\na,b,c\n", "more than there are columns"),
        (b'{"script": "\xff"}', "not UTF-8"),
    ],
)
def test_what_cannot_be_made_is_named(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ChimeraError, match="VALIDATION_FAILED") as caught:
        read(tmp_path / "b.jsonl", text)
    assert said in caught.value.message


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ChimeraError) as caught:
        read_batch(tmp_path / "none.jsonl", name="b", defaults={})
    assert caught.value.code == "NOT_FOUND"


def test_defaults_fill_what_a_line_leaves_out(tmp_path: Path) -> None:
    lines = read(tmp_path / "b.jsonl", '{"script": "a"}\n{"script": "a", "resolution": "4k"}\n', resolution="360p")
    assert [line.options.resolution for line in lines] == ["360p", "4k"]
    assert lines[0].worst_case_micros < lines[1].worst_case_micros
