"""Finds or buys the photograph or footage of a scene: the user's own first, then libraries, then generators that are paid for.

What is taken fits the sentence (`domain/fit`), has a known licence, and was shown neither in this video nor in the persona's
last ten. Whatever does not do is refused with its reason, and the next one is asked; in the end a card stands in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from chimera.domain.fit import THRESHOLD, Candidate, fit
from chimera.errors import ChimeraError
from chimera.media.layout import layout_for
from chimera.media.models import Theme
from chimera.ports import Library, MediaStore, PictureMaker
from chimera.usecases.own_pictures import OwnAsset, local_file
from chimera.usecases.picture_asks import PictureAsk, generator_prompt, longest_seconds, orientation
from chimera.usecases.picture_keeping import KeptWork

WORKERS = 4
FETCH_SECONDS = 60.0
"""What fetching one file of a library may take (`adapters/libraries`)."""
SOFT = 3.0
"""A picture that must be enlarged more than this is not shown."""
OWN_LICENCE = "the user's own"
ENDS_THE_STEP = frozenset({"SYSTEM_STOPPED", "DATABASE_WAKING", "INVALID_SIGNATURE"})
"""Errors that no other provider helps with."""


class NotReadyError(Exception):
    """A scene's picture was asked for and is not there, or there is no time left to ask: another attempt goes on with it."""


@dataclass
class Registry:
    """What this video shows so far, and what was shown before; thread-safe."""

    before: Sequence[tuple[int, str]] = ()
    shown: list[tuple[int, str]] = field(default_factory=list)
    claimed: set[tuple[str, str]] = field(default_factory=set)
    counted_micros: int = 0
    """What the approval counted for generated pictures, and is not promised yet."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, value: int, name: str, *, history: bool = True) -> str:
        """Enter a picture's hash; the reason why it may not be shown, or an empty text."""
        from chimera.media.own.hashing import ALIKE, distance  # OpenCV is loaded where pictures are made only

        with self.lock:
            for known, where in self.shown:
                if where != name and distance(known, value) <= ALIKE:
                    return f"looks like {where} of this video"
            for known, content in self.before if history else ():
                if distance(known, value) <= ALIKE:
                    return f"was shown in content {content}"
            self.shown.append((value, name))
        return ""

    def claim(self, library: str, key: str) -> bool:
        """Reserve a library's picture for one scene."""
        with self.lock:
            fresh = (library, key) not in self.claimed
            self.claimed.add((library, key))
        return fresh

    def promise(self, micros: int) -> bool:
        """Set aside what a call can cost; False where the approval did not count it."""
        with self.lock:
            if micros > self.counted_micros:
                return False
            self.counted_micros -= micros
        return True


