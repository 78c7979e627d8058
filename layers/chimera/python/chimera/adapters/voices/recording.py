"""The user's own recording: one file with the whole script, or a folder of files with a number for each scene."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chimera.adapters.voices import onsets, sound
from chimera.adapters.voices.alignment import Alignment, align
from chimera.adapters.voices.normalise import spoken_words
from chimera.errors import ChimeraError
from chimera.media.models import VoiceResult, Word
from chimera.media.text import clean

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext

SUFFIXES = frozenset({".wav", ".mp3", ".m4a", ".mp4", ".mov", ".flac", ".ogg", ".opus", ".aac", ".aif", ".aiff", ".caf", ".mkv", ".webm"})  # fmt: skip
_NUMBER = re.compile(r"\d{1,4}")
# People say 60-330 words a minute; 0.6-9 syllables a second leave room for pauses and for a guess of what a syllable is.
_FEWEST_SYLLABLES, _MOST_SYLLABLES = 0.6, 9.0
_LEAST_HEARD = 0.35
"""Of the script's words, how many a rough transcript must have for a sound that could not be aligned."""
_MARGIN_SECONDS = 0.12


@dataclass(frozen=True, kw_only=True)
class _Whole:
    """A file that was read and aligned: its sound and the words of each scene, by scene."""

    samples: onsets.Samples
    words: dict[int, tuple[Word, ...]]
    found: Alignment


class RecordedVoice:
    """Not a synthesizer: `voice` is `file:PATH`, and what is in the file must be the script. Its pace is the speaker's."""

    name = "recording"
    model = "own recording"
    licence = "the user's own recording"
    origin = "person"
    author = "the user"
    source = ""
    priority = 5
    paid = False
    takes_lexicon = True
    takes_language = True
    takes_script = True
    own_pace = True

    def __init__(self, context: ProviderContext | None = None) -> None:
        self._context = context
        self._known: dict[tuple[str, str], _Whole] = {}

    @property
    def ready(self) -> bool:
        """Always; whether there is a recording is known when it is asked for."""
        return True

    def synthesize(
        self,
        text: str,
        *,
        voice: str,
        speed_wpm: int = 165,
        out_wav: Path,
        lexicon: Mapping[str, str] | None = None,
        language: str = "en",
        script: Mapping[int, str] | None = None,
        scene: int = 0,
    ) -> VoiceResult:
        """Cuts the scene out of the recording into `out_wav`; `speed_wpm` changes nothing.

        `script` is what the file (or the folder) has, by scene from 0; without it the file is `text` alone. In a folder
        each file has one number, the scene's, from 1. Raises `NOT_FOUND` for a missing file, `VALIDATION_FAILED` for one
        that is no sound, silent or not this text, `VIDEO_TOO_LONG` and `FILE_TOO_LARGE` beyond the limits.
        """
        started = time.process_time()
        script = dict(script) if script and scene in script else {scene: text}
        path = _path(voice)
        if path.is_dir():
            script, path = {scene: script[scene]}, _file_of(path, scene, sorted(script))
        whole = self._read(path, script, language, lexicon or {})
        words = whole.words[scene]
        if len(whole.words) == 1:
            low, high = 0.0, len(whole.samples) / sound.RATE
        else:
            low, high = _edges(whole, scene)
        kept = whole.samples[round(low * sound.RATE) : round(high * sound.RATE)]
        sound.write(out_wav, kept, sound.RATE)
        length = len(kept) / sound.RATE
        moved = tuple(
            Word(text=w.text, start=round(min(max(w.start - low, 0), length), 3), end=round(min(max(w.end - low, 0), length), 3))
            for w in words
        )  # fmt: skip
        return VoiceResult(
            words=moved,
            duration_seconds=length,
            sample_rate=sound.RATE,
            cpu_seconds=time.process_time() - started + whole.found.cpu_seconds / len(whole.words),
            times=whole.found.times,
        )

    def _read(self, path: Path, script: dict[int, str], language: str, lexicon: Mapping[str, str]) -> _Whole:
        known = (str(path), repr((sorted(script.items()), path.stat().st_mtime_ns if path.exists() else 0)))
        if known in self._known:
            return self._known[known]
        samples, _ = sound.trimmed(sound.decoded(path, name=path.name), sound.RATE)
        if onsets.is_silent(samples, sound.RATE):
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"{path.name}: got a silent recording, expected someone reading the script",
                {"file": path.name, "seconds": round(len(samples) / sound.RATE, 1)},
            )
        from chimera.adapters.voices.lexicon import Lexicon

        sayings = Lexicon({w: s for w, s in lexicon.items() if s.strip()[:1] not in {"/", "["}})
        by_scene = {n: spoken_words(clean(text, limit=5_000), language, sayings) for n, text in sorted(script.items())}
        pairs = [pair for one in by_scene.values() for pair in one]
        found = align(pairs, samples, sound.RATE, language)
        _check(path, pairs, samples, found, language)
        words: dict[int, tuple[Word, ...]] = {}
        at = 0
        for number, one in by_scene.items():
            words[number] = found.words[at : at + len(one)]
            at += len(one)
        self._known[known] = _Whole(samples=samples, words=words, found=found)
        return self._known[known]


