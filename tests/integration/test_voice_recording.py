"""The user's own recording: one file or a folder of them, read with limits, found to be the script or refused."""

from __future__ import annotations

import subprocess
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chimera.adapters.voices import sound
from chimera.adapters.voices.recording import RecordedVoice
from chimera.errors import ChimeraError
from chimera.media.process import executable
from chimera.usecases.breakers import Breakers
from chimera.usecases.speaking import speak
from tests.fakes.speaking_stage import BeepVoice, content
from tests.fakes.voice_vendors import spoken

LINES = (
    "The ferries to the islands run at night now.",
    "Tickets cost less than before, and people like them.",
    "That is all for today.",
)


def wav(path: Path, pcm: bytes) -> Path:
    sound.write(path, sound.samples_of(pcm), 24_000)
    return path


def whole(path: Path) -> Path:
    return wav(path, (b"\0\0" * 12_000).join(spoken(line)[0] for line in LINES))


def say(voice: str, scene: int, out: Path, **more: Any) -> Any:
    script = dict(enumerate(LINES))
    return RecordedVoice().synthesize(script[scene], voice=voice, out_wav=out, script=script, scene=scene, **more)


def test_one_file_with_the_whole_script_is_cut_into_its_scenes(tmp_path: Path) -> None:
    name = f"file:{whole(tmp_path / 'take.wav')}"
    voice, script = RecordedVoice(), dict(enumerate(LINES))
    for scene, line in enumerate(LINES):
        out = tmp_path / f"{scene}.wav"
        found = voice.synthesize(line, voice=name, out_wav=out, script=script, scene=scene)
        true = spoken(line)[1]
        assert [w.text for w in found.words] == line.split() and found.times == "aligned"
        assert found.duration_seconds == pytest.approx(true.duration_seconds, abs=0.35)
        shift = found.words[0].start - true.words[0].start
        assert all(
            a.start - shift == pytest.approx(b.start, abs=0.15) for a, b in zip(found.words, true.words, strict=True)
        )
        assert all(a.start <= b.start for a, b in pairwise(found.words))
        with wave.open(str(out)) as cut:
            assert cut.getnframes() / 24_000 == pytest.approx(found.duration_seconds, abs=0.001)


def test_a_folder_has_a_file_for_each_scene_in_any_usual_format(tmp_path: Path) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    wav(folder / "scene-1.wav", spoken(LINES[0])[0])
    for number, suffix, codec in ((2, "mp3", "libmp3lame"), (3, "m4a", "aac")):
        raw = wav(tmp_path / "raw.wav", spoken(LINES[number - 1])[0])
        made = [
            executable(),
            "-loglevel",
            "error",
            "-i",
            str(raw),
            "-c:a",
            codec,
            str(folder / f"{number} take.{suffix}"),
        ]
        subprocess.run(made, check=True)
    (folder / "notes.txt").write_text("not a sound")
    for scene, line in enumerate(LINES):
        found = say(f"file:{folder}", scene, tmp_path / "a.wav")
        assert [w.text for w in found.words] == line.split() and found.times == "aligned"
        assert found.duration_seconds == pytest.approx(spoken(line)[1].duration_seconds, abs=0.3)
    (folder / "scene-2.wav").write_bytes(b"")
    with pytest.raises(ChimeraError, match="two files for scene 2"):
        say(f"file:{folder}", 1, tmp_path / "a.wav")
    for path in folder.glob("*2*"):
        path.unlink()
    with pytest.raises(ChimeraError, match="no recording of scene 2; expected files for 1, 2, 3, got 1, 3"):
        say(f"file:{folder}", 1, tmp_path / "a.wav")


def test_a_silent_recording_or_another_text_is_one_clear_error(tmp_path: Path) -> None:
    hiss = np.random.default_rng(0).normal(0, 15, 48_000).astype("<i2").tobytes()
    for name, pcm, said in (
        ("silent.wav", hiss, "silent recording"),
        (
            "other.wav",
            spoken("My grandmother keeps nine chickens behind her house, and a goat.")[0],
            "does not match the script",
        ),
        ("short.wav", spoken("The ferries to the islands.")[0], "does not match the script"),
        ("tone.wav", (9_000 * np.sin(np.arange(72_000) / 9)).astype("<i2").tobytes(), "does not match the script"),
    ):
        with pytest.raises(ChimeraError) as caught:
            say(f"file:{wav(tmp_path / name, pcm)}", 0, tmp_path / "a.wav")
        assert caught.value.code == "VALIDATION_FAILED", name
        assert said in caught.value.message and name in caught.value.message and "expected" in caught.value.message
        assert not (tmp_path / "a.wav").exists()


