"""Artist: speaks the script, role by role and scene by scene, at the pace that fits the asked duration."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chimera.domain.cards import is_still
from chimera.domain.models import BrandGuidelines
from chimera.errors import ChimeraError
from chimera.media.models import VoiceResult
from chimera.media.timeline import SILENT_SCENE_SECONDS, unspoken_seconds
from chimera.ports import Voice
from chimera.purse import Purse
from chimera.usecases.breakers import Breakers
from chimera.usecases.casting import NARRATOR, OFFLINE, OWN, Part, Policy, candidates, is_paid, parts_of, voice_for
from chimera.usecases.costs import metered
from chimera.usecases.production import MadeContent, fingerprint_of, summary, terms_of, worst_case
from chimera.usecases.takes import Takes, files_of

WORDS_PER_MINUTE = 165
SLOWEST, FASTEST = 140, 205
CLOSE_ENOUGH, CLOSE_ENOUGH_PAID = 0.04, 0.08
"""How far from the asked duration is not spoken again for; saying it again costs as much again where it is paid."""
_PAUSES = "tightened 1"  # part of the voice's fingerprint: how the sound is treated after the engine
# What says nothing about the provider: the production itself must stop, wait or be mended.
_OURS = frozenset({"SYSTEM_STOPPED", "INVALID_SIGNATURE", "CONFLICT", "NOT_FOUND", "DATABASE_WAKING", "INTERNAL", "FORBIDDEN"})  # fmt: skip

BREAKERS = Breakers()
"""Of this process: a vendor that is down is not asked by each production anew."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One scene's text and who says it; an empty text is silence, of so many `seconds` if that is said."""

    text: str
    speaker: str
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Spoken:
    """A part as one voice spoke it."""

    voice: Voice
    voice_id: str
    pace: int
    results: dict[int, VoiceResult]

    @property
    def seconds(self) -> float:
        return sum(result.duration_seconds for result in self.results.values())


def speak(
    made: MadeContent,
    voices: Mapping[str, Voice],
    purse: Purse,
    *,
    policy: Policy | None = None,
    local_files: bool = True,
    breakers: Breakers = BREAKERS,
) -> dict[str, Any]:
    """Speak each scene of the storyboard, or of the brief; the pace is set so that the whole comes near the asked duration.

    Each role has one voice from beginning to end: when a provider fails, the next one speaks all of the role again, and
    `refused` says who could not and why. Raises what is wrong with the request (an unknown provider or voice, a recording
    that is not the script) and what stops the production (a switch, an expired approval).
    """
    brief, ask = made.brief(), made.read("brief", "material.json")
    if is_still(brief.format):
        return _nobody_speaks(made)
    persona = ask["persona"]
    guidelines = BrandGuidelines.model_validate(persona["brand_guidelines"])
    lines = _lines(made)
    parts = parts_of([line.speaker if line.text else "" for line in lines], guidelines.voices)
    policy = policy or Policy()
    with tempfile.TemporaryDirectory(prefix="voice-") as scratch:
        folder = Path(scratch)
        files = files_of(made, [p.choice.voice for p in parts if p.choice.provider == OWN], folder, allowed=local_files)
        chains = {part.role: candidates(part.choice, voices, policy) for part in parts}
        fingerprint = fingerprint_of(
            [[line.text, line.speaker] for line in lines], [[p.role, p.choice.model_dump()] for p in parts],
            {role: [v.name for v in chain] for role, chain in chains.items()}, files.digest, persona["voice_id"],
            persona.get("language"), brief.duration_seconds, guidelines.pronunciations, _PAUSES,
        )  # fmt: skip
        known = made.read_or_none("audio", "voice.json")
        if known and known["fingerprint"] == fingerprint:
            return summary(known, reused=True)
        media, scope, limit = made.media, made.scope, worst_case(made, "voice")
        stage = _Stage(
            lines=lines, parts=parts, persona=persona, lexicon=guidelines.pronunciations, folder=folder,
            files=files.paths, takes=Takes(made), breakers=breakers,
        )  # fmt: skip
        with metered(media, scope.prefix, "voice", gigabytes=0.5, purse=purse, worst_case_micros=limit):
            spoken = {part.role: stage.spoken(part, chains[part.role]) for part in parts}
            _fit(stage, parts, spoken, brief.duration_seconds - _unspoken(made, lines))
            by_scene = {n: spoken[part.role] for part in parts for n in part.scenes}
            scenes = [_scene(made, folder, index, line, by_scene.get(index)) for index, line in enumerate(lines)]
        lead = spoken[parts[0].role]
        result = {
            "fingerprint": fingerprint,
            **_facts(lead.voice),
            "voice": lead.voice_id,
            "speed_wpm": lead.pace,
            "roles": {role: {"provider": s.voice.name, "voice": s.voice_id, "speed_wpm": s.pace} for role, s in spoken.items()},
            "refused": stage.refused,
            "scenes": scenes,
        }  # fmt: skip
        made.write("audio", "voice.json", result)
    return summary(result, reused=False)


