"""Finds where the words of a known script are in a sound: PocketSphinx in a process of its own, for its C code may end it.

Request: `{pcm: path of 16 kHz 16-bit mono samples, words: [spoken words]}`. Answer: `{frames: [[first, last], …]}`, one for
each word, in hundredths of a second, or `{frames: null}` where the sound cannot be that script.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketsphinx import Decoder

from chimera.adapters.voices.phonemes import pronounce

RATE = 16_000
# Wide enough that a slow or odd voice is not lost, see docs/media-measurements.md; a wrong script still finds no way through.
_BEAMS = {"beam": 1e-100, "wbeam": 1e-80, "pbeam": 1e-100}
_FILLER = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")


def align(pcm: bytes, words: Sequence[str]) -> list[list[int]] | None:
    """First and last frame of each word, or None."""
    decoder: Any = Decoder(samprate=float(RATE), loglevel="FATAL", lm=None, **_BEAMS)
    unknown = [word for word in dict.fromkeys(words) if decoder.lookup_word(word) is None]
    said = pronounce(unknown)
    for word in unknown:
        decoder.add_word(word, said.get(word, "AH"), False)
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    found = decoder.seg()
    if found is None:
        return None
    frames = [[part.start_frame, part.end_frame] for part in found if not _FILLER.match(str(part.word))]
    return frames if len(frames) == len(words) else None


def main() -> int:
    """Reads the request, writes the answer; 0 whenever there is an answer."""
    request = json.loads(sys.stdin.read())
    frames = align(Path(request["pcm"]).read_bytes(), request["words"])
    sys.stdout.write(json.dumps({"frames": frames, "cpu_seconds": time.process_time()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
