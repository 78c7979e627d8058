"""Stock libraries, OpenAI's images and Runway on this machine, each in its documented wire format; and a content's folder.

One server plays them all: it serves the same `shelf` in every library's words, bills by its own book what it generated, and
writes down every request.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np

from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.paid.http import PaidFactory, Vault
from chimera.domain.prices import production_limits, retry_limits, with_waiting
from chimera.plugins.hookspecs import ProviderContext
from chimera.purse import Purse
from chimera.settings import Settings
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope
from tests.fakes.loopback import Loopback

KEY = "key-canary-91b2"
KEYS = ("PEXELS_API_KEY", "PIXABAY_API_KEY", "UNSPLASH_API_KEY", "OPENAI_API_KEY", "RUNWAY_API_KEY")


@dataclass(frozen=True)
class Item:
    """One work on the shelf."""

    key: int
    title: str
    kind: str = "photo"
    tags: tuple[str, ...] = ()
    size: tuple[int, int] = (600, 900)
    licence: str = "by"
    seconds: int = 4
    looks: int = 0
    """Works with the same number look the same; 0: like no other."""


@dataclass
class Trouble:
    """What the next request to a path that begins so gets."""

    path: str
    status: int
    body: bytes = b'{"error": "no"}'
    headers: dict[str, str] = field(default_factory=dict)


@lru_cache(maxsize=64)
def picture(seed: int, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Soft shapes that differ by seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (5, 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def jpeg(seed: int, width: int = 600, height: int = 900) -> bytes:
    """A picture as a JPEG file."""
    return bytes(cv2.imencode(".jpg", picture(seed, width, height))[1].tobytes())


class PictureVendors(Loopback):
    """`asked` is the log, `billed` what was generated and charged, `trouble` what goes wrong next."""

    def __init__(self, footage: Path | None = None) -> None:
        self.shelf: list[Item] = []
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.billed: list[str] = []
        self.trouble: list[Trouble] = []
        self.tasks: dict[str, list[str]] = {}
        self.slow = False
        """Whether tasks are not done before `finish`."""
        self.moderation = "forbidden"
        self.footage = footage
        self._lock = threading.Lock()

        super().__init__()

    def paths(self, prefix: str) -> list[str]:
        """The paths asked for that begin so."""
        return [path for _, path, _, _ in self.asked if path.startswith(prefix)]

    def finish(self) -> None:
        """Every task is done."""
        self.tasks = {task: ["SUCCEEDED"] for task in self.tasks}

    def settings(self, **more: Any) -> Settings:
        """Settings that lead every vendor here."""
        return Settings(
            pexels_url=self.url, pixabay_url=self.url, unsplash_url=self.url, openverse_url=self.url, commons_url=self.url,
            openai_url=self.url, runway_url=self.url, allow_private_addresses=True, **more,
        )  # fmt: skip

    def context(self, purse: Purse | None = None, **more: Any) -> ProviderContext:
        """A provider's context, with the keys and a purse."""
        paid = PaidFactory(lambda: Vault(lambda name: KEY if name in KEYS else None), purse)
        return ProviderContext(
            settings=self.settings(**more), paid=paid, secret=lambda name: KEY if name in KEYS else None
        )

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        body = json.loads(raw) if raw[:1] == b"{" else None
        parts = urlsplit(handler.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        headers = {k.lower(): v for k, v in handler.headers.items()}
        with self._lock:
            self.asked.append((handler.command, parts.path, headers, body if body is not None else query))
            due = next((t for t in self.trouble if parts.path.startswith(t.path)), None)
            if due:
                self.trouble.remove(due)
                status, kind, data, extra = due.status, "application/json", due.body, due.headers
            else:
                status, kind, data = self._serve(parts.path, query, headers, body)
                extra = {}
        handler.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **extra}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def _serve(self, path: str, query: dict[str, str], headers: dict[str, str], body: Any) -> tuple[int, str, bytes]:
        if path.startswith("/files/"):
            return self._file(path.rsplit("/", 1)[-1])
        keyed = {
            "/v1/search": headers.get("authorization") == KEY, "/videos/search": headers.get("authorization") == KEY,
            "/api/": query.get("key") == KEY, "/search/photos": headers.get("authorization") == f"Client-ID {KEY}",
            "/photos/": headers.get("authorization") == f"Client-ID {KEY}",
            "/v1/images/generations": headers.get("authorization") == f"Bearer {KEY}",
            "/v1/text_to_video": headers.get("authorization") == f"Bearer {KEY}",
        }  # fmt: skip
        if any(path.startswith(prefix) and not right for prefix, right in keyed.items()):
            return 401, "application/json", b'{"error": "Invalid key"}'
        if path == "/v1/images/generations":
            return self._openai(body)
        if path in ("/v1/text_to_video", "/v1/image_to_video") or path.startswith("/v1/tasks/"):
            return self._runway(path, headers, body)
        photos = [item for item in self.shelf if item.kind == "photo"]
        films = [item for item in self.shelf if item.kind == "footage"]
        answers: dict[str, Any] = {
            "/v1/search": lambda: {
                "photos": [self._pexels(i) for i in photos],
                "page": 1,
                "total_results": len(photos),
            },
            "/videos/search": lambda: {"videos": [self._pexels_video(i) for i in films]},
            "/api/": lambda: {"total": len(photos), "hits": [self._pixabay(i) for i in photos]},
            "/api/videos/": lambda: {"hits": [self._pixabay_video(i) for i in films]},
            "/search/photos": lambda: {"total": len(photos), "results": [self._unsplash(i) for i in photos]},
            "/v1/images/": lambda: {"result_count": len(photos), "results": [self._openverse(i) for i in photos]},
            "/w/api.php": lambda: {"query": {"pages": [self._commons(n, i) for n, i in enumerate(photos)]}},
        }
        if path.startswith("/photos/"):
            return 200, "application/json", json.dumps({"url": f"{self.url}/files/1.jpg"}).encode()
        if path not in answers:
            return 404, "application/json", b'{"error": "not found"}'
        return 200, "application/json", json.dumps(answers[path]()).encode()

    def _file(self, name: str) -> tuple[int, str, bytes]:
        if name.endswith(".mp4") and self.footage:
            return 200, "video/mp4", self.footage.read_bytes()
        item = next((i for i in self.shelf if str(i.key) == name.partition(".")[0]), Item(1, ""))
        return 200, "image/jpeg", jpeg(item.looks or 1000 + item.key, *item.size)

    def _pexels(self, item: Item) -> dict[str, Any]:
        w, h = item.size
        return {
            "id": item.key, "width": w, "height": h, "url": f"https://www.pexels.com/photo/{item.key}/",
            "photographer": "Ada Ray", "photographer_url": "https://www.pexels.com/@ada", "photographer_id": 7,
            "avg_color": "#978E82", "liked": False, "alt": f"{item.title} {' '.join(item.tags)}".strip(),
            "src": {"original": f"{self.url}/files/{item.key}.jpg", "large2x": f"{self.url}/files/{item.key}.jpg", "medium": ""},
        }  # fmt: skip

    def _pexels_video(self, item: Item) -> dict[str, Any]:
        return {
            "id": item.key, "width": 320, "height": 568, "duration": item.seconds, "image": "",
            "url": f"https://www.pexels.com/video/{item.title.replace(' ', '-')}-{item.key}/",
            "user": {"id": 7, "name": "Ada Ray", "url": "https://www.pexels.com/@ada"},
            "video_files": [
                {"id": 1, "quality": "hls", "file_type": "application/vnd.apple.mpegurl", "width": None, "height": None, "link": "x"},
                {"id": 2, "quality": "sd", "file_type": "video/mp4", "width": 320, "height": 568, "link": f"{self.url}/files/{item.key}.mp4"},
            ],
        }  # fmt: skip

    def _pixabay(self, item: Item) -> dict[str, Any]:
        return {
            "id": item.key, "pageURL": f"https://pixabay.com/photos/{item.key}/", "type": "photo",
            "tags": ", ".join([*item.title.split(), *item.tags]), "previewURL": "", "webformatURL": "",
            "largeImageURL": f"{self.url}/files/{item.key}.jpg", "imageWidth": item.size[0], "imageHeight": item.size[1],
            "user_id": 9, "user": "Ada Ray",
        }  # fmt: skip

    def _pixabay_video(self, item: Item) -> dict[str, Any]:
        size = {"url": f"{self.url}/files/{item.key}.mp4", "width": 320, "height": 568, "size": 1, "thumbnail": ""}
        return {
            "id": item.key, "pageURL": f"https://pixabay.com/videos/{item.key}/", "type": "film", "tags": item.title,
            "duration": item.seconds, "user_id": 9, "user": "Ada Ray", "videos": {"large": {"url": "", "width": 0}, "small": size},
        }  # fmt: skip

    def _unsplash(self, item: Item) -> dict[str, Any]:
        return {
            "id": str(item.key), "width": item.size[0], "height": item.size[1], "alt_description": item.title,
            "description": None, "tags": [{"type": "search", "title": tag} for tag in item.tags],
            "urls": {"raw": f"{self.url}/files/{item.key}.jpg?ixid=1", "small": ""},
            "links": {
                "html": f"https://unsplash.com/photos/{item.key}",
                "download_location": f"{self.url}/photos/{item.key}/download?ixid=abc",
            },
            "user": {"name": "Ada Ray", "links": {"html": "https://unsplash.com/@ada"}},
        }  # fmt: skip

    def _openverse(self, item: Item) -> dict[str, Any]:
        return {
            "id": f"ov-{item.key}", "title": item.title, "creator": "Ada Ray", "creator_url": "https://example.org/ada",
            "license": item.licence, "license_version": "4.0", "license_url": "https://creativecommons.org/licenses/by/4.0/",
            "url": f"{self.url}/files/{item.key}.jpg", "thumbnail": "", "foreign_landing_url": f"https://example.org/{item.key}",
            "tags": [{"name": tag, "accuracy": None} for tag in item.tags], "width": item.size[0], "height": item.size[1],
            "attribution": f'"{item.title}" by Ada Ray is licensed under CC BY 4.0.',
        }  # fmt: skip

    def _commons(self, number: int, item: Item) -> dict[str, Any]:
        licence = {"by": "CC BY 4.0", "by-nc": "CC BY-NC 4.0", "": ""}.get(item.licence, item.licence)
        return {
            "pageid": item.key, "ns": 6, "index": number + 1, "title": f"File:{item.title}.jpg",
            "imageinfo": [{
                "url": f"{self.url}/files/{item.key}.jpg", "descriptionurl": f"https://commons.wikimedia.org/wiki/{item.key}",
                "width": item.size[0], "height": item.size[1], "size": 1, "mime": "image/jpeg",
                "extmetadata": {
                    "LicenseShortName": {"value": licence}, "LicenseUrl": {"value": "https://creativecommons.org/licenses/by/4.0"},
                    "Artist": {"value": '<a href="//commons.wikimedia.org/wiki/User:Ada">Ada Ray</a>'},
                    "ImageDescription": {"value": f"<b>{item.title}</b>"}, "Categories": {"value": "|".join(item.tags)},
                },
            }],
        }  # fmt: skip

    def _openai(self, body: dict[str, Any]) -> tuple[int, str, bytes]:
        wrong = set(body) - {"model", "prompt", "n", "size", "quality", "output_format", "background", "moderation"}
        if wrong or body["size"] not in {"1024x1024", "1024x1536", "1536x1024"} or "response_format" in body:
            return 400, "application/json", json.dumps({"error": {"message": f"unknown {wrong}"}}).encode()
        if self.moderation in body["prompt"]:
            error = {
                "message": "rejected by the safety system",
                "type": "image_generation_user_error",
                "code": "moderation_blocked",
            }
            return 400, "application/json", json.dumps({"error": error}).encode()
        self.billed.append(f"openai {body['quality']} {body['size']}")
        data = base64.b64encode(cv2.imencode(".png", picture(5000 + len(self.billed), 256, 384))[1].tobytes()).decode()
        usage = {
            "input_tokens": 12,
            "output_tokens": 1584,
            "total_tokens": 1596,
            "input_tokens_details": {"text_tokens": 12},
        }
        answer = {
            "created": 1,
            "data": [{"b64_json": data}],
            "usage": usage,
            "size": body["size"],
            "quality": body["quality"],
        }
        return 200, "application/json", json.dumps(answer).encode()

    def _runway(self, path: str, headers: dict[str, str], body: Any) -> tuple[int, str, bytes]:
        if headers.get("x-runway-version") != "2024-11-06":
            return 400, "application/json", b'{"error": "X-Runway-Version"}'
        if path.startswith("/v1/tasks/"):
            task = path.rsplit("/", 1)[-1]
            left = self.tasks[task]
            status = left.pop(0) if len(left) > 1 else left[0]
            answer: dict[str, Any] = {"id": task, "createdAt": "2026-01-01T00:00:00Z", "status": status}
            answer |= {"output": [f"{self.url}/files/runway.mp4"]} if status == "SUCCEEDED" else {}
            answer |= {"failure": "no", "failureCode": "SAFETY.INPUT.TEXT"} if status == "FAILED" else {}
            return 200, "application/json", json.dumps(answer).encode()
        if set(body) - {"model", "promptText", "promptImage", "ratio", "duration"} or len(body["promptText"]) > 1000:
            return 400, "application/json", b'{"error": "body"}'
        self.billed.append(f"runway {body['duration']} s")
        task = str(uuid.uuid4())
        failed = self.moderation in body["promptText"]
        self.tasks[task] = ["FAILED"] if failed else ["PENDING", "RUNNING", *([] if self.slow else ["SUCCEEDED"])]
        return 200, "application/json", json.dumps({"id": task}).encode()