def _nobody_speaks(made: MadeContent) -> dict[str, Any]:
    """An image post: nothing is drawn, used or made; the file says so for who comes after."""
    lines = _lines(made)
    quiet = {"audio": "", "duration": 0.0, "words": [], "times": "engine"}
    result = {
        "fingerprint": fingerprint_of("nobody speaks", [[line.text, line.speaker] for line in lines]),
        "provider": "",
        "model": "",
        "voice": "",
        "speed_wpm": 0,
        "roles": {},
        "refused": [],
        "scenes": [{**quiet, "role": line.speaker} for line in lines],
    }
    known = made.read_or_none("audio", "voice.json")
    if known != result:
        made.write("audio", "voice.json", result)
    return summary(result, reused=known == result)


def _lines(made: MadeContent) -> list[_Line]:
    """What is said in each scene and by whom: as the storyboard has it, else the brief's scenes by the narrator."""
    scenes = made.brief().scenes
    board = made.read_or_none("brief", "storyboard.json")
    if board is None:
        return [_Line(text=scene.narration, speaker=NARRATOR) for scene in scenes]
    lines = []
    for index, shown in enumerate(board["scenes"]):
        text = shown.get("narration")
        if text is None:  # a storyboard may say who speaks and nothing else
            text = scenes[index].narration if index < len(scenes) else ""
        speaker, seconds = str(shown.get("speaker") or NARRATOR)[:40], float(shown.get("seconds") or 0)
        lines.append(_Line(text=str(text).strip(), speaker=speaker, seconds=seconds))
    if not any(line.text for line in lines):
        raise ChimeraError(
            "VALIDATION_FAILED", "the storyboard has no narration; expected at least one spoken scene", {}
        )
    return lines


def _unspoken(made: MadeContent, lines: Sequence[_Line]) -> float:
    """Seconds of the video without speech: leads, tails, silent scenes and the closing card, where the video gets one."""
    board = made.read_or_none("brief", "storyboard.json") or {}
    closes = any(
        layer.get("kind") == "sources" for shown in board.get("scenes", ()) for layer in shown.get("layers", ())
    )
    sources = board.get("sources", made.brief().sources)
    voiced = sum(bool(line.text) for line in lines)
    quiet = sum(line.seconds or SILENT_SCENE_SECONDS for line in lines if not line.text)
    return unspoken_seconds(max(voiced, 1), has_outro=bool(sources) and not closes) + quiet


def _fit(stage: _Stage, parts: Sequence[Part], spoken: dict[str, _Spoken], target: float) -> None:
    """Speaks again, at another pace, the roles whose pace is free, if the whole is far from the asked duration."""
    free = [
        p for p in parts if p.choice.words_per_minute is None and not getattr(spoken[p.role].voice, "own_pace", False)
    ]
    if not free:
        return
    fixed = sum(s.seconds for role, s in spoken.items() if role not in {p.role for p in free})
    total, wanted = sum(spoken[p.role].seconds for p in free), max(target - fixed, 1.0)
    close = CLOSE_ENOUGH_PAID if any(is_paid(spoken[p.role].voice) for p in free) else CLOSE_ENOUGH
    if abs(total - wanted) / wanted <= close:
        return
    for part in free:
        before = spoken[part.role]
        pace = min(max(round(before.pace * total / wanted), SLOWEST), FASTEST)
        if pace != before.pace:
            again = stage.again(part, before, pace)
            if again is not None:
                spoken[part.role] = again


