"""One suite for both media stores: the laptop's folder and S3 (moto in this process, boto3's real requests)."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto import mock_aws

from chimera.adapters.aws.clients import client
from chimera.adapters.aws.media import S3MediaStore
from chimera.adapters.local.media import FolderMediaStore
from chimera.errors import ChimeraError
from chimera.ports import MediaStore

BUCKET = "chimera-test-media"
KEY = "tenants/t/content/c/video/video.mp4"


def s3_client() -> Any:
    """As the product makes it, but not shared between tests; moto sets credentials that open nothing."""
    make: Any = client
    return make.__wrapped__("s3", "eu-west-1")


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MediaStore]:
    if request.param == "folder":
        yield FolderMediaStore(tmp_path / "media")
        return
    with mock_aws():
        bucket = s3_client()
        bucket.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield S3MediaStore(bucket, BUCKET)


def test_bytes_come_back_as_they_went_in(store: MediaStore) -> None:
    data = os.urandom(4096)
    assert store.put_bytes(KEY, b"first").startswith("s3://")
    assert store.put_bytes(KEY, data).endswith(KEY)
    assert store.get_bytes(KEY) == data
    assert store.exists(KEY)


def test_a_file_of_several_parts_comes_back_whole(store: MediaStore, tmp_path: Path) -> None:
    source = tmp_path / "big.bin"
    source.write_bytes(os.urandom(9 * 1024 * 1024))
    store.put_file(KEY, source)
    fetched = store.fetch(KEY, tmp_path / "deep" / "copy.bin")
    assert fetched.read_bytes() == source.read_bytes()


def test_an_empty_file_is_a_file(store: MediaStore) -> None:
    store.put_bytes("a/empty", b"")
    assert store.exists("a/empty")
    assert store.get_bytes("a/empty") == b""


def test_what_is_not_there_is_not_found(store: MediaStore, tmp_path: Path) -> None:
    assert not store.exists("a/none")
    for read in (lambda: store.get_bytes("a/none"), lambda: store.fetch("a/none", tmp_path / "x")):
        with pytest.raises(ChimeraError) as caught:
            read()
        assert caught.value.code == "NOT_FOUND"


def test_keys_are_sorted_and_of_one_folder_only(store: MediaStore) -> None:
    for key in ("a/b/2", "a/b/1", "a/bc/1", "a/b/c/3"):
        store.put_bytes(key, b"x")
    assert store.keys("a/b") == store.keys("a/b/") == ["a/b/1", "a/b/2", "a/b/c/3"]
    assert store.keys("nothing") == []


@pytest.mark.parametrize("key", ["", "/", "../up", "a/../../up", "a/\0b"])
def test_a_key_that_names_no_file_in_the_store_is_refused(store: MediaStore, key: str) -> None:
    with pytest.raises(ChimeraError) as caught:
        store.put_bytes(key, b"x")
    assert caught.value.code == "VALIDATION_FAILED"


def test_an_address_opens_one_key(store: MediaStore) -> None:
    store.put_bytes(KEY, b"x")
    assert urlsplit(store.url(KEY)).path.endswith(KEY)


# --- what only S3 has


@pytest.fixture
def s3() -> Iterator[tuple[Any, S3MediaStore]]:
    with mock_aws():
        bucket = s3_client()
        bucket.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield bucket, S3MediaStore(bucket, BUCKET)


def test_a_presigned_address_is_signed_https_and_short(s3: tuple[Any, S3MediaStore]) -> None:
    _, store = s3
    query = parse_qs(urlsplit(store.url(KEY, expires_seconds=60)).query)
    assert query["X-Amz-Expires"] == ["60"]
    assert query["X-Amz-SignedHeaders"] == ["host"]
    for seconds in (0, 301, 86_400):
        with pytest.raises(ChimeraError) as caught:
            store.url(KEY, expires_seconds=seconds)
        assert caught.value.code == "VALIDATION_FAILED"


def test_an_upload_form_is_for_one_key_type_and_size(s3: tuple[Any, S3MediaStore]) -> None:
    import base64
    import json

    _, store = s3
    form = store.upload_form(KEY, content_type="video/mp4", max_bytes=1000, expires_seconds=120)
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    assert form["fields"]["key"] == KEY
    assert ["content-length-range", 1, 1000] in policy["conditions"]
    assert {"Content-Type": "video/mp4"} in policy["conditions"]
    assert {"key": KEY} in policy["conditions"]
    assert "tagging" not in form["fields"]
    tagged = store.upload_form(KEY, content_type="video/mp4", max_bytes=1000, temporary=True)
    policy = json.loads(base64.b64decode(tagged["fields"]["policy"]))
    assert "<Key>kind</Key><Value>temporary</Value>" in tagged["fields"]["tagging"]
    assert {"tagging": tagged["fields"]["tagging"]} in policy["conditions"], "it cannot be left out"
    with pytest.raises(ChimeraError):
        store.upload_form(KEY, content_type="video/mp4", max_bytes=0)


def test_signed_addresses_are_of_the_regions_own_host() -> None:
    make: Any = client
    with mock_aws():
        store = S3MediaStore(make.__wrapped__("s3", "eu-west-1"), BUCKET)
        host = f"https://{BUCKET}.s3.eu-west-1.amazonaws.com/"  # the global one redirects, which a posted form cannot follow
        assert store.upload_form(KEY, content_type="video/mp4", max_bytes=9)["url"] == host
        assert store.url(KEY).startswith(host)


def test_a_role_that_may_not_is_told_so(s3: tuple[Any, S3MediaStore]) -> None:
    bucket, _ = s3
    denied = S3MediaStore(bucket, "somebody-elses-bucket")
    with pytest.raises(ChimeraError) as caught:
        denied.put_bytes(KEY, b"secret words")
    assert caught.value.code in {"FORBIDDEN", "PROVIDER_REJECTED"}
    assert "secret words" not in str(caught.value)


def test_s3_that_does_not_answer_is_a_time_out() -> None:
    make: Any = client
    dead = make.__wrapped__("s3", "eu-west-1", "http://127.0.0.1:9")
    dead.meta.events.register("before-sign.s3", lambda **_: None)
    dead._request_signer._credentials = boto3.Session("test", "test").get_credentials()
    with pytest.raises(ChimeraError) as caught:
        S3MediaStore(dead, BUCKET).put_bytes(KEY, b"x")
    assert caught.value.code == "PROVIDER_TIMEOUT"
    assert caught.value.retryable


def test_the_presigned_address_opens_and_another_key_does_not() -> None:
    """Over a real socket: moto's server, urllib as a person's browser."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        make: Any = boto3.client
        from botocore.config import Config

        browser_side = make(
            "s3",
            region_name="us-east-1",
            endpoint_url=f"http://{host}:{port}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        browser_side.create_bucket(Bucket=BUCKET)
        store = S3MediaStore(browser_side, BUCKET)
        store.put_bytes(KEY, b"moving pictures")
        address = store.url(KEY)
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.read() == b"moving pictures"
            assert answer.headers["Content-Type"] == "video/mp4"
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(address.replace("video.mp4", "other.mp4"), timeout=10)
    finally:
        server.stop()
