"""What picture each scene of a video asks for: from its storyboard where there is one, else from the brief's scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chimera.domain.fit import THRESHOLD, fit, named
from chimera.domain.models import BrandTheme, Brief, Draft
from chimera.media.layers import Area
from chimera.media.models import SceneSpec, Theme
from chimera.media.theme import theme_of
from chimera.ports import PictureMaker
from chimera.templates.storyboard import PictureWish, Storyboard, StoryScene
from chimera.usecases.own_pictures import OwnAsset

SLOW_WPM = 140
SPARE_SECONDS = 2.0
"""Voice is made at the same time, so its length is not known yet: footage is cut for the slowest pace, and a little more."""
SCRIM = 0.5
"""Darkens photographs under the plain layout's type."""
_TYPE = frozenset({"text", "kinetic", "number", "chart", "list", "sources"})
_LARGE = frozenset({"kinetic", "number", "chart", "list"})
"""Layers that are the picture: the card under them steps back."""
AT_ONCE = 8
"""Scenes that are made at the same time where generators are waited for."""
LIBRARY_SECONDS = 120
"""Of the step's time for looking in libraries and fetching what is found."""
LONGEST_PROMPT = 990
"""Characters of a prompt; Runway takes 1,000."""
NO_TYPE = "No text, letters, numbers, captions, logos, watermarks or user interfaces anywhere in the picture."


@dataclass(frozen=True)
class PictureAsk:
    """One scene's picture. `wish` None: the plain layout, which knows its own places for type."""

    index: int
    name: str
    spec: SceneSpec
    want: Literal["card", "chart", "map", "photo", "footage", "plain"]
    wish: PictureWish | None
    seconds: float
    scrim: float = 0.0
    areas: tuple[Area, ...] | None = None
    instead: bool = False
    """A picture where the layout expects a card: it must be held back behind type, as cards are."""

    @property
    def prompt(self) -> str:
        """What the picture is of."""
        return (self.wish.prompt if self.wish else "") or self.spec.visual_prompt or self.spec.on_screen_text

    @property
    def sought(self) -> bool:
        """Whether a photograph or footage is looked for at all."""
        return self.want in ("photo", "footage")


@dataclass(frozen=True)
class Asked:
    """A video's pictures: the scenes in order; `outro` is the plain layout's closing card, which a storyboard does not have."""

    asks: tuple[PictureAsk, ...]
    outro: PictureAsk | None
    theme: Theme
    title: str
    language: str


def asked_of(brief: Brief, storyboard: Storyboard | None, *, brand: BrandTheme | None, seed: int, seeks: bool) -> Asked:
    """What is asked for. `seeks`: somebody can deliver pictures, so scenes whose card is left open take one instead."""
    if storyboard is not None:
        asks = tuple(_of_story(i, scene, brief, storyboard, seeks) for i, scene in enumerate(storyboard.scenes))
        return Asked(asks, None, storyboard.theme, storyboard.title, storyboard.language)
    asks = tuple(
        PictureAsk(
            index=i, name=f"scene-{i:03d}", spec=SceneSpec(**scene.model_dump()), want="photo" if seeks else "card",
            wish=None, seconds=_seconds(scene.narration), scrim=SCRIM if seeks else 0.0, instead=seeks,
        )
        for i, scene in enumerate(brief.scenes)
    )  # fmt: skip
    closing = SceneSpec(on_screen_text=brief.title)
    outro = PictureAsk(index=len(asks), name="outro", spec=closing, want="plain", wish=None, seconds=0.0)
    return Asked(asks, outro, theme_of(brand or BrandTheme(), seed)[0], brief.title, brief.language)


def _of_story(index: int, scene: StoryScene, brief: Brief, board: Storyboard, seeks: bool) -> PictureAsk:
    at = scene.brief_scene
    prompt = brief.scenes[at].visual_prompt if at is not None and at < len(brief.scenes) else ""
    spec = SceneSpec(
        narration=scene.narration, on_screen_text=scene.on_screen_text, visual_prompt=scene.picture.prompt or prompt
    )
    areas = [layer.box for layer in scene.layers if layer.kind in _TYPE]
    if scene.narration and board.captions.style != "off" and not board.captions.soft:
        areas.append(board.captions.box)
    wish = scene.picture
    # a card with a style of its own is part of the design; one that only says what it is of may be a photograph as well
    if (
        wish.want == "card"
        and not wish.style
        and not wish.focus
        and any(layer.kind in _LARGE for layer in scene.layers)
    ):
        wish = wish.model_copy(update={"want": "plain"})
    instead = seeks and wish.want == "card" and not wish.style and bool(wish.prompt)
    return PictureAsk(
        index=index, name=f"scene-{index:03d}", spec=spec, want="photo" if instead else wish.want, wish=wish,
        seconds=max(_seconds(scene.narration), scene.seconds + SPARE_SECONDS),
        scrim=wish.scrim or (SCRIM if instead else 0.0), areas=tuple(areas), instead=instead,
    )  # fmt: skip


def _seconds(narration: str) -> float:
    """At the slowest pace, with room; scripts without spaces are counted as two characters a word."""
    spoken = max(len(narration.split()), sum(1 for c in narration if ord(c) >= 0x2E80) / 2)
    return round(spoken / SLOW_WPM * 60 + SPARE_SECONDS, 2)


