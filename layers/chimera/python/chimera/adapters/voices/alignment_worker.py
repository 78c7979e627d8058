"""Finds where the words of a known script are in a sound: PocketSphinx in a process of its own, for its C code may end it.

Request: `{pcm: path of 16 kHz 16-bit mono samples, words: [spoken words]}`. Answer: `{times: [[start, end], …], cpu_seconds}`, one
for each word, in seconds, or `{times: null}` where the sound cannot be that script.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pocketsphinx import Decoder

from chimera.adapters.voices.phonemes import pronounce

RATE = 16_000
_SEARCH = {"beam": 1e-100, "wbeam": 1e-80, "pbeam": 1e-100, "silprob": 0.1, "fillprob": 0.01}
# Digital silence and voices without breath are unlike all that the model was trained on, so a little noise is laid under
# them: the fainter, the better the times; some voices need more before any path is found (docs/voices.md has figures).
_NOISES = (30.0, 100.0, 300.0)
_PAD_SECONDS = 0.3
# A frame's window is 25.6 ms long and moves by 10 ms: what a frame says is true of its window's middle.
_FRAME_SECONDS, _CENTRE_SECONDS = 0.01, 0.0078
_FILLER = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")


def align(pcm: bytes, words: Sequence[str]) -> list[list[float]] | None:
    """First and last second of each word, or None."""
    decoder: Any = Decoder(samprate=float(RATE), loglevel="FATAL", lm=None, **_SEARCH)
    unknown = [word for word in dict.fromkeys(words) if decoder.lookup_word(word) is None]
    said = pronounce(unknown)
    for word in unknown:
        decoder.add_word(word, said.get(word, "AH"), False)
    samples = np.pad(np.frombuffer(pcm, dtype="<i2").astype(np.float32), round(_PAD_SECONDS * RATE))
    hiss = np.random.default_rng(0).standard_normal(len(samples), dtype=np.float32)
    for noise in _NOISES:
        heard = np.clip(samples + noise * hiss, -32_768, 32_767).astype("<i2").tobytes()
        frames = _search(decoder, heard, words)
        if frames is not None:
            shift = _CENTRE_SECONDS - _PAD_SECONDS
            return [[a * _FRAME_SECONDS + shift, (b + 1) * _FRAME_SECONDS + shift] for a, b in frames]
    return None


def _search(decoder: Any, heard: bytes, words: Sequence[str]) -> list[tuple[int, int]] | None:
    """First and last frame of each word; None where no path leads through all of them."""
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(heard, full_utt=True)
    decoder.end_utt()
    found = [(part.start_frame, part.end_frame) for part in decoder.seg() or () if not _FILLER.match(str(part.word))]
    return found if len(found) == len(words) else None


def main() -> int:
    """Reads the request, writes the answer; 0 whenever there is an answer."""
    request = json.loads(sys.stdin.read())
    times = align(Path(request["pcm"]).read_bytes(), request["words"])
    sys.stdout.write(json.dumps({"times": times, "cpu_seconds": time.process_time()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