def test_what_is_no_sound_or_reaches_elsewhere_is_refused(tmp_path: Path) -> None:
    secret = wav(tmp_path / "secret.wav", spoken(LINES[0])[0])
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "list.wav").write_text(f"#EXTM3U\n#EXTINF:3,\nfile://{secret}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.wav").write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    for name in ("text.wav", "empty.wav", "list.wav", "concat.wav"):
        with pytest.raises(ChimeraError) as caught:
            say(f"file:{tmp_path / name}", 0, tmp_path / "a.wav")
        assert caught.value.code == "VALIDATION_FAILED" and name in caught.value.message
        assert str(tmp_path) not in str(caught.value)
    for voice, code in (
        (f"file:{tmp_path}/none.wav", "NOT_FOUND"),
        ("Ada", "VALIDATION_FAILED"),
        ("file:", "VALIDATION_FAILED"),
    ):
        with pytest.raises(ChimeraError) as caught:
            say(voice, 0, tmp_path / "a.wav")
        assert caught.value.code == code


def test_too_long_a_recording_is_refused_before_it_is_all_read(tmp_path: Path) -> None:
    made = ["-f", "lavfi", "-i", "sine=440:d=40", "-c:a", "libmp3lame", "-b:a", "32k", str(tmp_path / "long.mp3")]
    subprocess.run([executable(), "-loglevel", "error", *made], check=True)
    with pytest.raises(ChimeraError) as caught:
        sound.decoded(tmp_path / "long.mp3", name="long.mp3", max_seconds=10)
    assert caught.value.code == "VIDEO_TOO_LONG" and "10 s" in caught.value.message


def test_a_recording_is_the_voice_of_a_whole_video_with_all_its_roles(tmp_path: Path) -> None:
    take = whole(tmp_path / "take.wav")
    chosen = {"narrator": {"provider": "recording", "voice": f"file:{take}"}}
    made = content(tmp_path / "media", lines=LINES, speakers=("host", "guest", "host"), voices=chosen, seconds=60)
    given: dict[str, Any] = {v.name: v for v in (RecordedVoice(), BeepVoice("espeak-ng", 90))}
    speak(made, given, None, breakers=Breakers())  # type: ignore[arg-type]
    found = made.read("audio", "voice.json")
    assert {(s["provider"], s["origin"], s["licence"], s["times"]) for s in found["scenes"]} == {
        ("recording", "person", "the user's own recording", "aligned")
    }
    assert [[w["text"] for w in s["words"]] for s in found["scenes"]] == [line.split() for line in LINES]
    assert speak(made, given, None, breakers=Breakers())["reused"]  # type: ignore[arg-type]
    wav(take, spoken(LINES[0])[0])  # another take under the same name is not the one that was spoken
    with pytest.raises(ChimeraError, match="does not match the script"):
        speak(made, given, None, breakers=Breakers())  # type: ignore[arg-type]
    assert given["espeak-ng"].calls == []


def test_a_recording_comes_from_the_media_store_of_its_own_tenant_only(tmp_path: Path) -> None:
    key = "tenants/t/own/take.wav"
    chosen = {"narrator": {"provider": "recording", "voice": f"key:{key}"}}
    made = content(tmp_path / "media", lines=LINES, voices=chosen)
    made.media.put_file(key, whole(tmp_path / "take.wav"))
    given: dict[str, Any] = {v.name: v for v in (RecordedVoice(), BeepVoice("espeak-ng", 90))}
    speak(made, given, None, breakers=Breakers(), local_files=False)  # type: ignore[arg-type]
    scenes = made.read("audio", "voice.json")["scenes"]
    assert {s["voice"] for s in scenes} == {f"key:{key}"} and {s["provider"] for s in scenes} == {"recording"}
    for voice in (
        "key:tenants/other/own/take.wav",
        "key:tenants/t/../other/take.wav",
        f"file:{tmp_path}/take.wav",
        "/etc/passwd",
    ):
        other = content(tmp_path / "media", lines=LINES, voices={"narrator": {"provider": "recording", "voice": voice}})
        with pytest.raises(ChimeraError) as caught:
            speak(other, given, None, breakers=Breakers(), local_files=False)  # type: ignore[arg-type]
        assert caught.value.code == "VALIDATION_FAILED", voice
