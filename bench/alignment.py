"""Measures word times by forced alignment against espeak-ng's own, and prints JSON.

`python bench/alignment.py`. Twelve short texts are spoken by eight variants of espeak-ng, which are unlike each other in
pitch and timbre, and aligned as a voice without times is. Errors are of where words begin; CPU is the worker's.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from chimera.adapters.voices import sound
from chimera.adapters.voices.alignment import align
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.adapters.voices.normalise import spoken_words
from chimera.media.text import clean

VOICES = ("en-us", "en-us+m3", "en-gb+f4", "en-us+m7", "en-us+m1", "en-us+f1", "en-us+croak", "en-us+Andrea")
TEXTS = (
    "A storm closed the harbour on Friday, and forty boats stayed outside. By nine the wind had reached 95 km/h.",
    "The coast guard, called twice, towed a fishing boat home; nobody was hurt. Insurers expect claims of $2.1 million.",
    "Why do cats purr? A pad in the vocal folds lets the larynx vibrate slowly, and that makes the low sound we love.",
    "Researchers in Geneva announced a smaller accelerator yesterday. The old machine needed a tunnel; this one fits in a gym.",
    "Every Tuesday the bakery on Mill Street sells out before eight. The sourdough takes three days to make.",
    "“It changes everything,” Dr. Okonkwo told reporters. The team at JPL drilled 1.5 km into the ice on March 3, 2024.",
    "First, wash the rice until the water runs clear. Second, let it rest for thirty minutes. Third, do not touch the lid!",
    "The library lends tools now: drills, ladders, even a sewing machine. Members pay nothing, and nothing has been lost.",
    "Bees can count to four. In a new study, 37% of them even understood zero, which children learn at about four years.",
    "Tokyo's last steam train will stop in June. Its driver, 71, says he will miss the whistle most of all.",
    "Is coffee good for you? Two cups a day seem to be fine. Six are not, unless you never plan to sleep again.",
    "The match ended three to two after extra time. Okafor scored twice, and the keeper saved a penalty at the very end.",
)


def measure() -> dict[str, Any]:
    """The figures of one run; it is deterministic."""
    every: list[float] = []
    failed, used, seconds = 0, 0.0, 0.0
    by_voice = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        for voice in VOICES:
            errors: list[float] = []
            for text in TEXTS:
                true = EspeakVoice().synthesize(text, voice=voice, out_wav=path)
                samples, rate = sound.read(path)
                found = align(spoken_words(clean(text, limit=5_000), voice), samples, rate, "en")
                failed += not found.matched
                used, seconds = used + found.cpu_seconds, seconds + true.duration_seconds
                if found.matched:
                    errors += [abs(a.start - b.start) * 1000 for a, b in zip(found.words, true.words, strict=True)]
            by_voice[voice] = _figures(errors)
            every += errors
    return {
        "texts": len(TEXTS) * len(VOICES),
        "not_aligned": failed,
        "words": len(every),
        "error_ms": _figures(every),
        "by_voice": by_voice,
        "worker_cpu_per_second_of_speech": round(used / seconds, 3),
    }


def _figures(errors: list[float]) -> dict[str, float]:
    at = np.percentile(errors, [50, 95, 99]) if errors else np.full(3, np.nan)
    return {
        "median": round(at[0], 1),
        "p95": round(at[1], 1),
        "p99": round(at[2], 1),
        "worst": round(max(errors, default=0), 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
