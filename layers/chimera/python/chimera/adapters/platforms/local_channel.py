"""The platform "local": a folder of posts with a feed and a page, published to exactly once.

A post's folder name comes from the idempotency key. A post is made beside its place and moved there in one
rename; feed and page are written anew from the posts. So a kill at any point leaves either no post or a
whole one, and the next call of any kind finishes what is missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.platforms.feed import Post, page, rss
from chimera.domain.cards import CARD_COUNTS, POST_COUNTS, card_kinds, card_name, is_still
from chimera.domain.models import EngagementMetrics, PublishRequest, Receipt
from chimera.errors import ChimeraError
from chimera.ports import Clock, MediaStore

NAMES = {"video": "video.mp4", "thumbnail": "thumbnail.jpg", "vtt": "captions.vtt", "srt": "captions.srt"}
MAX_BYTES = 100_000_000
MAX_IMAGE_BYTES = 8_000_000
MAX_SECONDS = 600
_POST_ID = re.compile(r"[0-9a-f]{20}")


def post_id_of(idempotency_key: str) -> str:
    """The post's id: the same for the same key."""
    return hashlib.sha256(f"chimera-local-post\n{idempotency_key}".encode()).hexdigest()[:20]


class LocalChannel:
    """Posts under `root`: `posts/<id>/`, `feed.xml`, `index.html`, `stats/<id>.json`."""

    name = "local"
    dedupes_by_key = True

    def __init__(self, root: Path, media: MediaStore, base_url: str, clock: Clock | None = None) -> None:
        self._root = root
        self._media = media
        self._base = base_url.rstrip("/")
        self._clock = clock or SystemClock()

    @property
    def _posts(self) -> Path:
        return self._root / "posts"

    # --- the Platform port

    def preflight(self, request: PublishRequest) -> list[str]:
        """Why this cannot be posted: file missing, too large, not a video of 1–600 s, no title."""
        problems = []
        if not request.title.strip():
            problems.append("the title is empty")
        missing = [f"{kind} ({key})" for kind, key in sorted(request.media.items()) if not self._media.exists(key)]
        if missing:
            problems.append(f"media not found: {', '.join(missing)}")
        if is_still(request.format):
            return problems or self._still_problems(request)
        unknown = sorted(set(request.media) - set(NAMES))
        if unknown:
            problems.append(f"media of unknown kind: {', '.join(unknown)}; known: {', '.join(NAMES)}")
        if "video" not in request.media:
            problems.append("there is no video")
        if problems:
            return problems
        with tempfile.TemporaryDirectory(prefix="chimera-preflight-") as folder:
            video = self._media.fetch(request.media["video"], Path(folder) / "video.mp4")
            size = video.stat().st_size
            if not 0 < size <= MAX_BYTES:
                problems.append(f"the video has {size} bytes, expected 1 to {MAX_BYTES}")
            facts = probe(video)
        if facts is None:
            problems.append("the video cannot be read as MP4")
        elif not 1 <= facts[0] <= MAX_SECONDS:
            problems.append(f"the video lasts {facts[0]:.1f} s, expected 1 to {MAX_SECONDS}")
        return problems

    def _still_problems(self, request: PublishRequest) -> list[str]:
        """Too few, too many or broken pictures; a thread without posts, or with a picture of none."""
        kinds = card_kinds(request.media)
        problems = []
        for what, count, (fewest, most) in (
            ("pictures", len(kinds), CARD_COUNTS[request.format]),
            ("posts", len(request.posts), POST_COUNTS[request.format]),
        ):
            if not fewest <= count <= most:
                problems.append(f"{request.format}: got {count} {what}, expected {fewest} to {most}")
        unknown = sorted(set(request.media) - set(kinds))
        if unknown:
            problems.append(f"media of unknown kind: {', '.join(unknown)}; known: card_01 to card_25")
        if request.posts and (
            len(request.post_media) != len(request.posts) or not all(p.strip() for p in request.posts)
        ):
            problems.append("each post of a thread needs its text, and a picture or none")
        strange = sorted({kind for kind in request.post_media if kind} - set(kinds))
        if strange:
            problems.append(f"posts with pictures that are not there: {', '.join(strange)}")
        with tempfile.TemporaryDirectory(prefix="chimera-preflight-") as folder:
            for kind in kinds:
                picture = self._media.fetch(request.media[kind], Path(folder) / card_name(kind))
                size = picture.stat().st_size
                if not 0 < size <= MAX_IMAGE_BYTES:
                    problems.append(f"{kind} has {size} bytes, expected 1 to {MAX_IMAGE_BYTES}")
                elif jpeg_size(picture) is None:
                    problems.append(f"{kind} cannot be read as JPEG")
        return problems

    def lookup(self, request: PublishRequest) -> Receipt | None:
        """The post of this key, if it is there; a feed that a killed publisher left behind is completed."""
        try:
            with self._locked():
                post = self._read(self._posts / post_id_of(request.idempotency_key))
                if post is None:
                    return None
                self._complete(post)
                return self._receipt(post)
        except OSError as error:
            raise _unknown("looked up", error) from error

    def publish(self, request: PublishRequest) -> Receipt:
        """Posts once for each idempotency key; asked again, the first post's receipt."""
        post_id = post_id_of(request.idempotency_key)
        target = self._posts / post_id
        try:
            with self._locked():
                self._remove_leftovers()
                post = self._read(target)
                if post is None:
                    post = self._stage_and_move(request, post_id, target)
                self._complete(post)
                return self._receipt(post)
        except OSError as error:
            raise _unknown("published", error) from error

    def metrics(self, post_id: str) -> EngagementMetrics:
        """The views that the gateway counted; None as long as it counted nothing. A folder has no likes."""
        path = self._stats(post_id)
        try:
            views = json.loads(path.read_bytes())["views"]
            return EngagementMetrics(views=views)
        except FileNotFoundError:
            return EngagementMetrics()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ChimeraError(
                "PROVIDER_REJECTED",
                f"the counters of post {post_id} cannot be read",
                {"reason": str(error)[:200]},
            ) from error

    # --- for the gateway

    def count_view(self, post_id: str) -> int:
        """Count one view and give the new count; `NOT_FOUND` if there is no such post."""
        path = self._stats(post_id)
        if not (self._posts / post_id).is_dir():
            raise ChimeraError("NOT_FOUND", f"no post {post_id!r}", {"post_id": post_id})
        with self._locked():
            views = (self.metrics(post_id).views or 0) + 1
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, json.dumps({"views": views}).encode())
        return views

    def rebuild(self) -> None:
        """Write feed and page anew from the posts; for a changed address, and an empty channel."""
        with self._locked():
            self._remove_leftovers()
            self._write_feed()

    # --- inside the lock

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; the system gives the lock back when its holder dies."""
        self._posts.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _remove_leftovers(self) -> None:
        """What a killed publisher staged: nobody else can be staging while we hold the lock."""
        for stale in (*self._posts.glob(".stage-*"), *self._root.glob(".*.part")):
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink(missing_ok=True)

    def _stage_and_move(self, request: PublishRequest, post_id: str, target: Path) -> Post:
        stage = Path(tempfile.mkdtemp(dir=self._posts, prefix=f".stage-{post_id}-"))
        stage.chmod(0o755)
        files: dict[str, int] = {}
        names = {**NAMES, **{kind: card_name(kind) for kind in card_kinds(request.media)}}
        for kind, name in names.items():
            if kind in request.media:
                copy = stage / name
                source = self._media.fetch(request.media[kind], copy)
                if source != copy:  # a copy, not a link: what is posted must not change when a file is made again
                    shutil.copyfile(source, copy)
                _flush(copy)
                files[name] = copy.stat().st_size
        facts = probe(stage / "video.mp4") if "video.mp4" in files else None
        duration, width, height = facts or (request.duration_seconds, None, None)
        if facts is None and "card-01.jpg" in files:
            width, height = jpeg_size(stage / "card-01.jpg") or (None, None)
        post = Post(
            post_id=post_id,
            **request.model_dump(exclude={"platform", "scheduled_at", "media", "duration_seconds", "ai_generated"}),
            published_at=self._clock.now(),
            duration_seconds=duration,
            width=width,
            height=height,
            files=files,
        )
        _write(stage / "post.json", (post.model_dump_json(indent=1) + "\n").encode())
        stage.rename(target)
        _flush(self._posts)
        return post

    def _complete(self, post: Post) -> None:
        """Make sure that feed and page tell of the post."""
        if post.visibility == "public":
            mark = f"urn:chimera:post:{post.post_id}<".encode()
            anchor = f'id="{post.post_id}"'.encode()
            if mark in _bytes(self._root / "feed.xml") and anchor in _bytes(self._root / "index.html"):
                return
        self._write_feed()

    def _write_feed(self) -> None:
        posts = [post for folder in self._posts.iterdir() if (post := self._readable(folder)) is not None]
        posts = [post for post in posts if post.visibility == "public"]
        posts.sort(key=lambda post: (post.published_at, post.post_id), reverse=True)
        language = posts[0].language if posts else "en"
        _write(self._root / "index.html", page(posts, language))
        _write(self._root / "feed.xml", rss(posts, self._base, language))

    def _read(self, folder: Path) -> Post | None:
        """The post in the folder; None if there is none; `OUTCOME_UNKNOWN` if it cannot be read."""
        try:
            return Post.model_validate_json((folder / "post.json").read_bytes())
        except FileNotFoundError:
            if folder.exists():
                raise _unknown("read", FileNotFoundError(str(folder / "post.json"))) from None
            return None
        except ValidationError as error:
            raise _unknown("read", error) from error

    def _readable(self, folder: Path) -> Post | None:
        """The post in the folder, or None: one broken post must not take the feed down."""
        try:
            return self._read(folder) if _POST_ID.fullmatch(folder.name) else None
        except ChimeraError:
            return None

    def _receipt(self, post: Post) -> Receipt:
        return Receipt(
            publication_id=post.idempotency_key,
            platform=self.name,
            channel_id=post.channel_id,
            post_id=post.post_id,
            url=f"{self._base}/channel/index.html#{post.post_id}",
            status="published",
            published_at=post.published_at,
            attempts=1,
            idempotency_key=post.idempotency_key,
        )

    def _stats(self, post_id: str) -> Path:
        if not _POST_ID.fullmatch(post_id):
            raise ChimeraError("NOT_FOUND", f"no post {post_id[:80]!r}", {"post_id": post_id[:80]})
        return self._root / "stats" / f"{post_id}.json"


def jpeg_size(picture: Path) -> tuple[int, int] | None:
    """Width and height of a whole JPEG file that can be decoded, or None."""
    import av

    try:
        data = picture.read_bytes()
        if not data.startswith(b"\xff\xd8\xff") or not data.rstrip(b"\0").endswith(b"\xff\xd9"):
            return None
        with av.open(str(picture), format="jpeg_pipe") as container:
            frame: Any = next(container.decode(video=0))
            return int(frame.width), int(frame.height)
    except (av.FFmpegError, OSError, ValueError, StopIteration):
        return None


def probe(video: Path) -> tuple[float, int, int] | None:
    """Seconds, width and height of a video file, or None if it is not one."""
    import av

    try:
        with av.open(str(video), format="mp4") as container:
            if not container.streams.video or container.duration is None:
                return None
            picture: Any = container.streams.video[0]
            return container.duration / 1_000_000, int(picture.width), int(picture.height)
    except (av.FFmpegError, OSError, ValueError):
        return None


def _unknown(what: str, error: Exception) -> ChimeraError:
    reason = getattr(error, "strerror", None) or str(error)
    return ChimeraError(
        "OUTCOME_UNKNOWN",
        f"the local channel could not be {what}: {reason[:200]}",
        {"reason": type(error).__name__},
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
