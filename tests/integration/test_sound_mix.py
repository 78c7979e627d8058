"""Music, effects and voice put together, measured by ffmpeg and by our own meter on short mixes."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chimera.adapters.voices.espeak import EspeakVoice
from chimera.domain.options import MUSIC, RunOptions
from chimera.errors import ChimeraError
from chimera.media import audio, effects, loudness, mixing, sound
from chimera.media.models import RenderJob, RenderScene
from chimera.media.music import RATE, Samples, own
from chimera.media.music.bed import from_file, generated
from chimera.media.music.moods import MOODS, mood_for
from chimera.media.music.samples import BLOCK_SAMPLES, Stems, Strip, reader, silence
from chimera.media.music.score import compose, form
from chimera.media.music.synth import perform
from chimera.media.plan import make_plan
from chimera.media.render import render
from chimera.media.tighten import tighten, tighten_file
from chimera_local.world import absolute_music

SECONDS = 11.0
GOLDEN_START = [("pad", 51), ("pad", 55), ("pad", 58), ("pad", 62)]
TEXT = "Voyager one left Earth in nineteen seventy-seven. It is still sending pictures, and nobody expected that."


def write_wav(path: Path, samples: Samples) -> Path:
    data = np.atleast_2d(samples.T).T
    with wave.open(str(path), "wb") as out:
        out.setnchannels(data.shape[1])
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(data, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def tone(seconds: float, hertz: float = 220.0, level: float = 0.3) -> Samples:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.stack([level * np.sin(2 * np.pi * hertz * t)] * 2, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    folder = tmp_path_factory.mktemp("voice")
    EspeakVoice().synthesize(TEXT, out_wav=folder / "a.wav")
    samples = round(SECONDS * RATE)
    polished = audio.polish(audio.voice_track([(0.6, folder / "a.wav")], SECONDS), samples, folder / "voice.raw")
    return polished.read(0, samples)


def music(folder: Path, mood: str, seconds: float, seed: int) -> Stems:
    """A generated bed, read whole."""
    bed, _ = generated(mood, seconds, seed, folder / "bed.raw")
    return bed.read(0, round(seconds * RATE))


# --- music


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("seconds", [0.4, 7.013])
def test_a_piece_fits_its_length_to_the_sample_and_ends_in_silence(mood: str, seconds: float) -> None:
    score = compose(MOODS[mood], seconds, 3)
    stems = perform(score)
    both = stems.ground + stems.lead
    assert both.shape == (round(seconds * RATE), 2) and both.dtype == np.float32
    assert np.abs(both[:2]).max() < 1e-3 and np.abs(both[-2:]).max() < 1e-6
    assert 0.05 < np.abs(both).max() < 1.0
    assert score.last_chord == pytest.approx(seconds - min(2.6, seconds / 3))
    bar = 240 / score.beats_a_minute
    assert score.last_chord / bar == pytest.approx(round(score.last_chord / bar))  # the last chord is on a bar line


@pytest.mark.parametrize("mood", MOODS)
def test_nothing_of_the_ground_stands_where_speech_is_understood(mood: str) -> None:
    ground = perform(compose(MOODS[mood], 6.0, 5)).ground[:, 0]
    energy, hertz = np.abs(np.fft.rfft(ground)) ** 2, np.fft.rfftfreq(len(ground), 1 / RATE)
    share = energy[(hertz > 1_050) & (hertz < 4_000)].sum() / energy.sum()
    assert share < 10**-3.5  # −35 dB
    assert compose(MOODS[mood], 6.0, 5).notes != compose(MOODS[mood], 6.0, 6).notes


def test_the_form_covers_every_bar_once_and_has_a_beginning_and_an_end() -> None:
    for bars in range(1, 200):
        sections = form(bars)
        covered = [bar for s in sections for bar in range(s.first_bar, s.first_bar + s.bars)]
        assert covered == list(range(bars)) and sections[-1].name == "cadence"
        assert len(sections) == 1 or sections[0].name == "intro" or bars < 8
    assert [s.name for s in form(30)] == ["intro", "A", "A", "B", "A", "C", "A", "cadence"]


def test_the_score_is_the_same_on_every_machine() -> None:
    """Notes are made of integers and seconds; the sound of them is only the same on one build of NumPy."""
    score = compose(MOODS["curious"], 20.0, 7)
    assert len(score.notes) == 118 and score == compose(MOODS["curious"], 20.0, 7)
    first = [(n.part, n.pitch) for n in score.notes if n.start == 0]
    assert first == GOLDEN_START


def test_a_bed_read_in_stretches_is_the_piece_on_a_grid_of_16_bits(tmp_path: Path) -> None:
    bed, used = generated("warm", 6.0, 9, tmp_path / "bed.raw")
    whole = perform(compose(MOODS["warm"], 6.0, 9))
    assert used.seed == 9 and used.mood == "warm"
    for first, count in ((0, 6 * RATE), (BLOCK_SAMPLES - 100, 300), (6 * RATE - 50, 100)):
        stems = bed.read(first, count)
        for part, made in ((stems.ground, whole.ground), (stems.lead, whole.lead)):
            wanted = reader(made)(first, count)
            assert part.shape == (count, 2) and np.abs(part - wanted).max() <= 0.51 / 32_767
    with pytest.raises(ChimeraError, match="polka"):
        generated("polka", 2.0, 9, tmp_path / "bed.raw")


def test_what_is_worked_on_in_stretches_is_what_it_would_be_in_one(voice: Samples) -> None:
    """The room rings on over the end of a stretch, effects and music cross it, and nothing is heard twice or not at all."""
    stems = perform(compose(MOODS["calm"], SECONDS, 2))
    sounds = effects.track(((BLOCK_SAMPLES / RATE, "whoosh"), (2 * BLOCK_SAMPLES / RATE - 0.1, "hit")), 2)
    made = mixing.buses(voice, seed=2, stems=stems, effects=sounds.read)
    once = mixing.Room(2)
    halves = np.concatenate([once.add(voice[at : at + 30_000]) for at in range(0, len(voice), 30_000)])
    assert len(voice) > 4 * BLOCK_SAMPLES and np.abs(made.voice - halves).max() < 1e-4
    for first in (1, 2, 3, 4):  # no step where stretches meet, beyond what the sounds themselves do
        at = first * BLOCK_SAMPLES
        for bus in (made.voice, made.bed, made.effects):
            steps = np.abs(np.diff(bus[at - 200 : at + 200], axis=0)).max(axis=1)
            assert steps[199] <= steps.max() + 1e-7 and steps[199] < 0.2
    whole = sounds.read(0, len(voice))
    parts = np.concatenate([sounds.read(at, min(5_000, len(voice) - at)) for at in range(0, len(voice), 5_000)])
    assert np.array_equal(whole, parts) and whole.any()


def test_voices_are_laid_at_their_times_and_cut_where_the_next_begins(tmp_path: Path) -> None:
    first, second = (write_wav(tmp_path / f"{n}.wav", tone(2.0, hertz)) for n, hertz in ((0, 200.0), (1, 300.0)))
    pieces = list(audio.voice_track([(0.5, first), (1.5, second)], 3.0))
    track = np.concatenate(pieces)
    assert len(track) == 3 * RATE and max(map(len, pieces)) <= RATE
    assert not track[: RATE // 2].any()
    one, two = (audio.decode(path) for path in (first, second))
    assert np.array_equal(track[RATE // 2 : RATE * 3 // 2], one[:RATE]) and np.array_equal(
        track[RATE * 3 // 2 :], two[: RATE * 3 // 2]
    )
    assert audio.length(first) == pytest.approx(2.0, abs=1e-4)


@pytest.mark.parametrize(
    ("tone_", "mood"),
    [
        ("clear and curious; voice: clear; for general", "curious"), ("", "curious"), ("xyzzy", "curious"),
        ("warm and friendly", "warm"), ("Urgent, dramatic", "tense"), ("energetic fun", "upbeat"),
        ("calm, thoughtful", "calm"), ("factual news report", "newsroom"), ("PROFESSIONAL", "newsroom"),
    ],
)  # fmt: skip
def test_the_tone_of_the_brief_picks_the_mood(tone_: str, mood: str) -> None:
    assert mood_for(tone_) == mood == mood_for(tone_)


# --- mixing


def test_our_meter_agrees_with_ffmpegs(voice: Samples, tmp_path: Path) -> None:
    stereo = np.stack([voice, voice], axis=1)
    for samples in (stereo, tone(4.0), tone(4.0, 3_000.0, 0.1)):
        measured = audio.measure_file(write_wav(tmp_path / "a.wav", samples)).integrated
        assert loudness.integrated(samples) == pytest.approx(measured, abs=0.3)
    assert loudness.integrated(silence(2.0)) is None


@pytest.mark.parametrize("mood", ["upbeat", "calm"])
def test_the_bed_is_at_least_15_lu_below_the_voice_while_it_speaks_and_up_in_the_pause(
    voice: Samples, mood: str, tmp_path: Path
) -> None:
    stems = music(tmp_path, mood, SECONDS, 2)
    buses = mixing.buses(voice, seed=2, stems=stems, effects=None)
    blocks = len(voice) // loudness.BLOCK
    spoken = mixing.speaking(voice)[: blocks * 10].reshape(blocks, 10).mean(axis=1) >= 0.5
    said, bed = loudness.powers(buses.voice)[:blocks], loudness.powers(buses.bed)[:blocks]
    assert loudness.lufs(said[spoken].mean()) - loudness.lufs(bed[spoken].mean()) >= 15
    end = slice(round(SECONDS * 10) - 20, round(SECONDS * 10) - 8)  # after the last word
    assert not spoken[end].any()
    assert loudness.lufs(bed[end].mean()) > loudness.lufs(bed[spoken].mean()) + 4
    active = np.repeat(mixing.speaking(voice), RATE // 100)[: len(voice)] > 0
    # what plays only in pauses is silent while somebody speaks
    quiet = mixing.buses(voice, seed=2, stems=Stems(silence(SECONDS) + 1e-6, stems.lead), effects=None).bed
    assert np.abs(quiet[active]).max() < 1e-3


def test_a_master_is_at_minus_14_under_the_ceiling_and_the_same_bytes_twice(voice: Samples, tmp_path: Path) -> None:
    stems = music(tmp_path, "newsroom", SECONDS, 4)
    sounds = effects.track(((3.0, "whoosh"), (5.0, "tick"), (8.2, "hit")), 4)
    mixed = mixing.buses(voice, seed=4, stems=stems, effects=sounds.read).mixed()
    assert mixed.shape == (round(SECONDS * RATE), 2) and np.abs(mixed).max() < 1.0
    strip = Strip.written(tmp_path / "mix.raw", [mixed], channels=2)
    for name in ("a.m4a", "b.m4a"):
        audio.master(strip, loudness.powers(mixed), tmp_path / name)
    found = audio.measure_file(tmp_path / "a.m4a")
    assert found.integrated == pytest.approx(-14, abs=0.5)
    assert found.true_peak is not None and found.true_peak <= -1
    assert (tmp_path / "a.m4a").read_bytes() == (tmp_path / "b.m4a").read_bytes()


def test_without_a_voice_the_bed_is_heard_and_without_a_bed_only_the_voice(voice: Samples, tmp_path: Path) -> None:
    stems = music(tmp_path, "calm", 3.0, 1)
    alone = mixing.buses(np.zeros(3 * RATE, dtype=np.float32), seed=1, stems=stems, effects=None)
    assert np.abs(alone.bed).max() > 0.01 and not alone.voice.any()
    bare = mixing.buses(voice, seed=1, stems=None, effects=None)
    assert not bare.bed.any() and not bare.effects.any()


# --- effects


def test_effects_stand_at_their_times_and_never_click() -> None:
    for name in ("whoosh", "tick", "hit"):
        sound = effects.make(name, 3)
        assert np.abs(sound).max() == pytest.approx(1, abs=1e-3)
        assert np.abs(sound[0]).max() < 0.02 and np.abs(sound[-1]).max() < 0.02
        assert np.abs(np.diff(sound, axis=0)).max() < 0.5
    track = effects.track(((2.0, "whoosh"), (0.0, "whoosh"), (3.99, "hit")), 3).read(0, 4 * RATE)
    with pytest.raises(ChimeraError, match="no effect 'boom'"):
        effects.track(((2.0, "boom"),), 3)
    power = np.convolve((track[RATE:] ** 2).sum(axis=1), np.ones(2_400), mode="same")
    assert (np.argmax(power[: 2 * RATE]) / RATE + 1) == pytest.approx(2.0, abs=0.15)


def test_effects_are_chosen_by_what_comes_and_some_cuts_rest() -> None:
    chosen = effects.choose(("title", "text", "number", "text", "text", "text", "outro"), 5)
    assert chosen[0] is None and chosen[2] == "tick" and chosen[-1] == "hit"
    assert {"whoosh", None} == {chosen[i] for i in (1, 3, 4, 5)}


# --- the user's own music


def test_own_music_is_looped_without_a_step_and_set_to_one_level(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "loop.wav", tone(4.0, 221.3, 0.02))
    bed, used = from_file(path, 11.5, tmp_path / "bed.raw")
    stems = bed.read(0, round(11.5 * RATE))
    assert bed.strip.samples == round(11.5 * RATE) and not stems.lead.any()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bed.raw", "loop.wav"], "nothing else is left"
    assert used.origin == "person" and len(used.sha256) == 64 and used.name == "loop.wav"
    slope = np.abs(np.diff(stems.ground, axis=0)).max()
    peak = np.abs(stems.ground).max()
    assert slope <= 2 * np.pi * 221.3 / RATE * peak * 1.6  # no steeper than the tone itself: no click where it repeats
    strip, gain, _ = own.load(path, tmp_path / "own.raw")
    assert loudness.integrated(strip.read(0, strip.samples) * np.float32(gain)) == pytest.approx(
        own.LEVEL_LUFS, abs=0.1
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", "none of WAV"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "none of WAV"),
        (b"RIFF\x00\x00\x00\x00WAVEjunk", "cannot be"),
        (b"ID3" + b"\x00" * 400, "cannot be"),
        (b"", "none of WAV"),
    ],
)
def test_what_is_no_music_is_refused_by_its_bytes(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "song.mp3").write_bytes(content)
    with pytest.raises(ChimeraError, match=why) as refused:
        own.load(tmp_path / "song.mp3", tmp_path / "own.raw")
    assert refused.value.code == "VALIDATION_FAILED" and "song.mp3" in refused.value.message


def test_silent_short_and_missing_music_is_refused(tmp_path: Path) -> None:
    for name, samples, why in (("s.wav", silence(2.0), "silent"), ("t.wav", tone(0.5), "at least 1 s")):
        with pytest.raises(ChimeraError, match=why):
            own.load(write_wav(tmp_path / name, samples), tmp_path / "own.raw")
    with pytest.raises(ChimeraError) as gone:
        own.load(tmp_path / "gone.mp3", tmp_path / "own.raw")
    assert gone.value.code == "NOT_FOUND"


# --- pauses


def envelope(samples: Samples) -> Samples:
    """The level of each 10 ms, smoothed over 50 ms."""
    blocks = np.abs(samples[: len(samples) // 480 * 480]).reshape(-1, 480).mean(axis=1)
    return np.convolve(blocks, np.ones(5) / 5, mode="same").astype(np.float32)


def test_pauses_are_cut_and_words_move_with_the_sound(tmp_path: Path) -> None:
    spoken = EspeakVoice().synthesize("It rose. It fell, then nothing.", speed_wpm=110, out_wav=tmp_path / "a.wav")
    before = audio.decode(tmp_path / "a.wav")
    cut = tighten_file(tmp_path / "a.wav", spoken)
    after = audio.decode(tmp_path / "a.wav")
    assert cut.duration_seconds < spoken.duration_seconds - 0.1
    assert len(after) / RATE == pytest.approx(cut.duration_seconds, abs=0.002)
    assert [w.text for w in cut.words] == [w.text for w in spoken.words]
    assert all(a.start <= b.start and a.end <= cut.duration_seconds + 0.001 for a, b in pairwise(cut.words))
    for old, new in zip(spoken.words, cut.words, strict=True):  # what is heard at a word is what was heard there
        a, b = (envelope(x)[round(w.start * 100) : round(w.start * 100) + 12] for x, w in ((before, old), (after, new)))
        size = min(len(a), len(b))
        assert np.abs(a[:size] - b[:size]).max() < 0.35 * max(a.max(), b.max())
    again = tighten_file(tmp_path / "a.wav", cut)
    assert again == cut


def test_a_pause_is_left_at_its_setting_and_a_seam_does_not_click() -> None:
    rate = 16_000
    t = np.arange(rate) / rate
    loud = (0.5 * np.sin(2 * np.pi * 200 * t)).astype(np.float32)
    samples = np.concatenate([loud, np.full(rate, 0.001, np.float32), loud])
    out, _ = tighten(samples, rate, (), inside=0.2)
    assert len(out) / rate == pytest.approx(2.2, abs=0.015)
    assert np.abs(np.diff(out)).max() <= np.abs(np.diff(samples)).max() + 1e-6
    assert tighten(out, rate, (), inside=0.2)[0] is out
    with pytest.raises(ChimeraError, match=r"0\.02"):
        tighten(samples, rate, (), inside=0.0)


def test_the_music_is_the_same_in_another_process() -> None:
    code = (
        "from chimera.media.music.synth import perform; from chimera.media.music.score import compose; import hashlib;"
        "from chimera.media.music.moods import MOODS; s = perform(compose(MOODS['tense'], 1.5, 3));"
        "print(hashlib.sha256(s.ground.tobytes() + s.lead.tobytes()).hexdigest())"
    )
    found = {subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout for _ in range(2)}
    assert len(found) == 1


# --- options


def test_a_run_may_ask_for_every_mood_and_for_nothing_else() -> None:
    assert set(MUSIC) == {"", "auto", "off", *MOODS}
    assert RunOptions(music="file:/a.mp3").music == "file:/a.mp3"
    for wrong in ("polka", "file:", "/a.mp3", "file:a\0b"):
        with pytest.raises(ValueError, match=r"expected (auto, off|text without NUL)"):
            RunOptions(music=wrong)


def test_a_file_on_the_command_line_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp3").touch()
    assert absolute_music("a.mp3") == f"file:{tmp_path.resolve()}/a.mp3"
    assert [absolute_music(word) for word in ("", "off", "warm")] == ["", "off", "warm"]
    with pytest.raises(ChimeraError, match=r"--music gone\.mp3"):
        absolute_music("gone.mp3")


def test_a_lexicon_changes_what_is_heard_and_not_what_is_shown(tmp_path: Path) -> None:
    text = "Xiaomi met Nguyen in 2026."
    plain = EspeakVoice().synthesize(text, out_wav=tmp_path / "a.wav")
    taught = EspeakVoice().synthesize(
        text, out_wav=tmp_path / "b.wav", lexicon={"Xiaomi": "/ˈʃaʊmi/", "Nguyen": "[[wIn]]"}
    )
    assert [w.text for w in taught.words] == [w.text for w in plain.words] == text.split()
    assert taught.duration_seconds < plain.duration_seconds - 0.1
    assert taught.words[2].end - taught.words[2].start < plain.words[2].end - plain.words[2].start
    with pytest.raises(ChimeraError, match="lexicon entry"):
        EspeakVoice().synthesize(text, out_wav=tmp_path / "c.wav", lexicon={"Xiaomi": "<x>"})


@pytest.mark.parametrize("asked", ["file", "off", "tense"])
def test_a_render_says_what_is_heard_in_it(tmp_path: Path, asked: str) -> None:
    scenes = tuple(RenderScene(narration=f"Thing {i}", on_screen_text=text) for i, text in enumerate(("One", "42 %")))
    more: dict[str, Any] = {"music": asked}
    if asked == "file":
        more = {"music_file": write_wav(tmp_path / "mine.wav", tone(2.0))}
    job = RenderJob(title="T", scenes=scenes, height="360p", fps=24, quality_preset="draft", **more)
    result = render(job, tmp_path / "work")
    beds = [(use["name"].split(",")[0], use["origin"]) for use in result.music if use["kind"] == "music"]
    assert beds == {"file": [("mine.wav", "person")], "off": [], "tense": [("tense", "algorithm")]}[asked]
    assert asked == "off" or result.loudness_lufs == pytest.approx(-14, abs=0.5)
    assert (result.loudness_lufs is None) == (asked == "off") and (not result.music) == (asked == "off")
    assert len(audio.decode(result.video)) / RATE == pytest.approx(result.duration_seconds, abs=0.05)


def test_sound_needs_no_more_memory_for_a_longer_video(tmp_path: Path) -> None:
    """Stereo at 48 kHz is 23 MB a minute in each of a dozen steps, were it held whole."""
    peaks = []
    for seconds in (20.0, 50.0):
        voice = write_wav(tmp_path / "voice.wav", tone(seconds - 2.0)[:, 0])
        scene = RenderScene(narration="Hm", audio=voice, layers=())
        job = RenderJob(title="T", scenes=(scene,), height="360p", fps=24, music="calm")
        timeline = make_plan(job, "x264").timeline
        tracemalloc.start()
        found, _ = sound.make(timeline, tmp_path / "sound.m4a")
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
        assert found.integrated == pytest.approx(-14, abs=0.5)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["sound.m4a", "voice.wav"], "no scratch file is left"
    assert peaks[1] - peaks[0] < 3.2, peaks


def test_a_sound_is_made_once_and_again_when_what_it_is_made_of_changes(tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", tone(1.0)[:, 0])
    scene = RenderScene(narration="Hm", audio=voice, layers=())
    job = RenderJob(title="T", scenes=(scene,), height="360p", fps=24, music="calm")
    folder = tmp_path / "sound"
    path, found, used = sound.kept(make_plan(job, "x264").timeline, folder)
    made = path.read_bytes()
    other_text = job.model_copy(update={"title": "Another"})
    os.utime(path, ns=(1, 1))
    assert sound.kept(make_plan(other_text, "x264").timeline, folder) == (path, found, used)
    assert path.read_bytes() == made and len(list(folder.iterdir())) == 2
    path.with_suffix(".json").write_text("{")  # cut off by a crash
    (folder / "x.making.mix.raw").write_bytes(b"left behind by a kill")
    assert sound.kept(make_plan(job, "x264").timeline, folder) == (path, found, used)
    assert not list(folder.glob("*.making*"))
    write_wav(voice, tone(1.0, 300.0)[:, 0])
    assert sound.kept(make_plan(job, "x264").timeline, folder)[0] != path
    for seed in range(1, 5):
        latest, *_ = sound.kept(make_plan(job.model_copy(update={"seed": seed}), "x264").timeline, folder)
    assert len(list(folder.glob("*.m4a"))) == len(list(folder.glob("*.json"))) == 4 and latest.exists()
