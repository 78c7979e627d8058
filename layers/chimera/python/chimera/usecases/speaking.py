"""Artist: speaks the script, scene by scene, at the pace that fits the asked duration."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from chimera.media.timeline import unspoken_seconds
from chimera.purse import Purse
from chimera.usecases.costs import metered
from chimera.usecases.production import MadeContent, fingerprint_of, summary, terms_of, worst_case

WORDS_PER_MINUTE = 165
SLOWEST, FASTEST = 140, 205
_PAUSES = "tightened 1"  # part of the voice's fingerprint: how the sound is treated after the engine


def speak(made: MadeContent, voice: Any, purse: Purse) -> dict[str, Any]:
    """Speak each scene of the brief; the pace is set so that the whole comes near the asked duration."""
    brief, ask = made.brief(), made.read("brief", "material.json")
    texts = [scene.narration for scene in brief.scenes]
    voice_id = ask["persona"]["voice_id"]
    lexicon = ask["persona"]["brand_guidelines"].get("pronunciations") or {}
    fingerprint = fingerprint_of(texts, voice.name, voice_id, brief.duration_seconds, lexicon, _PAUSES)
    known = made.read_or_none("audio", "voice.json")
    if known and known["fingerprint"] == fingerprint:
        return summary(known, reused=True)
    media, scope, limit = made.media, made.scope, worst_case(made, "voice")
    with (
        metered(media, scope.prefix, "voice", gigabytes=0.5, purse=purse, worst_case_micros=limit),
        tempfile.TemporaryDirectory(prefix="voice-") as folder,
    ):
        pace = WORDS_PER_MINUTE
        spoken = _speak_all(voice, texts, voice_id, pace, Path(folder), lexicon)
        total = sum(s.duration_seconds for s in spoken)
        target = max(brief.duration_seconds - unspoken_seconds(len(texts), has_outro=bool(brief.sources)), 1.0)
        fitted = min(max(round(pace * total / target), SLOWEST), FASTEST)
        if abs(total - target) / target > 0.04 and fitted != pace:
            pace = fitted
            spoken = _speak_all(voice, texts, voice_id, pace, Path(folder), lexicon)
        scenes = []
        for index, result in enumerate(spoken):
            name = f"scene-{index:03d}.wav"
            media.put_file(scope.key("audio", name), Path(folder) / name)
            scenes.append(
                {"audio": name, "duration": result.duration_seconds, "words": [w.model_dump() for w in result.words]}
            )
    result = {
        "fingerprint": fingerprint,
        "provider": voice.name,
        "model": getattr(voice, "model", voice.name),
        **terms_of(voice),
        "voice": voice_id,
        "speed_wpm": pace,
        "scenes": scenes,
    }
    made.write("audio", "voice.json", result)
    return summary(result, reused=False)


def _speak_all(
    voice: Any, texts: list[str], voice_id: str, pace: int, folder: Path, lexicon: dict[str, str]
) -> list[Any]:
    from chimera.media.tighten import tighten_file  # numpy is imported only by who speaks

    # a voice from a plugin may know nothing of lexicons
    more = {"lexicon": lexicon} if lexicon and getattr(voice, "takes_lexicon", False) else {}
    spoken = []
    for index, text in enumerate(texts):
        path = folder / f"scene-{index:03d}.wav"
        result = voice.synthesize(text, voice=voice_id, speed_wpm=pace, out_wav=path, **more)
        spoken.append(tighten_file(path, result))
    return spoken
