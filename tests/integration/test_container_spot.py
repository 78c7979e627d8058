"""The render container on Spot: its machine is taken away in the middle, and the next attempt goes on in an empty folder."""

from __future__ import annotations

import fnmatch
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chimera.domain.prices import step_worst_case
from chimera.usecases.checkpoints import StoredSegments
from tests.fakes.cloud_jobs import BUCKET, ROOT, Cloud, lay_out, report
from tests.fakes.locked_moto import moto_server

SEGMENTS = 11
"""Two for each of five scenes, and the outro."""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with moto_server() as url:
        yield Cloud(url, tmp_path)


def test_sigterm_loses_no_finished_segment_and_sigkill_none_that_was_kept(cloud: Cloud) -> None:
    lay_out(cloud, scenes=5, seconds=1.5)
    first = cloud.start("render", 1)
    first.wait(lambda it: len(it.kept) >= 2)
    children = psutil.Process(first.process.pid).children(recursive=True)
    assert first.end(signal.SIGTERM) == 143, first.err
    assert not psutil.wait_procs(children, timeout=10)[1], "no encoder outlives the job"
    kept = set(first.kept)
    assert {path.name for path in (first.work / "segments").glob("*.mp4")} == kept, "what was finished is kept"
    draws = cloud.allowances.draws(cloud.request_id)
    assert [(draw.call_id, draw.state) for draw in draws] == [("render", "OPEN")], "the next attempt goes on under it"

    second = cloud.start("render", 2)
    second.wait(lambda it: len(it.kept) >= 2)
    assert second.end(signal.SIGKILL) == -9
    assert second.restored == len(kept) and not set(second.kept) & kept

    third = cloud.start("render", 3)
    assert third.end() == 0, third.err
    done = report(cloud, "render.json")
    assert third.restored >= len(kept) + len(second.kept)
    assert done["segments_reused"] == third.restored and done["segments_total"] == SEGMENTS
    assert len(third.kept) == SEGMENTS - third.restored
    assert not (set(first.kept) | set(second.kept)) & set(third.kept), "nothing that was kept is rendered again"
    (draw,) = cloud.allowances.draws(cloud.request_id)
    assert draw.state == "CORRECTED" and 0 < draw.charged_micros < step_worst_case("render", 700)

    again = cloud.start("render", 4)
    assert again.end() == 0 and "checkpoint" not in again.err, "a finished render is not begun again"

    # the same video in one go
    for key in [*cloud.media.keys(f"{cloud.scope.prefix}/video"), cloud.scope.key("reports", "render.json")]:
        cloud.s3.delete_object(Bucket=BUCKET, Key=key)
    whole = cloud.start("render", 5)
    assert whole.end() == 0, whole.err
    assert whole.restored == 0 and len(whole.kept) == SEGMENTS
    assert report(cloud, "render.json")["sha256"] == done["sha256"], "the video is the same, byte for byte"


def test_segments_are_tagged_for_the_lifecycle_rule_and_the_video_is_not(cloud: Cloud) -> None:
    class Part:
        name = "a" * 32 + ".mp4"

    path = cloud.folder / Part.name
    path.write_bytes(b"segment")
    StoredSegments(cloud.media, cloud.scope).keep(path)
    cloud.media.put_file(cloud.scope.key("video", "video.mp4"), path)

    def tags(name: str) -> dict[str, str]:
        found = cloud.s3.get_object_tagging(Bucket=BUCKET, Key=cloud.scope.key("video", name))["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    assert tags(f"segments/{Part.name}") == {"kind": "temporary"}
    assert tags("video.mp4") == {}


def test_a_store_that_fails_costs_time_and_not_the_job(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.s3.delete_object(Bucket=BUCKET, Key="x")
    path = cloud.folder / "b.mp4"
    path.write_bytes(b"segment")
    from chimera.adapters.aws.media import S3MediaStore

    gone = StoredSegments(S3MediaStore(cloud.s3, "no-such-bucket"), cloud.scope)
    gone.keep(path)
    gone.restore(["b.mp4"], cloud.folder / "nowhere")
    said = capsys.readouterr().err
    assert "segment b.mp4 is not kept" in said and "cannot be looked for" in said
    good = StoredSegments(cloud.media, cloud.scope)
    good.keep(path)
    cloud.media.put_bytes(cloud.scope.key("video", "segments/empty.mp4"), b"")
    target = cloud.folder / "target"
    target.mkdir()
    good.restore(["b.mp4", "empty.mp4", "unknown.mp4"], target)
    assert [found.name for found in target.iterdir()] == ["b.mp4"]


@pytest.mark.parametrize("state", ["render", "inspect"])
@pytest.mark.parametrize(
    ("said", "again"),
    [
        ({"OnExitCode": "143", "OnStatusReason": "Essential container in task exited"}, True),
        ({"OnExitCode": "137", "OnStatusReason": "Essential container in task exited"}, True),
        ({"OnExitCode": "", "OnStatusReason": "Your Spot Task was interrupted."}, True),
        ({"OnExitCode": "", "OnStatusReason": "Host EC2 (instance i-0123456789) terminated."}, True),
        ({"OnExitCode": "1", "OnStatusReason": "Essential container in task exited"}, False),
    ],
)
def test_batch_starts_again_what_spot_ended_and_nothing_that_failed(
    state: str, said: dict[str, str], again: bool
) -> None:
    machine = json.loads((ROOT / "statemachines/creation.asl.json").read_text("utf-8"))
    rules = machine["States"][state]["Arguments"]["RetryStrategy"]["EvaluateOnExit"]
    assert len(rules) <= 5, "Batch takes no more"
    for rule in rules:
        if all(fnmatch.fnmatchcase(said[name], pattern) for name, pattern in rule.items() if name != "Action"):
            assert (rule["Action"] == "RETRY") == again
            return
    raise AssertionError("no rule fits")