def _path(voice: str) -> Path:
    kind, _, rest = voice.partition(":")
    if kind != "file" or not rest or "\0" in rest:
        raise ChimeraError("VALIDATION_FAILED", f"recording {voice[:80]!r}: expected file:PATH", {"voice": voice[:80]})
    path = Path(rest)
    if not path.exists():
        raise ChimeraError(
            "NOT_FOUND", f"recording {rest[:200]!r}: there is no such file or folder", {"path": rest[:200]}
        )
    return path


def _file_of(folder: Path, scene: int, expected: list[int]) -> Path:
    """The folder's file of a scene: the one whose name has its number, counted from 1."""
    found: dict[int, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))[
        :500
    ]:
        numbers = _NUMBER.findall(path.stem)
        if len(numbers) != 1:
            raise ChimeraError(
                "VALIDATION_FAILED", f"{path.name}: expected a name with one number, its scene's, such as scene-{scene + 1}.wav",
                {"file": path.name},
            )  # fmt: skip
        number = int(numbers[0]) - 1
        if number in found:
            raise ChimeraError(
                "VALIDATION_FAILED", f"{found[number].name} and {path.name}: two files for scene {number + 1}, expected one",
                {"scene": number + 1},
            )  # fmt: skip
        found[number] = path
    if scene not in found:
        raise ChimeraError(
            "NOT_FOUND",
            f"{folder.name}: no recording of scene {scene + 1}; expected files for {', '.join(str(n + 1) for n in expected)}, "
            f"got {', '.join(str(n + 1) for n in sorted(found)) or 'none'}",
            {"scene": scene + 1},
        )
    return found[scene]


def _check(path: Path, pairs: list[tuple[str, str]], samples: onsets.Samples, found: Alignment, language: str) -> None:
    """That the sound is the script: aligned, or at least about as long, and in English heard to be it."""
    seconds = len(samples) / sound.RATE
    asked = sum(onsets.syllables(said) for _, said in pairs)
    rate = asked / max(seconds, 0.01)
    fits = _FEWEST_SYLLABLES <= rate <= _MOST_SYLLABLES
    if fits and (found.matched or not language.lower().startswith("en") or _heard(samples, pairs) >= _LEAST_HEARD):
        return
    raise ChimeraError(
        "VALIDATION_FAILED",
        f"{path.name}: the recording ({seconds:.1f} s) does not match the script ({len(pairs)} words, beginning "
        f"{' '.join(written for written, _ in pairs[:6])!r}); expected someone reading exactly that",
        {"file": path.name, "seconds": round(seconds, 1), "words": len(pairs)},
    )


def _heard(samples: onsets.Samples, pairs: list[tuple[str, str]]) -> float:
    """Which part of the script's longer words a rough transcript of the sound has, 0–1."""
    import tempfile

    from chimera.adapters.transcribers.sphinx import SphinxTranscriber

    with tempfile.TemporaryDirectory(prefix="heard-") as folder:
        file = Path(folder) / "sound.wav"
        sound.write(file, samples, sound.RATE)
        transcript = SphinxTranscriber().transcribe(file, language="en", word_timestamps=False)
    heard = {word for segment in transcript.segments for word in segment.text.lower().split()}
    wanted = {w for _, said in pairs for w in re.findall(r"[a-z']+", said.lower()) if len(w) > 3}
    return len(wanted & heard) / len(wanted) if wanted else 0.0


def _edges(whole: _Whole, scene: int) -> tuple[float, float]:
    """Where a scene is cut out: in the middle of the pauses before and after it, but not far from its words."""
    numbers = sorted(n for n, words in whole.words.items() if words)
    at = numbers.index(scene)
    own = whole.words[scene]
    low, high = max(own[0].start - _MARGIN_SECONDS, 0.0), own[-1].end + _MARGIN_SECONDS
    if at:
        low = max(low, (whole.words[numbers[at - 1]][-1].end + own[0].start) / 2)
    if at + 1 < len(numbers):
        high = min(high, (own[-1].end + whole.words[numbers[at + 1]][0].start) / 2)
    return low, min(max(high, low), len(whole.samples) / sound.RATE)
