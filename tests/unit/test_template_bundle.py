"""A template as one file: the same bytes each time, and nothing is believed on the way back."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable

import pytest

from chimera.templates.bundle import MANIFEST, export, open_bundle
from chimera.templates.packs import Pack
from chimera.templates.problems import ProblemsError
from tests.fakes.template_packs import EVERY_SCENE, pack

FILES = {"preview.json": b"{}", "assets/logo.png": b"\x89PNG", "README.md": b"Mine."}


def mine() -> Pack:
    return pack(EVERY_SCENE, files=dict(FILES))


def test_it_comes_back_as_it_was() -> None:
    first = export(mine())
    assert export(mine()) == first
    back = open_bundle(first, "x")
    assert (back.reference, back.checksum, dict(back.files)) == ("mine@1.0.0", mine().checksum, dict(mine().files))
    assert export(back) == first


def test_the_checksum_is_of_the_content() -> None:
    assert mine().checksum != pack(EVERY_SCENE).checksum
    assert mine().checksum != pack(EVERY_SCENE, files={**FILES, "README.md": b"Yours."}).checksum


Change = Callable[[dict[str, bytes]], None]


def rebuilt(change: Change, *, compress: int = zipfile.ZIP_STORED, mode: int = 0o100644, twice: bool = False) -> bytes:
    with zipfile.ZipFile(io.BytesIO(export(mine()))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data, compress_type=compress)
        if twice:
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("README.md", b"Other.")
    return out.getvalue()


def nothing(_: dict[str, bytes]) -> None:
    return None


def manifest(**changes: object) -> Change:
    def change(members: dict[str, bytes]) -> None:
        members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), **changes}).encode()

    return change


def replaced(name: str, data: bytes | None) -> Change:
    def change(members: dict[str, bytes]) -> None:
        if data is None:
            del members[name]
        else:
            members[name] = data

    return change


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (rebuilt(replaced("README.md", b"Changed.")), "was changed"),
        (rebuilt(replaced("README.md", None)), "is missing"),
        (rebuilt(replaced("notes.txt", b"x")), "is not expected"),
        (rebuilt(replaced("assets/more.png", b"x")), "not in the manifest"),
        (rebuilt(replaced("assets/run.sh", b"x")), "is not expected"),
        (rebuilt(replaced("../../etc/passwd", b"x")), "leads out"),
        (rebuilt(replaced("/etc/passwd", b"x")), "leads out"),
        (rebuilt(replaced("assets\\..\\x", b"x")), "leads out"),
        (rebuilt(replaced(MANIFEST, None)), "MANIFEST.json is missing"),
        (rebuilt(replaced(MANIFEST, b"{")), "not JSON"),
        (rebuilt(manifest(format=2)), "got format 2"),
        (rebuilt(manifest(checksum="0" * 64)), "checksum of the whole"),
        (rebuilt(manifest(version="2.0.0")), "the manifest says mine@2.0.0"),
        (rebuilt(manifest(members=[])), "not of the form"),
        (rebuilt(nothing, mode=stat.S_IFLNK | 0o777), "is a link"),
        (rebuilt(nothing, compress=zipfile.ZIP_DEFLATED), "compressed"),
        (rebuilt(replaced("assets/big.png", b"\0" * 5_000_000), compress=zipfile.ZIP_DEFLATED), "unpacks to more"),
        (rebuilt(nothing, twice=True), "stands in it twice"),
        (export(mine())[:-40], "not an exported template"),
        (b"", "not an exported template"),
        (b"PK\x03\x04" + b"\xff" * 100, "not an exported template"),
    ],
)
def test_what_was_tampered_with_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        open_bundle(data, "mine.chimera-template")
    assert says in str(caught.value)
    assert str(caught.value).startswith("mine.chimera-template")


def test_too_many_members_are_refused() -> None:
    def many(members: dict[str, bytes]) -> None:
        members |= {f"assets/{number}.png": b"" for number in range(100)}

    with pytest.raises(ProblemsError, match="members, expected at most"):
        open_bundle(rebuilt(many), "x")
