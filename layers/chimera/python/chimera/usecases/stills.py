"""What the render container does for an image post, carousel or thread: makes the cards and posts, and measures them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chimera.domain.bill import BillItem, BillOfMaterials, SignedFile, source_type
from chimera.domain.cards import CARD_COUNTS, POST_COUNTS, card_kind, card_kinds, card_name, set_sha256
from chimera.domain.models import Brief
from chimera.errors import ChimeraError
from chimera.media.layers import texts_of
from chimera.media.models import RenderJob
from chimera.media.text import clean, shorten, source_names
from chimera.metrics import measure
from chimera.ports import ContentSigner
from chimera.purse import Purse
from chimera.templates.storyboard import Storyboard
from chimera.usecases.bill import bill_of_materials
from chimera.usecases.costs import Meter
from chimera.usecases.production import MadeContent, made_once
from chimera.usecases.render_job import job_of
from chimera.usecases.still_board import shows_something
from chimera.usecases.threads import Thread, cut_thread, too_long

if TYPE_CHECKING:
    from chimera.media.cards import Card
    from chimera.usecases.containers import Rendering

POST = "images/post.json"
BILL = "images/post.bom.json"
MOST_ALT = 1000


def render_stills(
    made: MadeContent,
    work: Path,
    progress: Callable[[float], None],
    purse: Purse,
    how: Rendering,
    fingerprint_of: Callable[[MadeContent, RenderJob], bytes],
) -> dict[str, Any]:
    """Make the cards of the storyboard and the posts of the script; done before, they are not made again."""
    from chimera.media.cards import make_cards

    brief, job, board = made.brief(), job_of(made), made.storyboard()
    # a card shows the still of its footage
    job = job.model_copy(update={"scenes": tuple(s.model_copy(update={"footage": None}) for s in job.scenes)})
    if board is None:
        raise ChimeraError("CONFLICT", f"{brief.format}: there is no storyboard; write the brief again", {})
    signer = how.credentials()
    platform = str(made.read("brief", "material.json")["options"].get("platform") or "")
    fingerprint = hashlib.sha256(
        job.model_dump_json(exclude={"scenes"}).encode() + fingerprint_of(made, job) + brief.format.encode()
        + json.dumps([brief.script, brief.sources, platform]).encode() + (b"signed" if signer else b"")
    ).hexdigest()  # fmt: skip

    def make(meter: Meter) -> dict[str, Any]:
        def onward(share: float) -> None:
            meter.checkpoint()
            progress(share * 0.7)

        started = time.monotonic()
        cards = make_cards(job, work / "cards", format=brief.format, progress=onward)  # type: ignore[arg-type]
        measure("video_production_duration_seconds", time.monotonic() - started, resolution=job.height)
        thread = _thread(brief, platform) if brief.format == "thread" else None
        post_media = [""] * len(thread.posts) if thread else []
        if thread:
            cards, post_media = _with_posts(cards, thread, board)
        bill, parts = bill_of_materials(made, job, ())
        signed = _signed(cards, bill, parts, job, signer, how)
        alts = [_alt(number, len(cards), card, board, brief) for number, card in enumerate(cards, 1)]
        files: dict[str, Any] = {}
        for number, (card, one) in enumerate(zip(cards, signed, strict=True), 1):
            kind = card_kind(number)
            key = f"{made.scope.prefix}/images/{card_name(kind)}"
            url = made.media.put_file(key, card.path)
            files[kind] = {"key": key, "url": url, "sha256": one.sha256, "size_bytes": one.size_bytes}
            progress(0.7 + 0.3 * number / len(cards))
        alt = {card_kind(number): text for number, text in enumerate(alts, 1)}
        posts = [post.text for post in thread.posts] if thread else []
        whole = set_sha256([one.sha256 for one in signed], posts=posts, post_media=post_media, alt=alt)
        size_bytes = sum(one.size_bytes for one in signed)
        left_out = _left_out(made, cards, thread)
        post = {
            "format": brief.format, "title": brief.title, "description": brief.description, "language": brief.language,
            "hashtags": brief.hashtags, "sources": brief.sources, "posts": posts, "post_media": post_media,
            "images": [{"kind": k, "file": card_name(k), "alt": alt[k]} for k in card_kinds(files)],
            "left_out": left_out, "ai_generated": True,
        }  # fmt: skip
        files["post"] = _keep(made, POST, json.dumps(post, ensure_ascii=False, indent=1).encode())
        first = signed[0].model_dump(include={"manifest", "signed_by", "signed_at"})
        stands_for_all = SignedFile(name="post", sha256=whole, size_bytes=size_bytes, **first)
        bill = bill.model_copy(update={"video": stands_for_all, "files": signed})
        files["bom"] = _keep(made, BILL, bill.model_dump_json(indent=1).encode())
        made.write("reports", "bill.json", bill.model_dump(mode="json"))
        return {
            "format": brief.format, "height_preset": job.height, "aspect": job.aspect, "template": job.template,
            "width": job.size[0], "height": job.size[1], "fps": 0, "duration_seconds": 0.0, "sha256": whole,
            "size_bytes": size_bytes, "files": files, "posts": posts, "post_media": post_media, "alt": alt,
            "platform": platform, "left_out": left_out, "music": [],
            "cards": [
                {"key": c.key, "kind": c.kind, "words": c.words, "dropped": list(c.dropped), "areas": [list(a) for a in c.areas]}
                for c in cards
            ],
        }  # fmt: skip

    report, fresh = made_once(made, purse, "render", "render.json", ("fingerprint", fingerprint), make)
    if not fresh:
        progress(1.0)
    return report


def inspect_stills(made: MadeContent, purse: Purse) -> dict[str, Any]:
    """Measure the finished cards and posts; numbers and checks, the judge decides."""
    from chimera.media.card_checks import KIND, card_quality, evaluate_cards, measure_cards

    render = made.read("reports", "render.json")

    def make(_meter: Meter) -> dict[str, Any]:
        pictures = made.read("pictures", "pictures.json")
        kinds = card_kinds(render["files"])
        paths = [made.media.fetch(render["files"][kind]["key"], Path(card_name(kind))) for kind in kinds]
        found = measure_cards(
            paths,
            areas=[[(a[0], a[1], a[2], a[3]) for a in card["areas"]] for card in render["cards"]],
            alt=[render["alt"].get(kind, "") for kind in kinds],
            posts_too_long=too_long(render["posts"], render["platform"]),
            posts=len(render["posts"]),
        )
        limits = {
            "cards": CARD_COUNTS[render["format"]],
            "posts": POST_COUNTS[render["format"]],
            "width": render["width"],
            "height": render["height"],
        }
        checks = evaluate_cards(found, limits)
        fits = [float(s["fit"]) for s in pictures["scenes"] if s.get("fit") is not None]
        return {
            "kind": KIND,
            "measurements": found,
            "limits": limits,
            "checks": [check.model_dump(mode="json") for check in checks],
            "quality": card_quality(found, checks, fits=fits).model_dump(mode="json"),
        }

    return made_once(made, purse, "inspect", "technical.json", ("sha256", render["sha256"]), make)[0]


def _labels(brief: Brief) -> tuple[str, str, str]:
    from chimera.media.type.sheet import labels_of  # typefaces are loaded only where something is rendered

    return labels_of(brief.language)


def _thread(brief: Brief, platform: str) -> Thread:
    one, many, made_with = _labels(brief)
    closing = [made_with]
    if brief.sources:
        addresses = [s for s in brief.sources if s.startswith(("http://", "https://"))]
        closing = [
            f"{many if len(brief.sources) > 1 else one}:",
            *(addresses or source_names(brief.sources)),
            made_with,
        ]
    return cut_thread(
        [clean(scene.narration) for scene in brief.scenes],
        title=brief.title,
        closing="\n".join(closing),
        platform=platform,
    )


def _with_posts(cards: Sequence[Card], thread: Thread, board: Storyboard) -> tuple[tuple[Card, ...], list[str]]:
    """The cards that a post has room for, in the posts' order, and each post's card: the first one the opening, another
    one the card of a scene that begins in it and shows something."""
    chosen: list[Card] = []
    media: list[str] = []
    for number, post in enumerate(thread.posts):
        found = cards[0] if number == 0 else _card_of(cards, post.scenes, board)
        if found is None or found in chosen:
            media.append("")
            continue
        chosen.append(found)
        media.append(card_kind(len(chosen)))
    return tuple(chosen), media


def _card_of(cards: Sequence[Card], scenes: Sequence[int], board: Storyboard) -> Card | None:
    for card in cards[1:]:
        story = board.scenes[card.scene] if card.scene is not None and card.scene < len(board.scenes) else None
        if story is not None and story.brief_scene in scenes and shows_something(story):
            return card
    return None


def _signed(
    cards: Sequence[Card],
    bill: BillOfMaterials,
    parts: dict[str, Path],
    job: RenderJob,
    signer: ContentSigner | None,
    how: Rendering,
) -> list[SignedFile]:
    """Each card's file with its manifest, which names what this card is made of; nothing changes the files after this."""
    found = []
    for card in cards:
        said: dict[str, str] = {}
        if signer is not None:
            from chimera.media.provenance import sign

            own = _bill_of(card, bill, parts, job)
            ours = {item.sha256: parts[item.sha256] for item in own.items if item.sha256 in parts}
            signed = sign(card.path, own, signer, parts=ours, mining=how.mining, timestamps=how.timestamps)
            said = signed.model_dump(include={"manifest", "signed_by", "signed_at"})
        with card.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = card.path.stat().st_size
        found.append(SignedFile(name=card.path.name, sha256=digest, size_bytes=size, **said))
    return found


