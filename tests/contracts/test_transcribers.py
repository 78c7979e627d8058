"""One suite for every transcriber, over speech that our own offline voice speaks.

Whisper's weights are not shipped, so its adapter meets a stand-in of faster-whisper's documented API here; with weights on
the machine (CHIMERA_WHISPER_MODEL) the last test runs the suite's questions on the real one.
"""

from __future__ import annotations

import importlib.util
import sys
import types
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chimera.adapters.transcribers.sphinx import SphinxTranscriber
from chimera.adapters.transcribers.whisper import WhisperTranscriber
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.domain.transcripts import Transcript
from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from chimera.settings import Settings, get_settings
from tests.fakes.cloud_jobs import tone

SAID = "the people of the country want peace and water"


class _Thing:
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class StandInModel:
    """faster_whisper.WhisperModel as its README and docstrings describe it; hears `SAID` in whatever it is given."""

    opened: list[tuple[str, str, str, bool]] = []  # noqa: RUF012
    gpu_works = True

    def __init__(self, model_size_or_path: str, *, device: str, compute_type: str, local_files_only: bool) -> None:
        self.opened.append((model_size_or_path, device, compute_type, local_files_only))
        if device == "cuda" and not self.gpu_works:
            raise RuntimeError("Library libcudnn_ops.so.9 is not found or cannot be loaded")

    def transcribe(
        self, audio: NDArray[np.float32], *, language: str | None, word_timestamps: bool, vad_filter: bool
    ) -> tuple[Iterator[Any], Any]:
        if language not in (None, "en"):
            raise ValueError(f"'{language}' is not a valid language code")
        assert audio.dtype == np.float32 and 0.01 < np.abs(audio).max() <= 1
        seconds = len(audio) / 16_000
        step = seconds / len(SAID.split())
        words = [
            _Thing(word=f" {w}", start=i * step, end=(i + 1) * step, probability=0.9)
            for i, w in enumerate(SAID.split())
        ]
        segment = _Thing(start=0.0, end=seconds, text=f" {SAID}", words=words if word_timestamps else None)
        return iter([segment]), _Thing(language="en", language_probability=0.99, duration=seconds)


@pytest.fixture
def whisper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., WhisperTranscriber]:
    def make(*, gpus: int = 0, gpu_works: bool = True) -> WhisperTranscriber:
        for name, values in (
            ("faster_whisper", {"WhisperModel": StandInModel}),
            ("ctranslate2", {"get_cuda_device_count": lambda: gpus}),
        ):
            module = types.ModuleType(name)
            module.__dict__.update(values)
            module.__spec__ = importlib.util.spec_from_loader(name, loader=None)
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(StandInModel, "opened", [])
        monkeypatch.setattr(StandInModel, "gpu_works", gpu_works)
        weights = tmp_path / "small"
        weights.mkdir(exist_ok=True)
        (weights / "model.bin").write_bytes(b"weights")
        return WhisperTranscriber(ProviderContext(settings=Settings(whisper_model=str(weights))))

    return make


@pytest.fixture(params=["pocketsphinx", "faster-whisper"])
def transcriber(request: pytest.FixtureRequest, whisper: Callable[..., WhisperTranscriber]) -> Any:
    return whisper() if request.param == "faster-whisper" else SphinxTranscriber()


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "said.wav"
    EspeakVoice().synthesize(SAID, speed_wpm=140, out_wav=path)
    return path


def check_shape(heard: Transcript) -> None:
    assert heard.duration_seconds > 1 and heard.segments
    words = [word for segment in heard.segments for word in segment.words]
    assert " ".join(word.text for word in words) == heard.text
    assert [w.start for w in words] == sorted(w.start for w in words)
    for segment in heard.segments:
        assert segment.words and segment.text == segment.text.strip()
        for word in segment.words:
            assert segment.start - 0.05 <= word.start <= word.end <= segment.end + 0.05
    assert words[-1].end <= heard.duration_seconds + 0.5


def test_speech_becomes_text_with_times(transcriber: Any, speech: Path) -> None:
    assert transcriber.ready
    heard = transcriber.transcribe(speech)
    check_shape(heard)
    said, got = SAID.split(), heard.text.lower().split()
    found = sum(word in got for word in said) / len(said)
    assert found >= 0.5, f"heard {heard.text!r}"
    assert (heard.engine, heard.language, heard.rough) == (transcriber.name, "en", transcriber.rough)


