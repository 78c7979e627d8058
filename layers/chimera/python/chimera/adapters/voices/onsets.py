"""Where speech begins and ends in a sound: mends the times of aligned words at pauses, and guesses times where none are known."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Span = tuple[float, float]

_HOP_SECONDS = 0.005
_BELOW_PEAK = 10 ** (-38 / 20)
_ABOVE_FLOOR = 10 ** (10 / 20)
_NEAR_SECONDS = 0.03
_CLAUSE_SECONDS = 0.12
PAUSE_SECONDS = 0.09
"""Shorter silences are closures of stops inside words."""
_VOWELS = re.compile(r"[aeiouyäöüàáâãåæèéêëìíîïòóôõøùúûœаеёиоуыэюяαεηιουω]+", re.I)
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "؟", "।")
_CLOSERS = "\"'”’»)]"
_CLAUSE_ENDS = (*_SENTENCE_ENDS, ",", ";", ":", "，", "、", "；", "：", "،")
SILENT_PEAK = 10 ** (-50 / 20) * 32_768


def is_silent(samples: Samples, rate: int) -> bool:
    """Whether nothing in 16-bit samples is louder than −50 dBFS for 50 ms in all."""
    peaks, _ = _envelope(samples, rate)
    return int(np.count_nonzero(peaks > SILENT_PEAK)) < 10


def pauses(samples: Samples, rate: int) -> list[Span]:
    """Silences of at least 90 ms between sounds, and the ones at both ends, as (start, end) in seconds.

    Silent is what is 38 dB under the loudest and no more than 10 dB over the quietest tenth (a room's noise).
    """
    peaks, hop = _envelope(samples, rate)
    if not len(peaks):
        return []
    loudest = float(np.percentile(peaks, 99))
    floor = float(np.percentile(peaks, 10)) * _ABOVE_FLOOR
    quiet = peaks <= min(max(loudest * _BELOW_PEAK, floor), loudest * 0.1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    end = len(samples) / rate
    spans = [(float(a) * hop, end if b == len(peaks) else float(b) * hop) for a, b in edges.reshape(-1, 2)]
    return [(a, b) for a, b in spans if b - a >= PAUSE_SECONDS or a == 0 or b == end]


def mended(times: Sequence[Span], silences: Sequence[Span], duration: float) -> list[Span]:
    """Times with no word in a pause: one that spans a pause begins after it or ends before it, where more of it is.

    The times stay in order and within the sound.
    """
    spans = [[min(max(a, 0.0), duration), min(max(b, 0.0), duration)] for a, b in times]
    for low, high in silences:
        for span in spans:
            if span[1] <= low or span[0] >= high:
                continue
            before, after = max(low - span[0], 0.0), max(span[1] - high, 0.0)
            if not before and not after:
                continue  # said so softly that it counts as silence
            if after >= before:
                span[0] = high
            else:
                span[1] = low
    out: list[Span] = []
    last = 0.0
    for start, end in spans:
        start = max(start, last)
        last = start
        out.append((start, max(end, start)))
    bounded = [(a, min(b, c)) for (a, b), (c, _) in pairwise(out)]
    return [*bounded, *out[-1:]]


def parted(times: Sequence[Span], silences: Sequence[Span], ends: Sequence[bool]) -> list[Span]:
    """Times where what follows the end of a clause (`ends`) is not said before the pause that belongs there.

    Recognisers like to put a short first word ("A", "It") on the last breath of the clause before it.
    """
    out = list(times)
    for index in range(len(out) - 1):
        if not ends[index] or ends[index + 1]:
            continue
        (_, left), (start, end) = out[index], out[index + 1]
        if any(high > left - _NEAR_SECONDS and high <= start + _NEAR_SECONDS for _, high in silences):
            continue  # the pause is between them
        found = [
            (a, b)
            for a, b in silences
            if start - _NEAR_SECONDS <= a <= end + _NEAR_SECONDS and b - a >= _CLAUSE_SECONDS
        ]
        if not found:
            continue
        low, high = found[0]
        own = max(end - start, 0.05)
        if index + 2 < len(out):
            after, limit = out[index + 2]
            share = own / (own + max(limit - after, 0.05))
            seam = high + max(share * (limit - high), 0.0)
            out[index + 2] = (max(after, seam), max(limit, seam))
        else:
            seam = high + own
        out[index] = (out[index][0], max(low, out[index][0]))
        out[index + 1] = (high, seam)
    return out


def guessed(words: Sequence[str], samples: Samples, rate: int) -> list[Span]:
    """Times in proportion to the syllables of each word, over the parts of the sound that are not silent.

    Clauses are laid on the stretches between pauses where there are as many, else sentences on what is between the longest
    pauses.
    """
    duration = len(samples) / rate
    loud = _between(pauses(samples, rate), duration)
    if not words or not loud:
        return [(0.0, duration)] * len(words)
    groups = _ended(words, _CLAUSE_ENDS)
    if len(groups) == len(loud):
        stretches = [[one] for one in loud]
    else:
        groups = _ended(words, _SENTENCE_ENDS)
        if len(groups) > len(loud):
            groups = [list(range(len(words)))]
        stretches = _parted(loud, len(groups))
    out: list[Span] = [(0.0, 0.0)] * len(words)
    for group, parts in zip(groups, stretches, strict=True):
        weights = np.array([syllables(words[i]) for i in group], dtype=float)
        marks = np.concatenate([[0.0], np.cumsum(weights)]) / max(float(weights.sum()), 1e-9)
        lengths = np.concatenate([[0.0], np.cumsum([b - a for a, b in parts])])
        for at, index in enumerate(group):
            start = _on(parts, lengths, marks[at] * lengths[-1], after=True)
            out[index] = (start, max(_on(parts, lengths, marks[at + 1] * lengths[-1], after=False), start))
    return out


def _parted(loud: Sequence[Span], count: int) -> list[list[Span]]:
    """The stretches in `count` groups, parted at the longest pauses."""
    gaps = sorted(range(len(loud) - 1), key=lambda i: loud[i][1] - loud[i + 1][0])[: count - 1]
    edges = [0, *(i + 1 for i in sorted(gaps)), len(loud)]
    return [list(loud[a:b]) for a, b in pairwise(edges)]


def syllables(word: str) -> float:
    """About how long a word takes to say: its groups of vowels, its ideographs, its other letters by three; 0 if silent."""
    ideographs = sum(unicodedata.name(c, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL")) for c in word)
    if ideographs:
        return float(ideographs)
    letters = [c for c in word if c.isalpha()]
    digits = sum(c.isdigit() for c in word)
    vowels = len(_VOWELS.findall(word))
    return (vowels or (max(len(letters) / 2.5, 1.0) if letters else 0.0)) + 1.5 * digits


def ends_clause(word: str) -> bool:
    """Whether a written word is the last of its clause or sentence."""
    return word.rstrip(_CLOSERS).endswith(_CLAUSE_ENDS)


def _ended(words: Sequence[str], marks: tuple[str, ...]) -> list[list[int]]:
    """The words' indices, a new list after each word that ends with one of the marks."""
    groups: list[list[int]] = [[]]
    for index, word in enumerate(words):
        groups[-1].append(index)
        if word.rstrip(_CLOSERS).endswith(marks):
            groups.append([])
    return [group for group in groups if group]


def _between(silences: Sequence[Span], duration: float) -> list[Span]:
    edges = [0.0, *(t for span in silences for t in span), duration]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > _HOP_SECONDS]


def _on(parts: Sequence[Span], lengths: npt.NDArray[np.float64], at: float, *, after: bool) -> float:
    """The moment at which `at` seconds of the parts have passed; at a seam the end of one or the start of the next."""
    index = int(np.searchsorted(lengths, at + (1e-6 if after else -1e-6), side="right")) - 1
    index = min(max(index, 0), len(parts) - 1)
    start, end = parts[index]
    return float(min(max(start + at - lengths[index], start), end))


def _envelope(samples: Samples, rate: int) -> tuple[npt.NDArray[np.float32], float]:
    """Peaks of stretches of about 5 ms, and how long one is in seconds."""
    hop = max(round(rate * _HOP_SECONDS), 1)
    count = len(samples) // hop
    peaks = np.abs(samples[: count * hop].reshape(count, hop)).max(axis=1) if count else np.zeros(0, np.float32)
    return peaks, hop / rate
