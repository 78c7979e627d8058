"""Captions held against sound: the cues' starts, and speech that no cue stands under."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from chimera.media.speech import channel_levels, hold_against_captions

RATE = 8_000
CUES = [(1.0, 3.0, "one"), (3.0, 4.5, "two"), (5.5, 8.0, "three")]


def spoken(*stretches: tuple[float, float], seconds: float = 10.0, bed: float = 0.0) -> NDArray[np.int16]:
    """Noise like speech in these stretches, over a quiet noise all the time; stereo."""
    random = np.random.default_rng(1)
    time = np.arange(round(seconds * RATE)) / RATE
    loud = np.full(len(time), bed)
    for start, end in stretches:
        loud[(time >= start) & (time < end)] = 0.3 * 1.0
    sound = random.standard_normal(len(time)) * loud * (0.8 + 0.2 * np.sin(2 * np.pi * 4 * time))
    return np.repeat((sound.clip(-1, 1) * 32767).astype(np.int16)[:, None], 2, axis=1)


VOICE = ((1.0, 4.5), (5.5, 8.0))


@pytest.mark.parametrize("bed", [0.0, 0.03, 0.1])  # up to 9.5 dB under the voice
def test_captions_in_time_are_found_in_time_over_any_bed(bed: float) -> None:
    found = hold_against_captions(spoken(*VOICE, bed=bed), RATE, CUES)
    assert found["captions_off_seconds"] <= 0.05 and found["longest_uncaptioned_seconds"] <= 0.3


@pytest.mark.parametrize("bed", [0.0, 0.01])
def test_a_word_that_begins_softly_begins_with_its_first_sound(bed: float) -> None:
    sound = spoken(*VOICE, bed=bed)
    for start, _ in VOICE:  # an unstressed syllable 12 dB down, the closure of a stop, and only then the loud vowel
        first, closure, vowel = (round((start + t) * RATE) for t in (0.0, 0.12, 0.16))
        sound[first:closure] //= 4
        sound[closure:vowel] //= 100
    found = hold_against_captions(sound, RATE, CUES)
    assert found["captions_off_seconds"] <= 0.03
    late = [(start + 0.2, end + 0.2, text) for start, end, text in CUES]
    assert hold_against_captions(sound, RATE, late)["captions_off_seconds"] >= 0.17


def test_an_effect_just_before_a_word_is_not_its_beginning() -> None:
    sound = spoken(*VOICE, bed=0.01)
    for start, _ in VOICE:
        peak = round((start - 0.2) * RATE)
        sound[peak : peak + round(0.02 * RATE)] = sound[round(1.5 * RATE) :][: round(0.02 * RATE)]
    assert hold_against_captions(sound, RATE, CUES)["captions_off_seconds"] <= 0.03


@pytest.mark.parametrize("seconds", [-0.4, 0.2, 0.4])
def test_a_shift_is_measured(seconds: float) -> None:
    moved = [(start + seconds, end + seconds, text) for start, end, text in CUES]
    found = hold_against_captions(spoken(*VOICE), RATE, moved)
    assert found["captions_off_seconds"] == pytest.approx(abs(seconds), abs=0.05)


def test_speech_without_a_cue_is_measured() -> None:
    found = hold_against_captions(spoken(*VOICE), RATE, CUES[:2])
    assert found["longest_uncaptioned_seconds"] == pytest.approx(2.5, abs=0.4)
    assert found["captions_off_seconds"] <= 0.05


def test_a_cue_that_touches_the_one_before_is_not_held_against_a_pause() -> None:
    assert (
        hold_against_captions(spoken((1.0, 4.5)), RATE, [(1.0, 2.9, "a"), (2.9, 4.5, "b")])["captions_off_seconds"]
        <= 0.05
    )


@pytest.mark.parametrize("sound", [spoken(), np.zeros((0, 2), np.int16), spoken(*VOICE)[:100]])
def test_where_nobody_speaks_nothing_is_known(sound: NDArray[np.int16]) -> None:
    found = hold_against_captions(sound, RATE, CUES)
    assert found == {"captions_off_seconds": None, "longest_uncaptioned_seconds": None}


def test_levels_of_the_channels_are_compared() -> None:
    sound = spoken(*VOICE)
    assert channel_levels(sound) == {"channel_difference_db": 0.0}
    quiet, dead = sound.copy(), sound.copy()
    quiet[:, 1] //= 2
    dead[:, 0] = 0
    assert channel_levels(quiet)["channel_difference_db"] == pytest.approx(6.0, abs=0.1)
    assert channel_levels(dead)["channel_difference_db"] > 60
    assert channel_levels(sound[:0]) == {"channel_difference_db": None}