@dataclass(kw_only=True)
class _Stage:
    """One production's speaking: the scenes, where sounds go, who was refused."""

    lines: Sequence[_Line]
    parts: Sequence[Part]
    persona: Mapping[str, Any]
    lexicon: Mapping[str, str]
    folder: Path
    files: Mapping[str, str]
    takes: Takes
    breakers: Breakers

    def __post_init__(self) -> None:
        self.refused: list[dict[str, str]] = []
        self._out: set[str] = set()

    def spoken(self, part: Part, chain: Sequence[Voice]) -> _Spoken:
        """The part by the first voice of the chain that can speak all of it."""
        pace = part.choice.words_per_minute or WORDS_PER_MINUTE
        for voice in chain:
            reason = self._may_not(voice)
            if reason is None:
                try:
                    return self._whole(part, voice, pace)
                except ChimeraError as error:
                    if self._final(error, voice, part):
                        raise
                    reason = self._failed(voice, error)
            self.refused.append({"role": part.role, "provider": voice.name, "error": reason[:300]})
        raise ChimeraError("PROVIDER_REJECTED", "no voice could speak the script", {"refused": self.refused})

    def again(self, part: Part, before: _Spoken, pace: int) -> _Spoken | None:
        """The part by the same voice at another pace; None keeps what it has said already."""
        try:
            return self._whole(part, before.voice, pace, before.voice_id)
        except ChimeraError as error:
            if self._final(error, before.voice, part) or before.voice.name == OFFLINE:
                raise
            reason = f"kept its first pace: {self._failed(before.voice, error)}"
            self.refused.append({"role": part.role, "provider": before.voice.name, "error": reason[:300]})
            return None

    def _may_not(self, voice: Voice) -> str | None:
        if voice.name in self._out:
            return "it failed in this video"
        if not getattr(voice, "ready", True):
            keys = getattr(voice, "needs_keys", ())
            return "it is not set up" + (f": it needs {' and '.join(keys)}" if keys else "")
        return None if voice.name == OFFLINE else self.breakers.refusal(voice.name)

    def _whole(self, part: Part, voice: Voice, pace: int, voice_id: str = "") -> _Spoken:
        """All scenes of a part by one voice."""
        voice_id = voice_id or voice_for(voice, part, self.parts, self.persona)
        own = {n: self.lines[n].text for n in part.scenes}
        results = {n: self._one(part, voice, voice_id, pace, n, own) for n in part.scenes}
        for n in part.scenes:  # only now: a pass that breaks off leaves what was said before
            self._take(n).replace(self.folder / file_of(n))
        self.breakers.worked(voice.name)
        return _Spoken(voice=voice, voice_id=voice_id, pace=pace, results=results)

    def _one(self, part: Part, voice: Voice, voice_id: str, pace: int, n: int, own: dict[int, str]) -> VoiceResult:
        from chimera.media.pauses import paced_file  # numpy is imported only by who speaks

        more: dict[str, Any] = {}
        if self.lexicon and getattr(
            voice, "takes_lexicon", False
        ):  # a voice from a plugin may know nothing of lexicons
            more["lexicon"] = self.lexicon
        if getattr(voice, "takes_language", False):
            more["language"] = _tag(self.persona)
        if getattr(voice, "takes_script", False):
            more |= {"script": own, "scene": n}
        path, speak = self._take(n), voice.synthesize
        named = self.files.get(voice_id, voice_id)
        if is_paid(voice):
            result = self.takes.bought(voice, path, own[n], voice=named, speed_wpm=pace, **more)
        else:
            result = speak(own[n], voice=named, speed_wpm=pace, out_wav=path, **more)
        return paced_file(path, result, part.choice.pause_seconds)

    def _take(self, n: int) -> Path:
        return self.folder / f"take-{n:03d}.wav"

    def _final(self, error: ChimeraError, voice: Voice, part: Part) -> bool:
        """Whether an error ends the production instead of passing the part to the next voice."""
        asked_for = part.choice.provider == voice.name or voice.name == OFFLINE
        wrong = error.code in {"VALIDATION_FAILED", "FILE_TOO_LARGE", "VIDEO_TOO_LONG", "NOT_FOUND"} and asked_for
        if wrong or error.code in _OURS:
            self.breakers.undecided(voice.name)
            return True
        return False

    def _failed(self, voice: Voice, error: ChimeraError) -> str:
        """Opens the breaker; an allowance that is used up says nothing about the vendor and counts in this video only."""
        reason = f"{error.code}: {error.message}"
        self._out.add(voice.name)
        if error.code in {"BUDGET_EXCEEDED", "VALIDATION_FAILED"}:
            self.breakers.undecided(voice.name)
        else:
            self.breakers.failed(voice.name, reason)
        return reason


def _scene(made: MadeContent, folder: Path, index: int, line: _Line, spoken: _Spoken | None) -> dict[str, Any]:
    """Keeps a scene's sound and says what is known of it."""
    if not line.text or spoken is None:
        return {"audio": "", "duration": 0.0, "words": [], "role": line.speaker, "times": "engine"}
    name, result = file_of(index), spoken.results[index]
    made.media.put_file(made.scope.key("audio", name), folder / name)
    return {
        "audio": name,
        "duration": result.duration_seconds,
        "words": [word.model_dump() for word in result.words],
        "role": line.speaker,
        **_facts(spoken.voice),
        "voice": spoken.voice_id,
        "speed_wpm": spoken.pace,
        "times": result.times,
    }


def _facts(voice: Voice) -> dict[str, str]:
    """What the bill of materials needs to know of a voice."""
    return {"provider": voice.name, "model": str(getattr(voice, "model", voice.name)), **terms_of(voice)}


def _tag(persona: Mapping[str, Any]) -> str:
    """The language with its region, where the persona's voice names one: `en-gb`."""
    language = str(persona.get("language") or "en")
    voice = str(persona.get("voice_id") or "").partition("+")[0].lower()
    return voice if voice.startswith(f"{language.lower()}-") else language


def file_of(index: int) -> str:
    """The name of a scene's sound."""
    return f"scene-{index:03d}.wav"
