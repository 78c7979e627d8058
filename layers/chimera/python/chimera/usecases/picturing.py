"""Artist: gives each scene its picture: the user's own, a library's, a generated one, or a designed card."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from chimera.domain.models import BrandGuidelines
from chimera.domain.options import RunOptions
from chimera.errors import ChimeraError
from chimera.media.models import frame_size
from chimera.media.theme import resolved
from chimera.ports import Library
from chimera.purse import Purse
from chimera.templates.storyboard import PictureWish, Storyboard
from chimera.usecases.costs import Meter, metered
from chimera.usecases.own_pictures import own_assets
from chimera.usecases.picture_asks import AT_ONCE, Asked, PictureAsk, allowed_makers, asked_of, described, share_out
from chimera.usecases.picture_finding import ENDS_THE_STEP, WORKERS, Finder, NotReadyError, Registry
from chimera.usecases.picture_history import Shown, keep_shown, shown_before
from chimera.usecases.picture_keeping import KeptWork, SceneCheckpoints, Waits
from chimera.usecases.production import MadeContent, fingerprint_of, summary, terms_of, time_limit, worst_case

SPARE_SECONDS = 45.0
"""Of the step's time limit: for preparing what came last, for the cards, and for writing it all down."""
MOST_WAITS = 2
"""How often the step ends with `PROVIDER_TIMEOUT`, to be begun again by the state machine (which does so three times), because
a picture is not there yet; after that a card stands in."""


@dataclass(frozen=True, kw_only=True)
class PictureRules:
    """What settings and world say. `libraries`: where pictures may be found, by name; `allow_files`: this is a laptop."""

    now: Callable[[], datetime]
    libraries: Mapping[str, Library] = field(default_factory=dict)
    allow_files: bool = True
    paid_pictures: bool = False


def paint(made: MadeContent, canvases: Mapping[str, Any], purse: Purse, rules: PictureRules) -> dict[str, Any]:
    """Give each scene of the storyboard (or of the brief) its picture, and write `pictures/pictures.json`.

    `PROVIDER_TIMEOUT`: a generator needs longer than this attempt may take. What it was paid for is noted, the other scenes
    are kept; the next attempt goes on there.
    """
    ask = made.read("brief", "material.json")
    job = _Job.of(made, ask, canvases, rules)
    known = made.read_or_none("pictures", "pictures.json")
    if known and known["fingerprint"] == job.fingerprint:
        return summary(known, reused=True)
    media, scope, limit = made.media, made.scope, worst_case(made, "pictures")
    with (
        metered(media, scope.prefix, "pictures", gigabytes=1, purse=purse, worst_case_micros=limit) as meter,
        tempfile.TemporaryDirectory(prefix="pictures-") as folder,
    ):
        result = _Painting(made, job, rules, Path(folder).resolve(), meter).all()
    made.write("pictures", "pictures.json", result)
    hashes = [int(scene["phash"], 16) for scene in result["scenes"] if scene["provider"] != job.painter.name]
    keep_shown(
        media,
        scope.tenant_id,
        job.persona_id,
        scope.content_id,
        hashes=hashes,
        opening=result["opening"],
        now=rules.now(),
    )
    return summary(result, reused=False)


@dataclass(frozen=True)
class _Job:
    """What is to be done, read once."""

    asked: Asked
    options: RunOptions
    guidelines: BrandGuidelines
    persona_id: str
    tone: str
    seed: int
    painter: Any
    spare: Any
    libraries: list[Library]
    makers: list[Any]
    counted_micros: int
    fingerprint: str

    @classmethod
    def of(cls, made: MadeContent, ask: dict[str, Any], canvases: Mapping[str, Any], rules: PictureRules) -> _Job:
        options = RunOptions.model_validate(ask["options"])
        persona = ask["persona"]
        guidelines = BrandGuidelines.model_validate(persona["brand_guidelines"])
        seed = int(ask["material"]["seed"]) + made.scope.attempt
        painters = sorted(
            (c for c in canvases.values() if hasattr(c, "paint")), key=lambda c: (getattr(c, "priority", 100), c.name)
        )
        if not painters:
            raise ChimeraError("NOT_FOUND", "no canvas that paints cards is installed", {"kind": "canvases"})
        makers = {name: c for name, c in canvases.items() if hasattr(c, "make")}
        paid = (made.read_or_none("brief", "request.json") or {}).get("paid") or {}
        counted = int(paid.get("pictures", 0))
        able = allowed_makers(makers, guidelines.libraries, paid_pictures=rules.paid_pictures) if counted else []
        libraries = [
            rules.libraries[n] for n in guidelines.libraries if n in rules.libraries and rules.libraries[n].ready
        ]
        board = made.read_or_none("brief", "storyboard.json")
        brief = made.brief()
        seeks = bool(options.assets or guidelines.assets or libraries or able)
        asked = asked_of(
            brief, Storyboard.model_validate(board) if board else None, brand=guidelines.theme, seed=seed, seeks=seeks
        )
        fingerprint = fingerprint_of(
            [described(one) for one in asked.asks], described(asked.outro) if asked.outro else None,
            asked.theme.model_dump(), asked.title, seed, options.aspect, options.resolution, options.fps,
            painters[0].name, getattr(painters[0], "model", ""), [one.name for one in libraries],
            [(one.name, one.model) for one in able], options.assets, guidelines.assets,
        )  # fmt: skip
        return cls(
            asked=asked, options=options, guidelines=guidelines, persona_id=str(persona.get("persona_id", "")),
            tone=str(persona.get("tone", "")), seed=seed, painter=painters[0], spare=painters[-1], libraries=libraries,
            makers=able, counted_micros=counted, fingerprint=fingerprint,
        )  # fmt: skip