def test_the_same_again_is_the_same_and_words_may_be_left_out(transcriber: Any, speech: Path) -> None:
    first, second = transcriber.transcribe(speech, language="en"), transcriber.transcribe(speech, language="en")
    assert first == second
    bare = transcriber.transcribe(speech, word_timestamps=False)
    assert bare.text == first.text and not any(segment.words for segment in bare.segments)


def test_what_cannot_be_transcribed_is_one_clear_error(transcriber: Any, speech: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.wav"
    wrong.write_bytes(b"RIFF, but no sound")
    for media, language in ((wrong, None), (tmp_path / "none.wav", None), (speech, "xx")):
        with pytest.raises(ChimeraError) as refused:
            transcriber.transcribe(media, language=language)
        assert refused.value.code == "VALIDATION_FAILED"
        assert (language or media.name) in refused.value.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.wav", "ffconcat version 1.0\nfile said.wav\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsaid.wav\n#EXT-X-ENDLIST\n"),
    ],
)
def test_a_playlist_opens_no_other_file(transcriber: Any, speech: Path, name: str, text: str) -> None:
    playlist = speech.with_name(name)
    playlist.write_text(text)
    with pytest.raises(ChimeraError) as refused:
        transcriber.transcribe(playlist)
    assert refused.value.code == "VALIDATION_FAILED" and name in refused.value.message


def test_silence_and_tones_say_little(tmp_path: Path) -> None:
    heard = SphinxTranscriber().transcribe(tone(tmp_path / "tone.wav", 2.0))
    assert len(heard.text.split()) <= 3 and heard.rough, "the embedded one is labelled as rough"


def test_what_is_said_after_a_pause_is_timed_after_it(speech: Path, tmp_path: Path) -> None:
    with wave.open(str(speech), "rb") as source:
        parameters, sound = source.getparams(), source.readframes(source.getnframes())
    seconds, twice = len(sound) / 2 / parameters.framerate, tmp_path / "twice.wav"
    with wave.open(str(twice), "wb") as out:
        out.setparams(parameters)
        out.writeframes(sound + bytes(parameters.framerate * 2 * 2) + sound)  # two seconds of silence between
    heard = SphinxTranscriber().transcribe(twice)
    first = [s for s in heard.segments if s.end <= seconds + 0.5]
    second = [s for s in heard.segments if s.start >= seconds + 1.5]
    assert first and second and len(first) + len(second) == len(heard.segments), heard.segments
    assert heard.duration_seconds == pytest.approx(2 * seconds + 2, abs=0.05)


def test_whisper_takes_the_gpu_and_falls_back_to_the_processor(whisper: Callable[..., Any], speech: Path) -> None:
    cases = [
        (0, True, [("cpu", "int8")]),
        (1, True, [("cuda", "float16")]),
        (1, False, [("cuda", "float16"), ("cpu", "int8")]),
    ]
    for gpus, works, expected in cases:
        engine = whisper(gpus=gpus, gpu_works=works)
        assert not StandInModel.opened, "nothing is loaded before it is needed"
        engine.transcribe(speech)
        engine.transcribe(speech)
        assert [(device, kind) for _, device, kind, _ in StandInModel.opened] == expected
        assert all(local for *_, local in StandInModel.opened), "weights are never fetched"


def test_whisper_without_weights_or_library_is_not_ready(whisper: Callable[..., Any], tmp_path: Path) -> None:
    whisper()
    for given in ("", str(tmp_path / "nothing")):
        engine = WhisperTranscriber(ProviderContext(settings=Settings(whisper_model=given)))
        assert not engine.ready
        with pytest.raises(ChimeraError) as refused:
            engine.transcribe(tmp_path / "x.wav")
        assert refused.value.code == "NOT_FOUND" and "model.bin" in refused.value.message


def test_real_weights_transcribe(speech: Path) -> None:
    engine = WhisperTranscriber(ProviderContext(settings=get_settings()))
    if not engine.ready:
        pytest.skip(
            "no Whisper weights here: set CHIMERA_WHISPER_MODEL and install containers/transcribe/requirements.lock"
        )
    heard = engine.transcribe(speech)
    check_shape(heard)
    assert sum(word in heard.text.lower() for word in SAID.split()) >= 7
