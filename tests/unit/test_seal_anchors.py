"""One contract for both anchors: the folder and the Object Lock bucket. Write-once, durable, honest about what is there.

The bucket is moto's. What moto cannot show: that retention holds against the account's root and for its whole time, that
`If-None-Match` decides between writes that are under way at once (S3 answers 409 or 412), and the replication of a put.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.aws.s3_seals import S3SealAnchor
from chimera.adapters.local.keys import KeyFileSigner, KeyFolderVerifier
from chimera.adapters.local.seals import FolderSealAnchor
from chimera.domain.seals import Seal, check_seals, from_record, new_seal, signing_message, to_record
from chimera.errors import ChimeraError
from chimera.usecases.sealing import SealAnchor

TENANT = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
AT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
BUCKET = "chimera-seals"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def s3() -> Iterator[Any]:
    """A bucket with versions and Object Lock."""
    import boto3
    from moto import mock_aws

    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        yield client


@pytest.fixture(params=["folder", "bucket"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], SealAnchor]:
    if request.param == "folder":
        return lambda tenant: FolderSealAnchor(tmp_path, tenant)
    client = request.getfixturevalue("s3")
    return lambda tenant: S3SealAnchor(client, BUCKET, tenant, retain_days=30)


def chain(keys: Path, count: int, tenant: str = TENANT) -> list[Seal]:
    """Seals of three rows each."""
    signer = KeyFileSigner(keys, "seal-signing")
    seals: list[Seal] = []
    for n in range(count):
        hashes = [bytes([n * 3 + i]) * 32 for i in range(3)]
        seal = new_seal(tenant, seals[-1] if seals else None, n * 3 + 1, hashes, AT + timedelta(seconds=n))
        seals.append(seal.signed(signer.key_id, signer.sign(signing_message(seal))))
    return seals


def test_what_is_anchored_is_there_for_everybody(make: Callable[[str], SealAnchor], keys: Path) -> None:
    seals = chain(keys, 12)
    assert (list(make(TENANT).all()), make(TENANT).get(1)) == ([], None)
    for seal in seals:
        make(TENANT).keep(seal)
    assert list(make(TENANT).all()) == seals
    assert make(TENANT).get(11) == seals[10]
    assert make(TENANT).get(13) is None
    rows = [(n + 1, bytes([n]) * 32) for n in range(36)]
    assert list(check_seals(TENANT, rows, make(TENANT).all(), KeyFolderVerifier(keys))) == []


def test_the_same_bytes_again_are_nothing_and_others_are_refused(make: Callable[[str], SealAnchor], keys: Path) -> None:
    seal = chain(keys, 1)[0]
    anchor = make(TENANT)
    anchor.keep(seal)
    anchor.keep(seal)
    signer = KeyFileSigner(keys, "seal-signing")
    resigned = seal.signed(signer.key_id, signer.sign(signing_message(seal)))
    later = new_seal(TENANT, None, 1, [b"x" * 32], AT)
    for other in (resigned, later.signed(signer.key_id, signer.sign(signing_message(later)))):
        with pytest.raises(ChimeraError) as error:
            anchor.keep(other)
        assert (error.value.code, "is never rewritten" in error.value.message) == ("CONFLICT", True)
    assert anchor.get(1) == seal


def test_tenants_are_apart(make: Callable[[str], SealAnchor], keys: Path) -> None:
    mine, theirs = chain(keys, 2), chain(keys, 1, OTHER)
    for seal in mine:
        make(TENANT).keep(seal)
    make(OTHER).keep(theirs[0])
    assert list(make(TENANT).all()) == mine
    assert list(make(OTHER).all()) == theirs


def test_only_a_uuid_becomes_a_place(tmp_path: Path, s3: Any) -> None:
    for tenant in ("../x", "", "x" * 36, "/etc"):
        with pytest.raises(ChimeraError, match="expected a UUID"):
            FolderSealAnchor(tmp_path, tenant)
        with pytest.raises(ChimeraError, match="expected a UUID"):
            S3SealAnchor(s3, BUCKET, tenant, retain_days=1)
    for days in (0, -1, 36_501):
        with pytest.raises(ChimeraError, match="expected 1-36500"):
            S3SealAnchor(s3, BUCKET, TENANT, retain_days=days)


# --- the folder


def test_the_folders_files_are_read_only_and_its_leftovers_are_passed_over(tmp_path: Path, keys: Path) -> None:
    seals = chain(keys, 2)
    anchor = FolderSealAnchor(tmp_path, TENANT)
    for seal in seals:
        anchor.keep(seal)
    folder = tmp_path / TENANT
    (folder / ".000000000003.json.x.part").write_bytes(b'{"half')
    (folder / "notes.txt").write_text("hello")
    assert list(anchor.all()) == seals
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.glob("*.json")} == {0o444}
    assert sorted(p.name for p in folder.glob("*.json")) == ["000000000001.json", "000000000002.json"]


def test_a_disk_without_hard_links_keeps_the_first_writer_too(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    anchor = FolderSealAnchor(tmp_path, TENANT)
    first, second = chain(keys, 2)
    anchor.keep(first)
    with pytest.raises(ChimeraError, match="is never rewritten"):
        anchor.keep(replace(second, number=1))
    assert anchor.get(1) == first


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"body": 1, "kid": "", "sig": ""}', b"\xff", b"[" * 3000])
def test_a_file_that_is_no_seal_says_so(tmp_path: Path, keys: Path, content: bytes) -> None:
    anchor = FolderSealAnchor(tmp_path, TENANT)
    (seal,) = chain(keys, 1)
    anchor.keep(seal)
    path = tmp_path / TENANT / "000000000001.json"
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(ChimeraError) as error:
        anchor.get(1)
    assert (error.value.code, "anchored seal 1" in error.value.message) == ("CONFLICT", True)
    found = list(check_seals(TENANT, [], anchor.all(), KeyFolderVerifier(keys)))
    assert len(found) == 1


def test_a_seal_under_another_number_says_so(tmp_path: Path, keys: Path) -> None:
    anchor = FolderSealAnchor(tmp_path, TENANT)
    for seal in chain(keys, 2):
        anchor.keep(seal)
    (tmp_path / TENANT / "000000000002.json").rename(tmp_path / TENANT / "000000000001.json")
    with pytest.raises(ChimeraError, match="says that it is number 2"):
        list(anchor.all())


# --- the bucket


def test_a_version_cannot_be_deleted_before_its_time(s3: Any, keys: Path) -> None:
    from botocore.exceptions import ClientError

    anchor = S3SealAnchor(s3, BUCKET, TENANT, retain_days=30, now=lambda: AT)
    anchor.keep(chain(keys, 1)[0])
    (version,) = s3.list_object_versions(Bucket=BUCKET)["Versions"]
    told = s3.head_object(Bucket=BUCKET, Key=version["Key"])
    assert told["ObjectLockMode"] == "COMPLIANCE"
    assert told["ObjectLockRetainUntilDate"] == (AT + timedelta(days=30)).replace(
        microsecond=told["ObjectLockRetainUntilDate"].microsecond
    )
    with pytest.raises(ClientError):
        s3.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])


def test_what_lies_above_the_first_version_changes_nothing(s3: Any, keys: Path) -> None:
    anchor = S3SealAnchor(s3, BUCKET, TENANT, retain_days=30)
    first, second = chain(keys, 2)
    anchor.keep(first)
    key = f"seals/{TENANT}/000000000001.json"
    s3.delete_object(Bucket=BUCKET, Key=key)  # a marker: the key looks free now
    assert anchor.get(1) == first
    forged = replace(second, number=1)
    with pytest.raises(ChimeraError, match="is never rewritten"):
        anchor.keep(forged)
    s3.put_object(Bucket=BUCKET, Key=key, Body=to_record(second))
    assert anchor.get(1) == first
    assert list(anchor.all()) == [first]


def test_a_bucket_that_is_not_there_is_an_error_not_an_empty_anchor(s3: Any, keys: Path) -> None:
    anchor = S3SealAnchor(s3, "no-such-bucket", TENANT, retain_days=30)
    for ask in (lambda: anchor.get(1), lambda: list(anchor.all()), lambda: anchor.keep(chain(keys, 1)[0])):
        with pytest.raises(ChimeraError):
            ask()


# --- the record


def test_a_record_gives_back_the_exact_bytes(keys: Path) -> None:
    for seal in chain(keys, 3):
        assert from_record(to_record(seal)) == seal


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"v":1', b'"v":2'),
        (b'"last_seq":3', b'"last_seq":0'),
        (b'"last_seq":3', b'"last_seq":1001'),
        (b'"number":1', b'"number":1.5'),
        (b'"number":1', b'"number":true'),
        (b'"number":1', b'"number":-1'),
        (b'"first_seq":1,', b'"first_seq":1, '),
        (b'"prev":"00', b'"prev":"0'),
    ],
)
def test_a_body_that_is_not_canonical_or_not_a_seals_is_refused(keys: Path, old: bytes, new: bytes) -> None:
    (seal,) = chain(keys, 1)
    assert old in seal.body
    with pytest.raises(ChimeraError, match="not a seal"):
        from_record(to_record(replace(seal, body=seal.body.replace(old, new, 1))))
