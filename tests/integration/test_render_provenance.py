"""The render job signs what it made: everything downstream sees the signed file, its bill says what it is made of."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chimera.adapters.checks.licences import LicencesCheck
from chimera.adapters.local.certificates import LocalContentSigner
from chimera.adapters.local.media import FolderMediaStore
from chimera.domain.allowance import CallItem, Draw
from chimera.domain.bill import BillOfMaterials
from chimera.domain.prices import production_limits
from chimera.errors import ChimeraError
from chimera.media.provenance import read
from chimera.purse import Purse
from chimera.usecases.containers import Rendering, inspect_content, render_content
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope
from chimera.usecases.verdict import judge


class Money:
    """An allowance store that gives every draw."""

    def draw(self, request_id: str, call_id: str, micros: int, item: CallItem) -> Draw:
        return Draw(request_id=request_id, call_id=call_id, item=item, drawn_micros=micros)

    def correct(self, request_id: str, call_id: str, actual_micros: int, quantity: str | None = None) -> None:
        """Every amount is fine."""


PURSE = Purse(Money(), "r")  # type: ignore[arg-type]
LINES = ["The bridge closes in March.", "It opens again in May."]


def tone(path: Path, seconds: float) -> Path:
    t = np.arange(round(seconds * 22_050)) / 22_050
    sound = np.sin(2 * np.pi * 190 * t) * (0.5 + 0.5 * np.sin(2 * np.pi * 5 * t)) * 0.4
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(22_050)
        out.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def made(tmp_path: Path) -> Iterator[MadeContent]:
    """All that a render job reads; the job works in the current folder."""
    scope = Scope(tenant_id="t", run_id="r", task_id="k", content_id=str(uuid.uuid4()))
    found = MadeContent(FolderMediaStore(tmp_path / "media"), scope)
    profile = {"name": "Ada"}
    found.write(
        "brief",
        "material.json",
        {
            "options": {"resolution": "360p", "fps": 24, "quality_preset": "draft", "aspect": "9:16"},
            "material": {"profile": profile},
            "persona": {"brand_guidelines": {}},
        },
    )
    found.write("brief", "request.json", {"limits": production_limits(20, 360)})
    trend = {
        "trend_id": "t", "topic": "Bridge", "title": "Bridge", "volume": 1, "sentiment_score": 0, "rising_velocity": 0,
        "platforms": ["rss"], "url": "https://city.example", "timestamp": "2026-11-21T00:00:00Z",
    }  # fmt: skip
    found.write("brief", "used_material.json", {"trend": trend, "profile": profile})
    brief = {
        "brief_id": "b", "trend_id": "t", "title": "A bridge", "script": " ".join(LINES), "estimated_cost": "0.01",
        "scenes": [{"narration": t, "visual_prompt": f"chart {i}", "on_screen_text": "March"} for i, t in enumerate(LINES)],
        "projected_engagement": 1.0, "projected_roi": 2.0, "duration_seconds": 20, "sources": ["https://city.example/n"],
        "writer": {"provider": "offline", "model": "extractive", "prompt_version": "1"},
    }  # fmt: skip
    found.write("brief", "brief.json", brief)
    spoken, painted = [], []
    for i, line in enumerate(LINES):
        found.media.put_file(scope.key("audio", f"{i}.wav"), tone(tmp_path / f"{i}.wav", 2.0))
        words = [{"text": w, "start": j * 0.35, "end": j * 0.35 + 0.3} for j, w in enumerate(line.split())]
        spoken.append({"audio": f"{i}.wav", "duration": 2.0, "words": words})
    for name in ("0.png", "1.png", "outro.png"):
        noise = np.random.default_rng(len(painted)).integers(30, 220, (40, 24, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / name), cv2.resize(noise, (360, 640), interpolation=cv2.INTER_CUBIC))
        found.media.put_file(scope.key("pictures", name), tmp_path / name)
        painted.append({"image": name})
    voice = {"fingerprint": "v", "provider": "espeak-ng", "model": "espeak-ng 1.52", "scenes": spoken}
    found.write("audio", "voice.json", voice)
    outro = painted.pop()
    pictures = {
        "fingerprint": "p",
        "provider": "cards",
        "model": "cards 1",
        "seed": 4,
        "scenes": painted,
        "outro": outro,
    }
    found.write("pictures", "pictures.json", {**pictures, "licence": "ours", "origin": "algorithm"})
    work, before = tmp_path / "work", Path.cwd()
    work.mkdir()
    os.chdir(work)
    yield found
    os.chdir(before)


def rendered(made: MadeContent, signer: Any) -> dict[str, Any]:
    return render_content(
        made, Path.cwd(), lambda part: None, PURSE, Rendering(encoder="x264", credentials=lambda: signer)
    )


def stored(made: MadeContent, report: dict[str, Any], kind: str) -> bytes:
    return made.media.get_bytes(report["files"][kind]["key"])


def test_everything_downstream_sees_the_signed_file_and_its_bill(made: MadeContent, tmp_path: Path) -> None:
    signer = LocalContentSigner(tmp_path / "keys")
    report = rendered(made, signer)
    video = stored(made, report, "video")
    digest = hashlib.sha256(video).hexdigest()
    assert report["sha256"] == report["files"]["video"]["sha256"] == digest
    assert report["size_bytes"] == report["files"]["video"]["size_bytes"] == len(video)
    (tmp_path / "final.mp4").write_bytes(video)
    found = read(tmp_path / "final.mp4", roots=signer.root)
    assert (found.state, found.digital_source_type, found.title) == ("ours", "algorithmicMedia", "A bridge")
    assert {p["title"] for p in found.ingredients} == {"0.wav", "1.wav", "0.png", "1.png", "outro.png"}

    bill = BillOfMaterials.model_validate_json(stored(made, report, "bom"))
    assert report["files"]["bom"]["key"].endswith("/video/video.bom.json")
    assert bill.model_dump(mode="json") == made.read("reports", "bill.json")
    assert bill.video is not None
    assert (bill.video.sha256, bill.video.size_bytes, bill.video.manifest) == (digest, len(video), found.manifest)
    kinds = [item.kind for item in bill.items]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "script": 1, "voice": 2, "picture": 3, "music": 1, "sound": kinds.count("sound"), "font": 3, "source": 1,
    }  # fmt: skip
    assert all(item.licence and item.author for item in bill.items if item.kind != "source")
    hashes = {
        hashlib.sha256((tmp_path / n).read_bytes()).hexdigest()
        for n in ("0.wav", "1.wav", "0.png", "1.png", "outro.png")
    }
    assert {item.sha256 for item in bill.items if item.kind in {"voice", "picture"}} == hashes
    assert [item.prompt for item in bill.items if item.kind == "picture"] == ["chart 0", "chart 1", ""]

    technical = inspect_content(made, PURSE)
    assert technical["sha256"] == digest
    measured = technical["measurements"]
    assert measured["faststart"] is True and measured["constant_frame_rate"] is True
    assert measured["av_difference_seconds"] <= 0.2

    judged = judge(made, [LicencesCheck()], PURSE)
    checks = {
        c["name"]: c["passed"] for c in made.read("reports", "judge.json")["checks"] if c["provider"] == "builtin"
    }
    assert checks == {"licences.known": True, "licences.usable": True, "licences.manifest": True}

    again = rendered(made, signer)
    assert again == json.loads(json.dumps(report)), "signed once: the second time it is the same file"
    assert judge(made, [LicencesCheck()], PURSE)["content_hash"] == judged["content_hash"]

    # a bill of another file answers nothing
    made.write("reports", "render.json", {**report, "sha256": "0" * 64})
    judge(made, [LicencesCheck()], PURSE)
    (check,) = (c for c in made.read("reports", "judge.json")["checks"] if c["name"] == "licences")
    assert check["passed"] is None


class Refuses:
    """A signer that cannot sign now."""

    def __init__(self, good: LocalContentSigner) -> None:
        self.chain, self.root = good.chain, good.root

    def sign(self, message: bytes) -> bytes:
        raise ChimeraError("RATE_LIMITED", "KMS is busy")


def test_a_failed_signature_leaves_no_report_and_the_next_try_renders_no_scene_again(
    made: MadeContent, tmp_path: Path
) -> None:
    signer = LocalContentSigner(tmp_path / "keys")
    pictures = made.read("pictures", "pictures.json")
    pictures["scenes"][1] |= {"provider": "stock", "licence": "unknown", "origin": "person", "author": "Someone"}
    made.write("pictures", "pictures.json", {**pictures, "origin": "trained_model", "provider": "openai"})
    with pytest.raises(ChimeraError, match="KMS is busy"):
        rendered(made, Refuses(signer))
    assert made.read_or_none("reports", "render.json") is None
    assert made.read_or_none("reports", "bill.json") is None
    report = rendered(made, signer)
    assert report["segments_reused"] == report["segments_total"]
    # some by a model, one by a person whose licence nobody knows
    bill = made.read("reports", "bill.json")
    assert bill["digital_source_type"] == "compositeSynthetic"
    assert judge(made, [LicencesCheck()], PURSE)["verdict"] == "reject"
    failed = [c for c in made.read("reports", "judge.json")["checks"] if c["passed"] is False]
    assert [(c["name"], c["evidence"]) for c in failed] == [("licences.known", "unknown licence: picture 1.png")]


def test_without_credentials_the_file_is_unsigned_and_the_bill_says_so(made: MadeContent) -> None:
    report = rendered(made, None)
    bill = made.read("reports", "bill.json")
    assert bill["video"]["sha256"] == report["sha256"] and bill["video"]["manifest"] == ""
    assert read(Path("video.mp4")).state == "none"
