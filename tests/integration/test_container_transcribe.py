"""The transcribe container, run as its image would: a job in, transcript and captions in the media store out."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.domain.transcripts import Segment, Transcript
from chimera.errors import ChimeraError
from chimera.media.captions import gaps_ok, parse_vtt
from chimera.usecases.transcription import TranscribeJob, chosen, cues_of, parse_job, transcribe
from tests.fakes.cloud_jobs import TENANT, Attempt, Cloud, report
from tests.fakes.locked_moto import moto_server

PROGRAM = "containers/transcribe/main.py"
SAID = "the people of the country want peace and water"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with moto_server() as url:
        made = Cloud(url, tmp_path)
        EspeakVoice().synthesize(SAID, speed_wpm=140, out_wav=tmp_path / "said.wav")
        made.media.put_file(made.scope.key("audio", "said.wav"), tmp_path / "said.wav")
        yield made


def job(cloud: Cloud, **changes: Any) -> list[str]:
    values = {"tenant_id": TENANT, "content_id": cloud.scope.content_id, "media": cloud.scope.key("audio", "said.wav")}
    return ["--job", json.dumps({**values, **changes})]


def start(cloud: Cloud, attempt: int, environment: dict[str, str] | None = None, **changes: Any) -> Attempt:
    arguments = job(cloud, **changes)
    return cloud.start("transcribe", attempt, program=PROGRAM, arguments=arguments, **(environment or {}))


def test_speech_in_the_store_becomes_text_and_captions_there(cloud: Cloud) -> None:
    first = start(cloud, 1)
    assert first.end() == 0, first.err
    made = report(cloud, "transcript.json")
    assert made["engine"] == "pocketsphinx" and made["rough"] is True and made["language"] == "en"
    assert sum(word in made["text"].lower() for word in SAID.split()) >= 5, made["text"]
    words = [word["text"] for segment in made["segments"] for word in segment["words"]]
    assert " ".join(words) == made["text"]
    for name in ("srt", "vtt"):
        text = cloud.media.get_bytes(cloud.scope.key("captions", f"transcript.{name}")).decode()
        assert " ".join(shown for *_, shown in parse_vtt(text)).split() == words
    said = json.loads((first.work / "out.log").read_text().splitlines()[-1])
    assert said["files"] == made["files"] and "text" not in said, "what was said does not go into logs"

    written = cloud.s3.head_object(Bucket="chimera-test-media", Key=cloud.scope.key("reports", "transcript.json"))
    assert start(cloud, 2).end() == 0
    again = cloud.s3.head_object(Bucket="chimera-test-media", Key=cloud.scope.key("reports", "transcript.json"))
    assert again["LastModified"] == written["LastModified"], "done before, it is not done again"

    wrong = start(cloud, 3, engine="faster-whisper")
    assert wrong.end() == 1 and '"NOT_FOUND"' in wrong.err and "pocketsphinx" in wrong.err


def test_weights_in_the_media_store_are_brought_before_the_work(cloud: Cloud) -> None:
    for name in ("model.bin", "config.json", "deep/vocabulary.txt"):
        cloud.media.put_bytes(f"models/whisper/small/{name}", name.encode())
    done = start(cloud, 1, {"CHIMERA_WHISPER_MODEL": "media:models/whisper/small"})
    assert done.end() in (0, 1)  # they are no real weights: with faster-whisper installed it may refuse them
    brought = done.work / "weights/small"
    assert sorted(path.name for path in brought.rglob("*") if path.is_file()) == [
        "config.json",
        "model.bin",
        "vocabulary.txt",
    ]
    assert (brought / "deep/vocabulary.txt").read_bytes() == b"deep/vocabulary.txt"


def test_asked_to_stop_it_ends_with_143(cloud: Cloud) -> None:
    running = start(cloud, 1)
    running.wait(lambda it: not it.process.poll() and signal.SIGTERM in caught(it.process.pid))
    assert running.end(signal.SIGTERM) == 143, running.err


def caught(pid: int) -> set[signal.Signals]:
    """Signals that a process has handlers for (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), 16)
    return {number for number in signal.Signals if mask >> (number - 1) & 1}


class Fake:
    """A transcriber that says what it is told."""

    def __init__(self, name: str, priority: int, *, ready: bool = True, heard: Transcript | None = None) -> None:
        self.name, self.priority, self.ready, self.rough, self.model = name, priority, ready, False, ""
        self._heard = heard

    def transcribe(self, media: Path, *, language: str | None = None, word_timestamps: bool = True) -> Transcript:
        assert self._heard is not None
        return self._heard


def test_the_best_engine_that_is_set_up_is_taken() -> None:
    engines: Any = {"a": Fake("a", 10, ready=False), "b": Fake("b", 50), "c": Fake("c", 20)}
    assert chosen(engines, "").name == "c" and chosen(engines, "b").name == "b"
    for name, there in (("a", engines), ("z", engines), ("", {})):
        with pytest.raises(ChimeraError) as refused:
            chosen(there, name)
        assert refused.value.code == "NOT_FOUND"


def test_segments_without_words_still_become_captions_that_can_be_read() -> None:
    text = "and so the old machine was switched off after seventy years of service, which nobody had expected to see"
    segments = [Segment(start=1.0, end=7.5, text=text), Segment(start=8.0, end=9.0, text="Good night.")]
    cues = cues_of(Transcript(language="en", segments=segments, engine="e", duration_seconds=10))
    assert " ".join(cue.text for cue in cues).split() == (text + " Good night.").split()
    assert gaps_ok(cues) and cues[0].start == 1.0 and cues[-1].end <= 9.2
    assert all(len(line) <= 42 for cue in cues for line in cue.text.splitlines())


def test_jobs_that_are_not_for_this_tenant_or_not_whole_are_refused(tmp_path: Path) -> None:
    ids = {"tenant_id": TENANT, "content_id": TENANT}
    other = TranscribeJob.model_validate({**ids, "media": "tenants/another/content/c/audio/a.wav"})
    engines: Any = {"b": Fake("b", 1)}
    with pytest.raises(ChimeraError) as refused:
        transcribe(other, FolderMediaStore(tmp_path), tmp_path, engines)
    assert refused.value.code == "FORBIDDEN"
    for arguments, named in (
        ([], "transcribe --job JSON"),
        (["transcribe", "--job", "{}"], "tenant_id"),
        (["transcribe", "--job", json.dumps({**ids, "media": "/etc/passwd"})], "media"),
        (["transcribe", "--job", json.dumps({**ids, "media": "tenants/../x"})], "media"),
        (["transcribe", "--job", json.dumps({**ids, "media": "m", "language": "; rm"})], "language"),
        (["transcribe", "--job", json.dumps({**ids, "media": "m", "colour": "red"})], "colour"),
    ):
        with pytest.raises(ChimeraError) as wrong:
            parse_job(arguments)
        assert wrong.value.code == "VALIDATION_FAILED" and named in wrong.value.message