@dataclass(frozen=True, kw_only=True)
class Finder:
    """Everything that finding needs; one for a video."""

    media: MediaStore
    registry: Registry
    libraries: Sequence[Library]
    makers: Sequence[PictureMaker]
    own: dict[int, list[tuple[OwnAsset, float]]]
    theme: Theme
    size: tuple[int, int]
    aspect: str
    fps: int
    tone: str
    language: str
    folder: Path
    ground: Callable[[PictureAsk], Path]
    hold: Callable[[PictureAsk, Path], bool]
    kept: Callable[[PictureAsk, str], KeptWork]
    until: float
    """`time.monotonic()` after which nobody outside is waited for any more."""
    may_wait: bool
    """Whether there is another attempt for what is not there in time (`NotReadyError`); else something else is shown."""
    offers: dict[int, list[tuple[Library, Candidate, float]]] = field(default_factory=dict)
    refused: dict[int, list[str]] = field(default_factory=dict)
    left_out: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    """The user's own files that the scene could not show."""

    def search(self, asks: Sequence[PictureAsk]) -> None:
        """Ask every library for every scene that has nothing of the user's own, at the same time; reserve the best offers."""
        open_asks = [a for a in asks if a.sought and not self.own.get(a.index)]
        jobs = [
            (a, library, want)
            for a in open_asks
            for want in _wants(a)
            for library in self.libraries
            if want in library.delivers
        ]
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            answers = list(pool.map(lambda job: self._offers(*job), jobs))
        for (ask, library, _), found in zip(jobs, answers, strict=True):
            self.offers.setdefault(ask.index, []).extend((library, candidate, score) for candidate, score in found)
        for ask in open_asks:  # in the scenes' order, so that the same answers give the same video
            mine = self.offers.get(ask.index, [])
            first = next((at for at, (lib, c, _) in enumerate(mine) if self.registry.claim(lib.name, c.key)), None)
            self.offers[ask.index] = mine[first:] if first is not None else []

    def find(self, ask: PictureAsk) -> dict[str, Any] | None:
        """The scene's picture as its entry in `pictures.json`, its files in `folder`; None: nothing that does.

        Raises `NotReadyError` where what was asked for may still come in another attempt.
        """
        work = self.folder / f"work-{ask.index:03d}"
        work.mkdir(exist_ok=True)
        for asset, score in self.own.get(ask.index, ()):
            named = bool(ask.wish and ask.wish.asset) and score == 1.0
            facts = {
                "provider": "own", "model": "own", "licence": OWN_LICENCE, "author": "the user", "origin": "person",
                "source": asset.key or asset.name, "fit": score,
            }  # fmt: skip
            entry = self._try(
                ask, "own", partial(local_file, asset, self.media, work), facts,
                history=asset.given == "persona" and not named, most_soft=12.0,
            )  # fmt: skip
            if entry:
                return entry
            reason = self.refused[ask.index][-1].removeprefix("own: ")
            self.left_out.setdefault(ask.index, []).append({"file": asset.name[:120], "reason": reason})
        if not ask.sought:
            return None
        return self._from_libraries(ask, work) or self._from_makers(ask, work)

    def no(self, ask: PictureAsk, reason: str) -> None:
        """Note why something was not taken."""
        self.refused.setdefault(ask.index, []).append(reason[:300])

    def _offers(self, ask: PictureAsk, library: Library, want: str) -> list[tuple[Candidate, float]]:
        try:
            found = library.search(
                ask.prompt or ask.spec.narration, want=want, orientation=orientation(self.size), language=self.language
            )
        except ChimeraError as error:
            if error.code in ENDS_THE_STEP:
                raise
            self.no(ask, f"{library.name}: {error.code}: {error.message}")
            return []
        frame = self._frame(ask)
        scored = []
        for candidate in found:
            score = fit(
                wish=ask.prompt, sentence=ask.spec.narration, text=candidate.text, size=(candidate.width, candidate.height),
                frame=frame, seconds=candidate.seconds, wanted_seconds=ask.seconds if want == "footage" else 0.0,
            )  # fmt: skip
            if score >= THRESHOLD:
                scored.append((candidate, score))
        if not scored:
            best = f"; {len(found)} found, none fits" if found else "; nothing found"
            self.no(ask, f"{library.name}: no {want}{best}")
        return sorted(scored, key=lambda pair: -pair[1])

    def _from_libraries(self, ask: PictureAsk, work: Path) -> dict[str, Any] | None:
        for at, (library, candidate, score) in enumerate(self.offers.get(ask.index, ())):
            if at > 0 and not self.registry.claim(library.name, candidate.key):
                continue
            if time.monotonic() + FETCH_SECONDS > self.until:
                self.no(ask, f"{library.name}: the step had no time left to fetch it")
                break
            facts = {
                "provider": library.name, "model": library.name, "licence": candidate.licence,
                "licence_url": candidate.licence_url, "author": candidate.author or "unknown author",
                "author_url": candidate.author_url, "source": candidate.source or candidate.file_url, "origin": "person",
                "fit": score, "credit": candidate.credit,
            }  # fmt: skip
            entry = self._try(ask, library.name, partial(library.fetch, candidate, work), facts)
            if entry:
                return entry
            if at >= 4:
                break
        return None

    def _from_makers(self, ask: PictureAsk, work: Path) -> dict[str, Any] | None:
        prompt = generator_prompt(ask, tone=self.tone, theme=self.theme)
        for want in _wants(ask):
            for maker in (m for m in self.makers if m.makes == want):
                facts = {
                    "provider": maker.name, "model": maker.model, "licence": str(getattr(maker, "licence", "unknown")),
                    "author": str(getattr(maker, "author", maker.name)), "origin": str(getattr(maker, "origin", "trained_model")),
                    "source": str(getattr(maker, "source", "")), "prompt": prompt,
                }  # fmt: skip
                entry = self._try(
                    ask,
                    maker.name,
                    partial(self._made, ask, maker, prompt, work),
                    facts,
                )
                if entry:
                    return entry
        return None

    def _made(self, ask: PictureAsk, maker: PictureMaker, prompt: str, work: Path) -> Path:
        kept = self.kept(ask, maker.name)
        known = kept.found(work)
        if known is not None:
            return known
        if time.monotonic() + longest_seconds(maker) > self.until:
            if self.may_wait:
                raise NotReadyError(f"{ask.name}: no time was left to wait for {maker.name}")
            raise ChimeraError("PROVIDER_TIMEOUT", "the step had no time left to wait for it")
        if "task" not in kept.noted():
            worst = maker.worst_case(prompt, aspect=self.aspect, seconds=ask.seconds)
            if not self.registry.promise(worst):
                raise ChimeraError("BUDGET_EXCEEDED", "the approval did not count this picture in")
            kept.promise(worst)
        try:
            return maker.make(
                prompt, call_id=f"scene-{ask.index}", aspect=self.aspect, seconds=ask.seconds, folder=work, kept=kept
            )
        except ChimeraError as error:
            # what is paid for and still being made must not be thrown away for a card
            if self.may_wait and error.retryable and error.code not in ENDS_THE_STEP and "task" in kept.noted():
                raise NotReadyError(f"{ask.name}: {maker.name}: {error.message}") from error
            raise

    def _try(
        self, ask: PictureAsk, who: str, get: Callable[[], Path], facts: dict[str, Any], *, history: bool = True,
        most_soft: float = SOFT,
    ) -> dict[str, Any] | None:  # fmt: skip
        try:
            source = get()
            files, value, upscale = self._prepare(ask, source)
        except ChimeraError as error:
            if error.code in ENDS_THE_STEP or error.details.get("reason") == "disk_full":
                raise
            self.no(ask, f"{who}: {error.code}: {error.message}")
            return None
        if upscale > most_soft:
            self.no(ask, f"{who}: too small, it would be enlarged {upscale:.1f} times")
            return None
        reason = self.registry.take(value, ask.name, history=history)
        if reason:
            self.no(ask, f"{who}: {facts.get('source', '')[:120]} {reason}")
            return None
        return {"prompt": ask.prompt, "scrim": ask.scrim, **facts, **files, "phash": f"{value:016x}"}

    def _frame(self, ask: PictureAsk) -> tuple[int, int]:
        if ask.wish is None or ask.wish.window is None:
            return self.size
        scale = self.size[0] / layout_for(self.size).width
        return round(ask.wish.window.width * scale), round(ask.wish.window.height * scale)

    def _prepare(self, ask: PictureAsk, source: Path) -> tuple[dict[str, Any], int, float]:
        """Cut to the frame or the window; the entry's files, the picture's own hash, how much it was enlarged."""
        from chimera.media.own.footage import prepare_footage
        from chimera.media.own.picture import prepare_picture, still
        from chimera.media.own.probe import probe
        from chimera.media.own.sniff import sniff
        from chimera.media.windows import footage_into, picture_size, set_into, window_box

        window, image = ask.wish.window if ask.wish else None, f"{ask.name}.jpg"
        corner = ask.wish.corner if ask.wish else 0.0
        if sniff(source).family == "picture":
            if window is None:
                done = prepare_picture(
                    source, size=picture_size(self.size), out=self.folder / image, background=self.theme.background
                )
                if ask.instead and self.hold(ask, self.folder / image):
                    return {"image": image, "scrim": 0.0}, done.hash, done.upscale
            else:
                image = f"{ask.name}.png"
                box = window_box(window, corner, self.size, margin=True)
                inner = self.folder / f"inner-{ask.name}.png"
                done = prepare_picture(
                    source, size=(box.width, box.height), out=inner, background=self.theme.background
                )
                set_into(self.ground(ask), inner, box, self.folder / image)
            return {"image": image}, done.hash, done.upscale
        name = f"{ask.name}.mp4"
        target = self.folder / name
        if window is None:
            moving = prepare_footage(source, size=self.size, fps=self.fps, seconds=ask.seconds, out=target)
        else:
            box = window_box(window, corner, self.size, margin=False)
            inner = self.folder / f"inner-{name}"
            moving = prepare_footage(source, size=(box.width, box.height), fps=self.fps, seconds=ask.seconds, out=inner)
            footage_into(self.ground(ask), inner, box, size=self.size, fps=self.fps, out=target)
        poster = still(target, probe(target), 0.0, self.folder / f"{ask.name}.png")
        return (
            {"image": poster.name, "footage": name, "footage_start": 0.0, "seconds": moving.seconds},
            moving.hash, moving.upscale,
        )  # fmt: skip


def _wants(ask: PictureAsk) -> tuple[str, ...]:
    """A still stands in for footage, never the other way round: stock footage where a photograph was asked for distracts."""
    return ("footage", "photo") if ask.want == "footage" else ("photo",)