def _bill_of(card: Card, bill: BillOfMaterials, parts: dict[str, Path], job: RenderJob) -> BillOfMaterials:
    """The bill without the other cards' pictures."""
    scene = job.scenes[card.scene] if card.scene is not None else None
    shown = {path.resolve() for path in (scene.image if scene else job.outro_image, job.logo) if path is not None}

    def here(item: BillItem) -> bool:
        return item.kind not in ("picture", "footage") or item.name == "logo" or (
            item.sha256 in parts and parts[item.sha256].resolve() in shown
        )  # fmt: skip

    items = [item for item in bill.items if here(item)]
    return bill.model_copy(update={"items": items, "digital_source_type": source_type(items)})


def _alt(number: int, count: int, card: Card, board: Storyboard, brief: Brief) -> str:
    """What a card shows, for who cannot see it: its type in reading order, then what the picture is of."""
    story = board.scenes[card.scene] if card.scene is not None and card.scene < len(board.scenes) else None
    place = f"Card {number} of {count}. " if count > 1 else ""
    if story is None or any(layer.kind == "sources" for layer in story.layers):
        names = ", ".join(source_names(brief.sources))
        one, many, made_with = _labels(brief)
        listed = f"{many if len(brief.sources) > 1 else one}: {names}. " if names else ""
        return shorten(f"{place}{listed}{made_with}.", MOST_ALT)
    said: list[str] = []
    for layer in story.layers:
        if layer.kind == "chart":
            title, *points = texts_of(layer)
            said.append(f"Chart{f' of {title}' if title else ''}: {', '.join(points)}")
        else:
            said += texts_of(layer)
    said.append(card.words)
    lines = [clean(text).rstrip(".") for text in dict.fromkeys(said) if clean(text)]
    at = story.brief_scene
    prompt = story.picture.prompt or (
        brief.scenes[at].visual_prompt if at is not None and at < len(brief.scenes) else ""
    )
    shown = f" Picture: {clean(prompt).rstrip('.')}." if prompt and story.picture.want != "plain" else ""
    room = MOST_ALT - len(shown)
    return shorten(f"{place}{'. '.join(lines)}.", room) + shown


def _left_out(made: MadeContent, cards: Sequence[Card], thread: Thread | None) -> list[str]:
    """What of the script is not in the post, in words."""
    request = made.read_or_none("brief", "request.json") or {}
    if thread is not None:
        return list(thread.left_out)
    keys = [f"scene {key}" for key in request.get("left_out", [])]
    return [*keys, *(sentence for card in cards for sentence in card.dropped)]


def _keep(made: MadeContent, name: str, data: bytes) -> dict[str, Any]:
    key = f"{made.scope.prefix}/{name}"
    url = made.media.put_bytes(key, data)
    return {"key": key, "url": url, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
