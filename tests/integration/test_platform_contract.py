"""What every platform keeps to, whoever wrote it: the publisher's safety rests on these sentences.

A new platform adds itself to PLATFORMS, with whatever server it is tested against.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.platforms.local_channel import LocalChannel
from chimera.domain.ids import new_id
from chimera.domain.models import EngagementMetrics, PublishRequest, Receipt
from chimera.ports import MediaStore, Platform


def local(folder: Path, media: MediaStore) -> Platform:
    return LocalChannel(folder / "channel", media, "http://127.0.0.1:8787")


PLATFORMS: dict[str, Callable[[Path, MediaStore], Platform]] = {"local": local}

FFMPEG = [
    "-v",
    "error",
    "-f",
    "lavfi",
    "-i",
    "testsrc=d=2:s=180x320:r=10",
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("clip") / "clip.mp4"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), *FFMPEG, str(target)],
        check=True,
        timeout=60,
    )
    return target.read_bytes()


@pytest.fixture
def media(tmp_path: Path, clip: bytes) -> MediaStore:
    store = FolderMediaStore(tmp_path / "media")
    store.put_bytes("c/video.mp4", clip)
    store.put_bytes("c/captions.vtt", b"WEBVTT\n\n00:00.000 --> 00:02.000\nhello\n")
    return store


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest, tmp_path: Path, media: MediaStore) -> Platform:
    return PLATFORMS[request.param](tmp_path, media)


@pytest.fixture
def request_of(platform: Platform) -> Callable[..., PublishRequest]:
    def made(**changes: object) -> PublishRequest:
        fields: dict[str, object] = {
            "content_id": new_id(),
            "platform": platform.name,
            "channel_id": "channel",
            "title": "A title",
            "description": "A description",
            "idempotency_key": new_id(),
            "content_hash": "ab" * 32,
            "media": {"video": "c/video.mp4", "vtt": "c/captions.vtt"},
            "duration_seconds": 2.0,
        }
        return PublishRequest.model_validate({**fields, **changes})

    return made


Make = Callable[..., PublishRequest]


def test_it_has_a_name_and_says_whether_it_dedupes(platform: Platform) -> None:
    assert platform.name
    assert isinstance(platform.dedupes_by_key, bool)


def test_preflight_takes_a_good_request_and_sends_nothing(platform: Platform, request_of: Make) -> None:
    request = request_of()
    assert platform.preflight(request) == []
    assert platform.lookup(request) is None


def test_preflight_explains_and_does_not_raise(platform: Platform, request_of: Make) -> None:
    problems = platform.preflight(request_of(media={"video": "c/missing.mp4"}))
    assert problems
    assert all(isinstance(problem, str) and problem for problem in problems)


def test_an_unknown_key_is_not_posted(platform: Platform, request_of: Make) -> None:
    platform.publish(request_of())
    assert platform.lookup(request_of()) is None


def test_a_receipt_names_the_post_and_the_key(platform: Platform, request_of: Make) -> None:
    request = request_of()
    receipt = platform.publish(request)
    assert receipt.status in ("published", "scheduled")
    assert receipt.post_id
    assert receipt.url
    assert receipt.url.startswith(("http://", "https://"))
    assert (receipt.platform, receipt.channel_id) == (platform.name, "channel")
    assert receipt.idempotency_key == receipt.publication_id == request.idempotency_key
    assert receipt.published_at is None or receipt.published_at.utcoffset() is not None
    assert Receipt.model_validate_json(receipt.model_dump_json()) == receipt


def test_what_was_posted_is_found_again(platform: Platform, request_of: Make) -> None:
    request = request_of()
    receipt = platform.publish(request)
    found = platform.lookup(request)
    assert found is not None
    assert (found.post_id, found.url) == (receipt.post_id, receipt.url)


def test_two_keys_are_two_posts(platform: Platform, request_of: Make) -> None:
    assert platform.publish(request_of()).post_id != platform.publish(request_of()).post_id


def test_the_same_key_again_is_the_first_post(platform: Platform, request_of: Make) -> None:
    if not platform.dedupes_by_key:
        pytest.skip("this platform has no dedupe key; the publisher looks up and waits instead")
    request = request_of()
    receipts: list[Receipt] = []
    threads = [threading.Thread(target=lambda: receipts.append(platform.publish(request))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({receipt.post_id for receipt in receipts}) == 1
    assert len(receipts) == 4


def test_metrics_are_numbers_or_nothing(platform: Platform, request_of: Make) -> None:
    metrics = platform.metrics(str(platform.publish(request_of()).post_id))
    assert isinstance(metrics, EngagementMetrics)
    assert metrics.views is None or metrics.views >= 0