@contextlib.contextmanager
def picture_vendors(footage: Path | None = None) -> Iterator[PictureVendors]:
    """The vendors for one test."""
    made = PictureVendors(footage)
    try:
        yield made
    finally:
        made.close()


SCENES = (
    ("The harbour bridge was closed on Monday.", "harbour bridge"),
    ("Ferries carry people across the bay instead.", "ferry boat on the bay"),
    ("The old bridge is 90 years old.", "old steel bridge"),
)


def content(
    folder: Path, *, scenes: tuple[tuple[str, str], ...] = SCENES, storyboard: dict[str, Any] | None = None,
    guidelines: dict[str, Any] | None = None, counted: int = 0, tenant: str = "t", persona: str = "p1", **options: Any,
) -> MadeContent:  # fmt: skip
    """A brief of these scenes (narration, what the picture is of), as the step finds it."""
    scope = Scope(tenant_id=tenant, run_id="r", task_id="k", content_id=str(uuid.uuid4()))
    made = MadeContent(FolderMediaStore(folder), scope)
    about = {
        "persona_id": persona, "name": "P", "voice_id": "en-us", "language": "en", "tone": "calm",
        "brand_guidelines": guidelines or {},
    }  # fmt: skip
    asked = {"resolution": "360p", "aspect": "9:16", "fps": 24, **options}
    made.write("brief", "material.json", {"persona": about, "options": asked, "material": {"seed": 7}})
    waits = {"pictures": 700 if counted else 0}
    limits = {"limits": production_limits(20, 360), "retry_limits": retry_limits(20, 360)}
    request = {name: with_waiting(value, waits) for name, value in limits.items()}
    made.write("brief", "request.json", {**request, "paid": {"pictures": counted}})
    brief = {
        "brief_id": "b", "trend_id": "t", "title": "The bridge", "script": " ".join(s for s, _ in scenes),
        "estimated_cost": "0.01", "scenes": [{"narration": s, "visual_prompt": v} for s, v in scenes],
        "projected_engagement": 1.0, "projected_roi": 2.0, "duration_seconds": 20,
        "writer": {"provider": "offline", "model": "extractive", "prompt_version": "1"},
    }  # fmt: skip
    made.write("brief", "brief.json", brief)
    if storyboard:
        made.write("brief", "storyboard.json", storyboard)
    return made


def storyboard(*pictures: dict[str, Any], prompts: bool = True) -> dict[str, Any]:
    """A template's storyboard with these wishes, one a scene, over `SCENES`."""
    theme = {
        "name": "midnight", "background": "#0b1030", "surface": "#2b2fa8", "accent": "#ffd23f", "highlight": "#ff5c8a",
    }  # fmt: skip
    box = {"x": 84, "y": 1318, "width": 912, "height": 180}
    scenes = [
        {
            "key": f"s{at}", "brief_scene": at % len(SCENES), "narration": SCENES[at % len(SCENES)][0],
            "picture": {"prompt": SCENES[at % len(SCENES)][1] if prompts else "", **wish},
            "layers": [{"kind": "text", "text": "Words", "box": {"x": 84, "y": 920, "width": 912, "height": 320}}],
        }
        for at, wish in enumerate(pictures)
    ]  # fmt: skip
    return {"template": "test@1.0.0", "title": "The bridge", "theme": theme, "scenes": scenes, "captions": {"box": box}}
