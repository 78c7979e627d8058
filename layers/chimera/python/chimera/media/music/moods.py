"""The moods a bed can have, as data, and the pure rule that picks one from a brief's tone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Pulse = Literal["none", "pluck", "marimba", "keys", "staccato"]
MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
LYDIAN = (0, 2, 4, 6, 7, 9, 11)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
Bar = tuple[float, ...]


@dataclass(frozen=True)
class Mood:
    """One way to sound. Chords are degrees of the scale (0 = tonic), one a bar; rhythms are beats of a bar of four.

    `phrases` are the progressions of the parts A, B and C; `cadence` are the bars before the last chord. Levels are
    linear, 1 = the pad's.
    """

    name: str
    beats_a_minute: tuple[int, int]
    scale: tuple[int, ...]
    root: tuple[int, int]
    phrases: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    cadence: tuple[int, int]
    pulse: Pulse
    arpeggios: tuple[tuple[int, ...], ...]
    bass: Bar
    kick: Bar
    hats: Bar
    sevenths: bool = False
    pad_level: float = 1.0
    pulse_level: float = 0.7
    bass_level: float = 0.8
    drum_level: float = 0.5
    lead_level: float = 0.5
    lead_notes: int = 5


_EIGHTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
_OFFBEATS = (0.5, 1.5, 2.5, 3.5)

MOODS: dict[str, Mood] = {
    mood.name: mood
    for mood in (
        Mood(
            name="calm", beats_a_minute=(66, 76), scale=MAJOR, root=(48, 53),
            phrases=((0, 5, 3, 4), (3, 0, 5, 4), (1, 4, 2, 5)), cadence=(3, 4), pulse="keys",
            arpeggios=((0, 2, 1, 2), (0, 1, 2, 3)), bass=(0.0,), kick=(), hats=(), sevenths=True,
            pulse_level=0.5, bass_level=0.6, drum_level=0.0, lead_level=0.4, lead_notes=3,
        ),
        Mood(
            name="curious", beats_a_minute=(92, 104), scale=LYDIAN, root=(48, 54),
            phrases=((0, 1, 0, 4), (5, 1, 0, 4), (2, 5, 1, 4)), cadence=(1, 4), pulse="marimba",
            arpeggios=((0, 2, 1, 3, 2, 1, 3, 2), (0, 1, 2, 1, 3, 1, 2, 1)), bass=(0.0, 1.5, 2.5), kick=(0.0, 2.0),
            hats=_OFFBEATS, sevenths=True, pad_level=0.7, pulse_level=0.8, drum_level=0.35,
        ),
        Mood(
            name="upbeat", beats_a_minute=(112, 122), scale=MAJOR, root=(50, 55),
            phrases=((0, 4, 5, 3), (3, 4, 0, 5), (5, 3, 0, 4)), cadence=(3, 4), pulse="pluck",
            arpeggios=((0, 1, 2, 3, 2, 3, 1, 2), (3, 2, 1, 2, 0, 2, 1, 2)), bass=(0.0, 0.5, 1.5, 2.0, 3.0, 3.5),
            kick=(0.0, 1.0, 2.0, 3.0), hats=_EIGHTHS, pad_level=0.6, pulse_level=0.8, bass_level=0.9, drum_level=0.7,
            lead_level=0.55, lead_notes=6,
        ),
        Mood(
            name="tense", beats_a_minute=(84, 94), scale=MINOR, root=(45, 50),
            phrases=((0, 0, 5, 0), (0, 3, 5, 4), (5, 6, 3, 4)), cadence=(5, 4), pulse="staccato",
            arpeggios=((0, 0, 1, 0, 0, 0, 2, 0), (0, 0, 0, 1, 0, 0, 1, 0)), bass=(0.0, 2.0), kick=(0.0, 0.5),
            hats=(1.0, 3.0), pad_level=0.9, pulse_level=0.6, bass_level=0.9, drum_level=0.6, lead_level=0.35, lead_notes=3,
        ),
        Mood(
            name="warm", beats_a_minute=(76, 86), scale=MAJOR, root=(47, 52),
            phrases=((0, 2, 3, 4), (5, 2, 3, 0), (1, 2, 3, 4)), cadence=(1, 4), pulse="keys",
            arpeggios=((0, 2, 3, 2, 1, 2, 3, 2), (0, 1, 3, 2, 0, 1, 3, 2)), bass=(0.0, 2.5), kick=(0.0, 2.0),
            hats=(1.0, 3.0), sevenths=True, pad_level=0.8, pulse_level=0.7, drum_level=0.25, lead_level=0.45, lead_notes=4,
        ),
        Mood(
            name="newsroom", beats_a_minute=(104, 112), scale=DORIAN, root=(48, 52),
            phrases=((0, 0, 3, 6), (5, 3, 0, 6), (0, 6, 3, 4)), cadence=(3, 6), pulse="staccato",
            arpeggios=((0, 0, 2, 0, 1, 0, 2, 1), (0, 2, 0, 1, 0, 2, 1, 2)), bass=(0.0, 1.0, 2.0, 3.0), kick=(0.0, 1.5, 2.0),
            hats=_EIGHTHS, pad_level=0.6, pulse_level=0.9, bass_level=0.8, drum_level=0.55, lead_level=0.5,
        ),
    )
}  # fmt: skip
DEFAULT_MOOD = "curious"

# Looked for in this order where two are named equally often; stems, so that "playful" and "playfully" are one.
_SIGNS: dict[str, str] = {
    "tense": "tense tension urgent dramatic dark suspens serious warning ominous gritty intense critical alarm crime",
    "newsroom": "news journal report factual neutral objective formal authorit professional analy business sober newsroom",
    "upbeat": "upbeat energ excit fun playful happy hype bold punchy cheer humor humour funny lively dynamic witty",
    "warm": "warm friendly caring heart hope inspir uplift kind gentle personal empath nostalg human sincere",
    "calm": "calm relax sooth medit slow quiet peace mindful minimal thoughtful reflect serene measured",
    "curious": "curious wonder explor learn science educat explain intrigu insight discover clever",
}


def mood_for(tone: str) -> str:
    """The mood whose signs a tone names most often; a tone that names none is `curious`. Pure: same tone, same mood.

    What stands first counts a little more ("warm and curious" is warm), as people name the main thing first.
    """
    words = re.findall(r"[a-z]+", tone.casefold()[:2_000])
    scores = dict.fromkeys(_SIGNS, 0.0)
    for place, word in enumerate(words):
        for mood, signs in _SIGNS.items():
            if any(word.startswith(sign) for sign in signs.split()):
                scores[mood] += 1.0 + 0.5 / (1 + place)
    best = max(scores, key=lambda mood: scores[mood])
    return best if scores[best] > 0 else DEFAULT_MOOD
