"""A container job as AWS Batch runs it: the container's own main.py, an empty folder at each attempt, S3 and DynamoDB."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import cv2
import numpy as np
from botocore.config import Config

from chimera.adapters.aws.dynamo import Table
from chimera.adapters.aws.dynamo_allowances import DynamoAllowances
from chimera.adapters.aws.dynamo_controls import DynamoControls
from chimera.adapters.aws.media import S3MediaStore
from chimera.adapters.local.clock import SystemClock
from chimera.domain.prices import production_limits, production_upper_bound
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope
from tests.fakes.locked_moto import dynamo_client, make_table

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "chimera-test-media"
TENANT = "00000000-0000-7000-8000-000000000001"


ONLY_LOCKED = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}: it is not in the image's lock", name=name)

sys.meta_path.insert(0, Refuse())
"""


def not_in_the_image(lock: Path) -> set[str]:
    """Top-level modules of this environment that the image, which has its lock's packages only, does not have."""
    locked = {normal(name) for name in re.findall(r"^([A-Za-z0-9_.-]+)==", lock.read_text("utf-8"), re.MULTILINE)}
    locked |= {"chimera-studio"}
    there = importlib.metadata.packages_distributions()
    return {name for name, owners in there.items() if not {normal(owner) for owner in owners} & locked}


def normal(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def s3_client(url: str) -> Any:
    """A boto3 S3 client of a moto server."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=16),
    )


@dataclass
class Cloud:
    """A bucket, a table and an allowance on a moto server, and jobs that see nothing else of the world."""

    url: str
    folder: Path
    s3: Any = None
    scope: Scope = field(
        default_factory=lambda: Scope(
            tenant_id=TENANT, run_id=str(uuid.uuid4()), task_id=str(uuid.uuid4()), content_id=str(uuid.uuid4())
        )
    )
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        self.s3 = s3_client(self.url)
        self.s3.create_bucket(Bucket=BUCKET)
        client = dynamo_client(self.url)
        self.table = Table(client=client, name=make_table(client, f"hot-{uuid.uuid4().hex[:8]}"))

    @property
    def media(self) -> S3MediaStore:
        """The bucket, as we look at it."""
        return S3MediaStore(self.s3, BUCKET)

    @property
    def allowances(self) -> DynamoAllowances:
        """The production's purse, as we look at it."""
        return DynamoAllowances(self.table, TENANT, SystemClock())

    def give_allowance(self, micros: int) -> None:
        """Money for the job, and the switch at RUN."""
        controls = DynamoControls(self.table, TENANT)
        assert controls.put("RUN", 1, controls.read()[1])
        self.allowances.open(self.request_id, micros, 1, SystemClock().now() + timedelta(hours=1))

    def start(
        self,
        command: str,
        attempt: int,
        *,
        program: str = "containers/render/main.py",
        arguments: list[str] | None = None,
        **environment: str,
    ) -> Attempt:
        """One attempt in a folder of its own, as the image would: its packages, and nothing of ours in its environment."""
        work = self.folder / f"attempt-{attempt}"
        work.mkdir()
        image = self.folder / "image"
        image.mkdir(exist_ok=True)
        names = not_in_the_image((ROOT / program).parent / "requirements.lock")
        (image / "sitecustomize.py").write_text(ONLY_LOCKED.format(names=names))
        values = {
            "PYTHONPATH": str(image),
            "PATH": os.environ["PATH"], "TMPDIR": str(work), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "CHIMERA_WORLD": "aws", "CHIMERA_REGION": "us-east-1", "CHIMERA_AWS_ENDPOINT": self.url,
            "CHIMERA_MEDIA_BUCKET": BUCKET, "CHIMERA_DYNAMO_TABLE": self.table.name, "CHIMERA_HOME": str(work / "no-home"),
            "AWS_BATCH_JOB_ATTEMPT": str(attempt), **environment,
        }  # fmt: skip
        given = arguments or ["--scope", self.scope.model_dump_json(), "--request-id", self.request_id]
        with (work / "out.log").open("wb") as out, (work / "err.log").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / program), command, *given], env=values, cwd=work, stdout=out, stderr=err
            )
        return Attempt(process, work)


