"""A content's folder as the voice's step finds it, and voices of a few lines that speak a beep for each word."""

from __future__ import annotations

import math
import uuid
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chimera.adapters.local.media import FolderMediaStore
from chimera.domain.prices import production_limits
from chimera.errors import ChimeraError
from chimera.media.models import VoiceResult, Word
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope

LINES = ("Ferries now run at night.", "They cost less than before. People like them.", "That is all for today.")


class BeepVoice:
    """0.2 s of sound and 0.4 s of silence for each word at 165 words a minute; fails as it is told to."""

    licence = "made for a test"
    origin = "algorithm"
    model = "beep 1"
    ready = True
    takes_lexicon = False

    def __init__(
        self, name: str, priority: int = 50, *, paid: bool = False, fails: Mapping[int, Exception] | None = None
    ):
        self.name, self.priority, self.paid = name, priority, paid
        self.fails = dict(fails or {})
        """Number of the call, from 0 -> what it raises."""
        self.calls: list[dict[str, Any]] = []

    def default_voice(self, language: str, index: int) -> str:
        return f"{self.name}-{index}"

    def worst_case_micros(self, texts: Any, *, lexicon: Any = None) -> int:
        return sum(len(text) for text in texts)

    def synthesize(self, text: str, *, voice: str, speed_wpm: int, out_wav: Path, **more: Any) -> VoiceResult:
        number = len(self.calls)
        self.calls.append({"text": text, "voice": voice, "speed_wpm": speed_wpm, **more})
        if number in self.fails:
            raise self.fails[number]
        words, rate = text.split(), 8_000
        on, off = (round(seconds * rate * 165 / speed_wpm) for seconds in (0.2, 0.4))
        beep = [round(9_000 * math.sin(i / 3)) for i in range(on)] + [0] * off
        with wave.open(str(out_wav), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes(b"".join(s.to_bytes(2, "little", signed=True) for s in beep * len(words)))
        step = len(beep) / rate
        times = tuple(Word(text=w, start=i * step, end=i * step + on / rate) for i, w in enumerate(words))
        return VoiceResult(words=times, duration_seconds=step * len(words), sample_rate=rate, cpu_seconds=0)


def down(code: str = "PROVIDER_TIMEOUT", **details: Any) -> ChimeraError:
    """What a vendor's failure looks like."""
    return ChimeraError(code, f"a test's {code}", details)


def content(
    folder: Path, *, lines: tuple[str, ...] = LINES, seconds: int = 20, voices: dict[str, Any] | None = None,
    speakers: tuple[str, ...] = (), lexicon: dict[str, str] | None = None, tenant: str = "t", **persona: Any,
) -> MadeContent:  # fmt: skip
    """A brief of these lines; with `speakers` a storyboard that says who speaks each."""
    scope = Scope(tenant_id=tenant, run_id="r", task_id="k", content_id=str(uuid.uuid4()))
    made = MadeContent(FolderMediaStore(folder), scope)
    guidelines = {"voices": voices or {}, "pronunciations": lexicon or {}}
    about = {"voice_id": "en-us", "language": "en", "brand_guidelines": guidelines, **persona}
    made.write("brief", "material.json", {"persona": about, "options": {"aspect": "9:16"}})
    made.write("brief", "request.json", {"limits": production_limits(seconds, 360)})
    brief = {
        "brief_id": "b", "trend_id": "t", "title": "Ferries", "script": " ".join(lines), "estimated_cost": "0.01",
        "scenes": [{"narration": t or "-", "visual_prompt": "ferry"} for t in lines], "projected_engagement": 1.0,
        "projected_roi": 2.0, "duration_seconds": seconds,
        "writer": {"provider": "offline", "model": "extractive", "prompt_version": "1"},
    }  # fmt: skip
    made.write("brief", "brief.json", brief)
    if speakers:
        scenes = [{"speaker": who, "narration": text} for who, text in zip(speakers, lines, strict=True)]
        made.write("brief", "storyboard.json", {"scenes": scenes})
    return made
