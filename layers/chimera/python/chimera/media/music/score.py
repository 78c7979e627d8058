"""Writes a piece: form, chords, rhythm and melody as notes that fit a length exactly. Pure; no sound is made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from chimera.media.music.moods import Mood
from chimera.media.theme import seeded

Part = Literal["pad", "pulse", "bass", "kick", "hat", "lead"]
BEATS = 4
_RING_SECONDS = 2.6  # how long the last chord may ring
_SHORTEST = 0.05


@dataclass(frozen=True)
class Note:
    """One sound: when it starts and how long it is held (seconds), its MIDI pitch, loudness and place (0 left, 1 right)."""

    part: Part
    start: float
    seconds: float
    pitch: int
    velocity: float = 1.0
    pan: float = 0.5


@dataclass(frozen=True)
class Section:
    """A stretch of bars: `intro`, `A`, `B`, `C` (phrases of four bars), `cadence` or `end` (the last chord)."""

    name: str
    first_bar: int
    bars: int


@dataclass(frozen=True)
class Score:
    """A whole piece. The last chord begins at `last_chord`, so that it has rung out at `seconds`."""

    mood: Mood
    seconds: float
    beats_a_minute: float
    root: int
    last_chord: float
    sections: tuple[Section, ...]
    notes: tuple[Note, ...]


def form(bars: int) -> tuple[Section, ...]:
    """Divides bars into an intro, phrases (A A B A C A …) and a cadence; what does not fill a phrase is intro."""
    if bars <= 0:
        return ()
    cadence = 2 if bars >= 4 else 1
    left = bars - cadence
    intro = left % 4 if left % 4 or left < 8 else 4
    sections = [Section("intro", 0, intro)] if intro else []
    names = ("A", "A", "B", "A", "C", "A")
    for number in range((left - intro) // 4):
        sections.append(Section(names[number % len(names)], intro + number * 4, 4))
    sections.append(Section("cadence", bars - cadence, cadence))
    return tuple(sections)


def compose(mood: Mood, seconds: float, seed: int) -> Score:
    """A piece of exactly `seconds` (> 0). The tempo gives way a little so that whole bars end on the last chord."""
    rng = np.random.default_rng(seeded(seed, "music", mood.name))
    wanted = float(rng.integers(mood.beats_a_minute[0], mood.beats_a_minute[1] + 1))
    root = int(rng.integers(mood.root[0], mood.root[1] + 1))
    ring = min(_RING_SECONDS, seconds / 3)
    last_chord = seconds - ring
    bars = max(round(last_chord / (BEATS * 60 / wanted)), 1)
    bar = last_chord / bars
    writer = _Writer(mood, root, bar, rng)
    sections = form(bars)
    for number, section in enumerate(sections):
        writer.section(section, number)
    writer.last_chord(last_chord, ring)
    notes = tuple(sorted(writer.notes, key=lambda n: (n.start, n.part, n.pitch)))
    end = Section("end", bars, 1)
    return Score(mood, seconds, BEATS * 60 / bar, root, last_chord, (*sections, end), notes)


class _Writer:
    """Writes the notes of one piece, part by part."""

    def __init__(self, mood: Mood, root: int, bar: float, rng: np.random.Generator) -> None:
        self.mood, self.root, self.bar, self.beat = mood, root, bar, bar / BEATS
        self.notes: list[Note] = []
        self._patterns = [mood.arpeggios[int(i)] for i in rng.permutation(len(mood.arpeggios))]
        # one motif for the whole piece: eighths of two bars and steps; phrases repeat, turn over or answer it
        self._rhythm = sorted(int(i) for i in rng.choice(14, size=mood.lead_notes, replace=False))
        self._contour = [int(i) for i in rng.integers(-2, 4, size=mood.lead_notes)]

    def section(self, section: Section, number: int) -> None:
        """Writes one section; layers come and go with the form, so that no four bars are like the four before."""
        phrase = {"A": 0, "B": 1, "C": 2}.get(section.name, 0)
        chords = self.mood.cadence[-section.bars :] if section.name == "cadence" else self.mood.phrases[phrase]
        for offset in range(section.bars):
            index, degree = section.first_bar + offset, chords[offset % len(chords)]
            start, tones = index * self.bar, self.chord(degree)
            last_of_phrase = offset == section.bars - 1
            self._pad(start, tones)
            busy = section.name in "ABC" and len(section.name) == 1
            if busy or section.name == "cadence" or offset >= 1:
                self._pulse(start, tones, self._patterns[(number // 2) % len(self._patterns)], answer=last_of_phrase)
            if busy or section.name == "cadence":
                self._bass(start, tones[0] - 12, simple=section.name == "cadence")
            if busy and section.name != "C":
                self._drums(start, fill=last_of_phrase, hats=section.name == "B" or number % 2 == 0)
        if section.name in {"A", "B", "C", "intro"} and section.bars >= 2:
            self._lead(section, chords, turned=section.name == "B", varied=number % 2 == 1)

    def last_chord(self, start: float, seconds: float) -> None:
        """The tonic, rung out at the end."""
        tones = self.chord(0)
        self._pad(start, tones, seconds)
        self.notes.append(Note("bass", start, seconds, tones[0] - 12, 0.9))
        for place, tone in enumerate(tones):
            self.notes.append(Note("pulse", start + place * 0.03, seconds, tone, 0.7, 0.35 + 0.1 * place))
        self.notes.append(Note("lead", start, seconds, self.root + 24, 0.6))

    def chord(self, degree: int) -> tuple[int, ...]:
        """Pitches of the chord on a degree of the scale, folded into one octave and a half above the root."""
        steps = (0, 2, 4, 6) if self.mood.sevenths else (0, 2, 4, 7)
        low, *rest = [self.pitch(degree + step) for step in steps]
        low -= 12 if low > self.root + 7 else 0
        return (low, *sorted(tone - 12 if tone > self.root + 16 else tone for tone in rest))

    def pitch(self, degree: int) -> int:
        """A degree of the scale (any octave) as a MIDI pitch."""
        octave, step = divmod(degree, len(self.mood.scale))
        return self.root + 12 * octave + self.mood.scale[step]

    def _pad(self, start: float, tones: tuple[int, ...], seconds: float | None = None) -> None:
        for place, tone in enumerate(tones):
            self.notes.append(Note("pad", start, seconds or self.bar, tone, 1.0, 0.2 + 0.6 * place / (len(tones) - 1)))

    def _pulse(self, start: float, tones: tuple[int, ...], pattern: tuple[int, ...], *, answer: bool) -> None:
        if self.mood.pulse == "none":
            return
        step = self.bar / len(pattern)
        for place, choice in enumerate(reversed(pattern) if answer else pattern):
            pitch = tones[choice % len(tones)] + (12 if tones[choice % len(tones)] < self.root + 5 else 0)
            accent = 1.0 if place % 4 == 0 else 0.72
            self.notes.append(Note("pulse", start + place * step, step, pitch, accent, 0.32 if place % 2 else 0.68))

    def _bass(self, start: float, pitch: int, *, simple: bool) -> None:
        beats = self.mood.bass[:1] if simple else self.mood.bass
        for beat, following in zip(beats, (*beats[1:], float(BEATS)), strict=True):
            self.notes.append(Note("bass", start + beat * self.beat, (following - beat) * self.beat, pitch))

    def _drums(self, start: float, *, fill: bool, hats: bool) -> None:
        for beat in self.mood.kick:
            self.notes.append(Note("kick", start + beat * self.beat, 0.3, 36))
        if hats:
            for beat in (*self.mood.hats, *((3.25, 3.75) if fill and self.mood.hats else ())):
                accent = 1.0 if beat % 1 else 0.7
                self.notes.append(Note("hat", start + beat * self.beat, 0.08, 90, accent, 0.62))

    def _lead(self, section: Section, chords: tuple[int, ...], *, turned: bool, varied: bool) -> None:
        """The motif over each two bars: as it is, turned over in B, with another ending when it comes again."""
        eighth = self.beat / 2
        for first in range(0, section.bars - 1, 2):
            for place, (when, step) in enumerate(zip(self._rhythm, self._contour, strict=True)):
                bar = first + when // 8
                tone = chords[bar % len(chords)] + 2 * ((-step if turned else step) // 2)
                tone += 1 if varied and first and place == len(self._rhythm) - 1 else 0
                pitch = self.pitch(tone) + 12
                while pitch < self.root + 14:
                    pitch += 12
                while pitch > self.root + 33:
                    pitch -= 12
                start = (section.first_bar + first) * self.bar + when * eighth
                velocity = 0.8 if when % 2 else 1.0
                self.notes.append(Note("lead", start, max(eighth * 1.6, _SHORTEST), pitch, velocity, 0.42))