@dataclass
class Attempt:
    """One attempt of a job."""

    process: subprocess.Popen[bytes]
    work: Path

    @property
    def err(self) -> str:
        """All it has said on stderr so far."""
        return (self.work / "err.log").read_text("utf-8")

    @property
    def kept(self) -> list[str]:
        """Names of the segments that it has kept so far."""
        return re.findall(r"checkpoint: segment (\S+) kept", self.err)

    @property
    def restored(self) -> int:
        """How many segments it began with."""
        found = re.search(r"checkpoint: (\d+) of \d+ segments restored", self.err)
        return int(found[1]) if found else 0

    def wait(self, until: Callable[[Attempt], bool], seconds: float = 120) -> None:
        """Wait while it runs; it must not end before."""
        deadline = time.monotonic() + seconds
        while not until(self):
            assert self.process.poll() is None, f"it ended before: {self.err[-3000:]}"
            assert time.monotonic() < deadline, f"not within {seconds} s: {self.err[-3000:]}"
            time.sleep(0.02)

    def end(self, how: signal.Signals | None = None, seconds: float = 240) -> int:
        """Its exit code, after a signal if one is given."""
        if how is not None:
            self.process.send_signal(how)
        return self.process.wait(seconds)


def tone(path: Path, seconds: float, *, rate: int = 22_050) -> Path:
    """A voice-like sound."""
    t = np.arange(round(seconds * rate)) / rate
    sound = np.sin(2 * np.pi * 190 * t) * (0.5 + 0.5 * np.sin(2 * np.pi * 5 * t)) * 0.4
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def lay_out(cloud: Cloud, *, scenes: int = 8, seconds: float = 2.4, fps: int = 24) -> None:
    """All that a render job reads: brief, limits, voice, pictures. Its allowance is the production's upper bound."""
    made, folder = MadeContent(cloud.media, cloud.scope), cloud.folder / "inputs"
    folder.mkdir()
    lines = [f"Scene {i} says a few words more." for i in range(scenes)]
    options = {"resolution": "360p", "fps": fps, "quality_preset": "standard", "aspect": "9:16"}
    persona = {"brand_guidelines": {}, "channels": [], "name": "P"}
    made.write("brief", "material.json", {"options": options, "persona": persona, "material": {"seed": 4}})
    made.write("brief", "request.json", {"limits": production_limits(20, 360)})
    brief: dict[str, Any] = {
        "brief_id": "b", "trend_id": "t", "title": "A small title", "script": " ".join(lines), "estimated_cost": "0.01",
        "scenes": [{"narration": line, "visual_prompt": "chart", "on_screen_text": f"Headline {i}"} for i, line in enumerate(lines)],
        "projected_engagement": 1.0, "projected_roi": 2.0, "writer": {"provider": "offline", "model": "offline", "prompt_version": "1"},
        "duration_seconds": 20, "sources": ["https://example.org/a"],
    }  # fmt: skip
    made.write("brief", "brief.json", brief)
    step = seconds / 7
    spoken = []
    for i, line in enumerate(lines):
        cloud.media.put_file(cloud.scope.key("audio", f"scene-{i:03d}.wav"), tone(folder / f"{i}.wav", seconds))
        words = [{"text": w, "start": j * step, "end": (j + 0.9) * step} for j, w in enumerate(line.split())]
        spoken.append({"audio": f"scene-{i:03d}.wav", "duration": seconds, "words": words})
    made.write("audio", "voice.json", {"fingerprint": "v", "scenes": spoken})
    painted = []
    noise = np.random.default_rng(7)
    for i in range(scenes + 1):
        name = "outro.png" if i == scenes else f"scene-{i:03d}.png"
        coarse = noise.integers(30, 220, (40, 24, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), cv2.resize(coarse, (360, 640), interpolation=cv2.INTER_CUBIC))
        cloud.media.put_file(cloud.scope.key("pictures", name), folder / name)
        painted.append({"image": name})
    outro = painted.pop()
    made.write("pictures", "pictures.json", {"fingerprint": "p", "seed": 4, "scenes": painted, "outro": outro})
    cloud.give_allowance(production_upper_bound(20, 360))


def report(cloud: Cloud, name: str) -> Any:
    """A report of the content."""
    return json.loads(cloud.media.get_bytes(cloud.scope.key("reports", name)))