def generator_prompt(ask: PictureAsk, *, tone: str, theme: Theme) -> str:
    """What a generator is asked for: the picture, the persona's mood and colours, and never type."""
    what = (ask.prompt or ask.spec.narration)[:500].strip().rstrip(".")
    mood = " ".join(tone.split())[:120]
    prompt = (
        f"{what}. A striking, natural picture with one clear subject and calm room around it. Mood: {mood}. "
        f"Accents near {theme.accent} and {theme.highlight}. {NO_TYPE}"
    )
    return prompt.encode("utf-8")[:LONGEST_PROMPT].decode("utf-8", "ignore")


def share_out(
    asks: Sequence[PictureAsk], own: Sequence[OwnAsset]
) -> tuple[dict[int, list[tuple[OwnAsset, float]]], dict[int, str]]:
    """Which of the user's own files each scene may take, the best first with its fit, and why an asked one is missing.

    A name or number that the template gives comes first. Then the best pairs at or above the threshold, each file once.
    What the user gave for this very run is used in its order where names and captions say nothing: it was brought to be shown.
    """
    shares: dict[int, list[tuple[OwnAsset, float]]] = {ask.index: [] for ask in asks}
    missing: dict[int, str] = {}
    taken: set[int] = set()
    names = [asset.name for asset in own]
    for ask in asks:
        wanted = ask.wish.asset if ask.wish else ""
        at = named(wanted, names)
        if at is not None:
            shares[ask.index].append((own[at], 1.0))
            taken.add(at)
        elif wanted:
            missing[ask.index] = f"own: {wanted[:80]!r} is not among the {len(own)} files that were given"
    open_asks = [ask for ask in asks if ask.sought and not shares[ask.index]]
    pairs = [
        (score, -ask.index, -at)
        for ask in open_asks
        for at, asset in enumerate(own)
        if at not in taken and (score := _fit(ask, asset)) >= THRESHOLD
    ]
    for score, ask_at, at in sorted(pairs, reverse=True):
        if -at not in taken and not shares[-ask_at]:
            shares[-ask_at].append((own[-at], score))
            taken.add(-at)
    rest = [at for at, asset in enumerate(own) if at not in taken and asset.given == "run"]
    for ask in sorted(open_asks, key=lambda one: one.instead):  # who asked for a photograph goes first
        if shares[ask.index]:
            continue
        # a still can stand in for footage and footage for a still, but what was asked for goes first
        rest.sort(key=lambda at: ((own[at].kind != ask.want) if ask.want == "footage" else 0, at))
        if rest:
            at = rest.pop(0)
            shares[ask.index].append((own[at], _fit(ask, own[at])))
    return shares, missing


def _fit(ask: PictureAsk, asset: OwnAsset) -> float:
    return fit(wish=ask.prompt, sentence=ask.spec.narration, text=asset.text)


def allowed_makers(
    makers: Mapping[str, PictureMaker], named: Sequence[str], *, paid_pictures: bool
) -> list[PictureMaker]:
    """The generators that a persona names, in its order; with the setting all of them; only those whose key is set."""
    chosen = [makers[name] for name in named if name in makers]
    if paid_pictures:
        rest = [maker for name, maker in makers.items() if name not in named]
        chosen += sorted(rest, key=lambda maker: (maker.priority, maker.name))
    return [maker for maker in chosen if maker.ready]


def picture_worst_case(draft: Draft, makers: Sequence[PictureMaker], *, aspect: str) -> int:
    """Micros that generated pictures and footage can cost at most: each allowed generator once for each scene.

    A template may have more scenes than the script; those beyond get no generated picture (see `Finder`).
    """
    total = 0
    for maker in makers:
        for scene in draft.scenes:
            # the prompt is not written yet: it is at most as long as the longest one
            prompt = "x" * LONGEST_PROMPT
            total += maker.worst_case(prompt, aspect=aspect, seconds=_seconds(scene.narration))
    return total


def longest_seconds(maker: PictureMaker) -> float:
    """Seconds that one call of a generator may take at most; a plugin's that does not say gets five minutes."""
    return float(getattr(maker, "longest_seconds", 300.0))


def picture_seconds(scenes: int, makers: Sequence[PictureMaker], *, finds: bool) -> int:
    """Seconds that pictures may have to be waited for: in each round of scenes every generator once; `finds`: libraries too."""
    rounds = -(-scenes // AT_ONCE)
    return math.ceil(sum(map(longest_seconds, makers))) * rounds + (LIBRARY_SECONDS if finds else 0)


def orientation(size: tuple[int, int]) -> Literal["portrait", "landscape", "square"]:
    """As libraries name a frame's shape."""
    return "square" if size[0] == size[1] else "portrait" if size[0] < size[1] else "landscape"


def described(ask: PictureAsk) -> dict[str, Any]:
    """All of an ask that its picture depends on, as JSON."""
    return {
        "spec": ask.spec.model_dump(), "want": ask.want, "wish": ask.wish.model_dump() if ask.wish else None,
        "seconds": ask.seconds, "areas": [a.model_dump() for a in ask.areas] if ask.areas is not None else None,
    }  # fmt: skip