class _Painting:
    """One run of the step."""

    def __init__(self, made: MadeContent, job: _Job, rules: PictureRules, folder: Path, meter: Meter) -> None:
        self._made, self._job, self._folder, self._meter = made, job, folder, meter
        self._size = frame_size(job.options.aspect, job.options.resolution)
        self._done = SceneCheckpoints(made.media, made.scope)
        self._waits = Waits(made.media, made.scope, job.fingerprint)
        scope = made.scope
        self._before: Shown = shown_before(made.media, scope.tenant_id, job.persona_id, scope.content_id)
        own = own_assets(
            job.options.assets, job.guidelines.assets, tenant_id=scope.tenant_id, media=made.media,
            allow_files=rules.allow_files,
        )  # fmt: skip
        self._left_out = [asdict(one) for one in own.left_out]
        shares, missing = share_out(job.asked.asks, own.assets)
        spent = KeptWork.promised_before(made.media, made.scope)
        registry = Registry(before=self._before.hashes, counted_micros=max(job.counted_micros - spent, 0))
        self._finder = Finder(
            media=made.media, registry=registry, libraries=job.libraries, makers=job.makers, own=shares,
            theme=job.asked.theme, size=self._size, aspect=job.options.aspect, fps=job.options.fps, tone=job.tone,
            language=job.asked.language, folder=folder, ground=self._ground, hold=self._hold, kept=self._kept,
            until=time.monotonic() + time_limit(made, "pictures") - SPARE_SECONDS,
            may_wait=self._waits.so_far() < MOST_WAITS,
        )  # fmt: skip
        for ask in job.asked.asks:
            if ask.index in missing:
                self._finder.no(ask, missing[ask.index])
        every = [*job.asked.asks, *([job.asked.outro] if job.asked.outro else [])]
        wishes = [ask.wish or _plain_layout(ask) for ask in every]
        looks = getattr(job.painter, "looks", None)
        self._looks = (
            looks([a.spec for a in every], wishes, seed=job.seed, recent=self._before.openings) if looks else None
        )
        self._every = every

    def all(self) -> dict[str, Any]:
        """Every scene: what a killed attempt finished is taken as it is, the rest is made, some at a time."""
        entries: dict[int, dict[str, Any]] = {}
        for ask in self._every:
            known = self._done.known(ask.name, self._fingerprint(ask))
            if known:
                entries[ask.index] = known
                if known["provider"] != self._job.painter.name:
                    self._finder.registry.take(int(known["phash"], 16), ask.name, history=False)
        rest = [ask for ask in self._every if ask.index not in entries]
        self._finder.search(rest)
        waited_for: list[str] = []
        # who waits for a generator needs no processor
        with ThreadPoolExecutor(max_workers=AT_ONCE if self._job.makers else WORKERS) as pool:
            futures = [(ask, pool.submit(self._one, ask)) for ask in rest]
            try:
                for ask, future in futures:
                    try:
                        entries[ask.index] = future.result()
                    except NotReadyError as late:
                        waited_for.append(str(late)[:300])
                    self._meter.checkpoint()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        if waited_for:
            self._waits.once_more()
            raise ChimeraError(
                "PROVIDER_TIMEOUT",
                f"{len(waited_for)} of {len(self._every)} pictures are not done yet; the next attempt goes on with them",
                {"waited_for": waited_for[:10]},
            )
        return self._result([entries[ask.index] for ask in self._every])

    def _one(self, ask: PictureAsk) -> dict[str, Any]:
        entry = self._finder.find(ask) or self._card(ask)
        entry["refused"] = self._finder.refused.get(ask.index, [])
        entry["left_out"] = self._finder.left_out.get(ask.index, [])
        self._done.keep(ask.name, self._fingerprint(ask), entry, self._folder)
        return entry

    def _card(self, ask: PictureAsk) -> dict[str, Any]:
        look = self._looks[ask.index] if self._looks else None
        painter, path = self._job.painter, self._folder / f"{ask.name}.png"
        try:
            self._paint_card(painter, ask, path)
        except ChimeraError as error:
            if painter is self._job.spare or error.code in ENDS_THE_STEP:
                raise
            self._finder.no(ask, f"{painter.name}: {error.code}: {error.message}")
            painter, look = self._job.spare, None
            self._paint_card(painter, ask, path)
        return {
            "image": path.name, "provider": painter.name, "model": getattr(painter, "model", painter.name),
            **terms_of(painter), "family": look.name if look else "", "phash": f"{_hash(path):016x}", "prompt": ask.prompt,
            "fit": None,
        }  # fmt: skip

    def _paint_card(self, painter: Any, ask: PictureAsk, path: Path) -> None:
        """The scene's card; where the template gives it a window, painted for that and set on the window's ground."""
        from chimera.media.windows import set_into, window_box

        if ask.wish is None or ask.wish.window is None:
            self._paint(painter, ask, path)
            return
        try:
            box = window_box(ask.wish.window, ask.wish.corner, self._size, margin=True)
        except ChimeraError as error:
            self._finder.no(ask, f"{painter.name}: {error.message}")
            self._paint(painter, ask, path)
            return
        inner = self._folder / f"inner-{ask.name}.png"
        self._paint(painter, ask, inner, size=(box.width, box.height))
        set_into(self._ground(ask), inner, box, path)

    def _paint(
        self, painter: Any, ask: PictureAsk, path: Path, *,
        wish: PictureWish | None = None, size: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """`wish`: instead of the scene's; `size`: a window's, in which no type stands."""
        job = self._job
        more: dict[str, Any] = {}
        if hasattr(painter, "looks"):
            look = self._looks[ask.index] if self._looks and wish is None else None
            more = {"wish": wish or ask.wish, "look": look, "type_areas": ask.areas if size is None else ()}
        painter.paint(
            ask.spec, index=ask.index, count=len(job.asked.asks) if job.asked.outro else len(job.asked.asks) + 1,
            title=job.asked.title, seed=job.seed, size=size or self._size, theme=job.asked.theme, out_png=path, **more,
        )  # fmt: skip

    def _ground(self, ask: PictureAsk) -> Path:
        """What a window is set on."""
        from chimera.media.windows import plain_ground

        kind, path = (ask.wish.ground if ask.wish else "card"), self._folder / f"ground-{ask.name}.png"
        if kind != "card":
            theme = self._job.asked.theme
            return plain_ground(resolved(theme, kind), self._size, path)
        self._paint(self._job.spare, ask, path, wish=PictureWish(want="plain"))
        return path

    def _hold(self, ask: PictureAsk, path: Path) -> bool:
        """Holds a picture back where type will stand; False where no canvas here can, so that it is darkened instead."""
        hold = getattr(self._job.spare, "hold", None)
        if hold is not None:
            hold(path, size=self._size, theme=self._job.asked.theme, type_areas=ask.areas)
        return hold is not None

    def _kept(self, ask: PictureAsk, maker: str) -> KeptWork:
        return KeptWork(self._made.media, self._made.scope, f"{ask.name}-{maker}", self._work(ask))

    def _work(self, ask: PictureAsk) -> str:
        """What a bought picture depends on. Not the seed: a second attempt at a video shows what was paid for already."""
        job = self._job
        return fingerprint_of(described(ask), job.asked.theme.model_dump(), job.tone, job.options.aspect)

    def _fingerprint(self, ask: PictureAsk) -> str:
        """What a scene's entry depends on; of the other scenes only through its card's look."""
        job = self._job
        return fingerprint_of(
            self._work(ask), self._size, job.options.fps, job.seed, job.painter.name, job.asked.title,
            self._looks[ask.index].name if self._looks else "", [one.name for one in job.libraries],
            [(one.name, one.model) for one in job.makers], job.options.assets, job.guidelines.assets,
        )  # fmt: skip

    def _result(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        job = self._job
        scenes = list(entries[: len(job.asked.asks)])
        outro = entries[-1]
        providers = Counter(scene["provider"] for scene in scenes)
        credits = list(dict.fromkeys(credit_line(scene) for scene in scenes if scene.get("credit")))
        return {
            "fingerprint": job.fingerprint,
            "provider": next(iter(providers)) if len(providers) == 1 else "mixed",
            "model": getattr(job.painter, "model", job.painter.name),
            **terms_of(job.painter),
            "seed": job.seed,
            "theme": job.asked.theme.model_dump(),
            "scenes": scenes,
            "outro": outro,
            "opening": scenes[0].get("family", ""),
            "credits": credits,
            "left_out": [*self._left_out, *(one for entry in entries for one in entry.get("left_out", ()))][:50],
            "counts": dict(providers),
        }


def credit_line(scene: Mapping[str, Any]) -> str:
    """The credit as a post's description carries it: the line that the terms ask for, and where the picture is shown."""
    return f"{scene['credit']} ({scene['source']})"[:800]


def _plain_layout(ask: PictureAsk) -> PictureWish | None:
    """What the closing card of the plain layout wishes for; its scenes wish for nothing that their words do not say."""
    return PictureWish(want="plain", style="outro") if ask.want == "plain" else None


def _hash(path: Path) -> int:
    import cv2
    import numpy as np

    from chimera.media.own.hashing import hash_of

    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ChimeraError("INTERNAL", "the card that was painted cannot be read")
    return hash_of(np.asarray(picture, dtype=np.uint8))
