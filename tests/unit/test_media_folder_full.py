"""A full disk is one clear error, and leaves nothing half-written in the media store."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.errors import ChimeraError


def fails_with(number: int) -> Any:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, file = FolderMediaStore(tmp_path / "media"), tmp_path / "card.png"
    file.write_bytes(b"x" * 100)
    store.put_bytes("t/before.json", b"{}")
    monkeypatch.setattr(os, "link", fails_with(errno.EXDEV))
    monkeypatch.setattr(shutil, "copyfile", fails_with(errno.ENOSPC))
    monkeypatch.setattr(os, "fsync", fails_with(errno.EDQUOT))
    puts: list[Callable[[], str]] = [
        lambda: store.put_file("t/a/card.png", file),
        lambda: store.put_bytes("t/a/card.png", b"x"),
    ]
    for put in puts:
        with pytest.raises(ChimeraError, match=r"the disk is full: card\.png") as caught:
            put()
        assert caught.value.code == "INTERNAL" and caught.value.details["reason"] == "disk_full"
    monkeypatch.undo()
    assert [p.name for p in (tmp_path / "media").rglob("*") if p.is_file()] == ["before.json"]


def test_other_trouble_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fails_with(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        FolderMediaStore(tmp_path).put_bytes("t/a", b"x")
