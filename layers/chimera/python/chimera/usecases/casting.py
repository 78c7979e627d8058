"""Who speaks which role: a persona's choices, the providers that may, and a voice of its own for each role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chimera.domain.models import VoiceChoice
from chimera.errors import ChimeraError
from chimera.ports import Voice

NARRATOR = "narrator"
OFFLINE = "espeak-ng"
OWN = "recording"
# Roles that lead get a persona's own voice; who answers them gets another one, the same in each of its videos.
_RANK = {NARRATOR: 0, "host": 0, "guest": 1, "expert": 1}
_VARIANTS = ("+f2", "+m3", "+f4", "+m7", "+f1", "+m1", "+f3", "+m5")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What settings say: whether any voice with a key may be paid, and who speaks where a persona names nobody."""

    paid_voices: bool = False
    preferred: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One role's part: the scenes it speaks, by number, and how. `place` tells roles apart that choose no voice."""

    role: str
    scenes: tuple[int, ...]
    choice: VoiceChoice
    place: int


def parts_of(speakers: Sequence[str], choices: Mapping[str, VoiceChoice]) -> list[Part]:
    """A part for each role that speaks, in the order of their first words; "" speaks in no scene.

    A role that the persona does not know takes the narrator's provider, speed and pauses, and a voice of its own unless
    it is the only one that speaks.
    """
    roles = [role for role in dict.fromkeys(speakers) if role]
    places: dict[str, int] = {}
    for role in sorted(roles, key=lambda r: (_RANK.get(r, 2), r != NARRATOR, r)):
        wanted = _RANK.get(role, 0)
        places[role] = next(n for n in range(wanted, wanted + len(roles) + 1) if n not in places.values())
    narrator = choices.get(NARRATOR, VoiceChoice())
    out = []
    for role in roles:
        choice = choices.get(role)
        if choice is None:
            alone = len(roles) == 1 or role == NARRATOR or narrator.provider == OWN
            choice = narrator if alone else narrator.model_copy(update={"voice": ""})
        scenes = tuple(n for n, speaker in enumerate(speakers) if speaker == role)
        out.append(Part(role=role, scenes=scenes, choice=choice, place=places[role]))
    if all(part.choice.provider == OWN for part in out) and len({part.choice.voice for part in out}) == 1:
        scenes = tuple(sorted(n for part in out for n in part.scenes))
        return [Part(role=NARRATOR, scenes=scenes, choice=out[0].choice, place=0)]  # one recording has all of them
    return out


def candidates(choice: VoiceChoice, voices: Mapping[str, Voice], policy: Policy) -> list[Voice]:
    """Who may speak a part, in order: the persona's choice, the setting's, the others by priority; espeak-ng at the end.

    A paid voice is among them only if the persona or the setting names it, or `paid_voices` allows all. An unknown name is
    `VALIDATION_FAILED`.
    """
    for name in (choice.provider, policy.preferred):
        if name and name not in voices:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"voice provider {name[:60]!r}: there is none of that name; there are {', '.join(sorted(voices))}",
                {"provider": name[:60], "known": sorted(voices)},
            )
    named = [name for name in dict.fromkeys((choice.provider, policy.preferred)) if name]
    others = sorted(
        (v for v in voices.values() if v.name not in named and v.name not in {OWN, OFFLINE}),
        key=lambda v: (v.priority, v.name),
    )
    free = [v for v in others if policy.paid_voices or not is_paid(v)]
    if choice.provider == OFFLINE:
        return [voices[OFFLINE]]  # asked for by name, and always there
    if choice.voice and not choice.provider:
        free = [v for v in free if not is_paid(v)]  # an id without a provider is espeak-ng's
        named = []
    ordered = [*(voices[name] for name in named), *free]
    offline = voices.get(OFFLINE)
    return [*(v for v in ordered if v is not offline), *([offline] if offline else [])]


def voice_for(voice: Voice, part: Part, parts: Sequence[Part], persona: Mapping[str, Any]) -> str:
    """The provider's name of the voice that speaks a part: as chosen, else one that differs from the other parts'."""
    if (
        part.choice.voice
        and part.choice.provider in {voice.name, ""}
        and (part.choice.provider or voice.name == OFFLINE)
    ):
        return part.choice.voice
    language = str(persona.get("language") or "en")
    if voice.name == OFFLINE:
        return _variant(str(persona.get("voice_id") or "en-us"), part, parts)
    default = getattr(voice, "default_voice", None)
    if default is None:  # a plugin's voice
        return str(persona.get("voice_id") or "en-us")
    taken = {p.choice.voice for p in parts if p is not part and p.choice.provider == voice.name}
    tag = str(persona.get("voice_id") or language).partition("+")[0]
    offered = [str(default(tag, index)) for index in range(8)]
    free = [one for one in dict.fromkeys(offered) if one not in taken] or offered
    return free[part.place % len(free)]


def is_paid(voice: Voice) -> bool:
    """Whether its calls cost money."""
    return bool(getattr(voice, "paid", False))


def _variant(base: str, part: Part, parts: Sequence[Part]) -> str:
    """The persona's voice for the leading role, a variant of it for each other one."""
    name, _, own = base.partition("+")
    if part.place == 0:
        return base
    taken = {f"+{own}"} if own else {_VARIANTS[0]}
    taken |= {f"+{p.choice.voice.partition('+')[2]}" for p in parts if p.choice.voice}
    free = [v for v in _VARIANTS if v not in taken] or list(_VARIANTS)
    return name + free[(part.place - 1) % len(free)]
