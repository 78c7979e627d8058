"""Footage by Runway, paid for each second: a task is created, asked about until it is done, its file downloaded.

Documented at https://docs.dev.runwayml.com/api: `POST /v1/text_to_video` or `/v1/image_to_video`, `GET /v1/tasks/{id}`, with the
header `X-Runway-Version`. The task's id is kept as soon as it is known: a step that was killed asks for the same task again
and pays nothing twice.
"""

from __future__ import annotations

import base64
import math
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chimera.adapters.downloads.download import Downloader, DownloadLimits
from chimera.adapters.paid.http import PaidHttp, Vendor
from chimera.domain.price_list import parse_prices, video_cost
from chimera.errors import ChimeraError
from chimera.purse import PaidCall
from chimera.settings import keys_present

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext
    from chimera.ports import Kept

SECRET = "RUNWAY_API_KEY"  # noqa: S105 - the variable's name
VERSION = {"X-Runway-Version": "2024-11-06"}
_RATIOS = {"9:16": "720:1280", "16:9": "1280:720", "1:1": "1280:720"}
_STILL_RATIOS = {**_RATIOS, "1:1": "960:960"}
_LONGEST_PROMPT = 1000
_MOST_BYTES = 300_000_000
_STILL_BYTES = 3_000_000
_PASSES = frozenset({"AGENT_OFFLINE", "RATE_LIMITED", "PROVIDER_TIMEOUT"})
"""A question that fails so says nothing about the task: it is asked again."""


class RunwayCanvas:
    """Up to ten seconds of footage for one prompt, or from a still."""

    name = "runway"
    makes = "footage"
    priority = 96
    needs_keys = (SECRET,)
    licence = "Runway terms of use: the output belongs to whoever asked for it"
    origin = "trained_model"
    author = "Runway"
    source = "https://runwayml.com"
    poll_seconds = 5.0
    patience_seconds = 150.0
    """The task is not lost after that: its id is noted, another attempt at the step asks for it again."""
    longest_seconds = 390.0
    """What one clip may take: creating it, that patience, the last question, and the download."""

    def __init__(self, context: ProviderContext) -> None:
        given = self._settings = context.settings
        self._paid = context.paid
        self._vendor = Vendor(name="runway", base_url=given.runway_url, secret=SECRET, timeout_seconds=30)
        self._http: PaidHttp = context.paid.vendor(self._vendor)
        self._prices = parse_prices(given.price_list)
        self._downloader = Downloader(given)
        self.model = given.footage_model

    @property
    def ready(self) -> bool:
        """Whether its key is set: in the environment or `.env`, on AWS by the deployment that names it."""
        if self._settings.world == "aws":
            return self.name in self._settings.picture_providers.split()
        return keys_present(self.needs_keys) == set(self.needs_keys)

    def worst_case(self, prompt: str, *, aspect: str, seconds: float) -> int:
        """Micros that so much footage cannot exceed: what is asked for is what is made."""
        return video_cost(self._prices, f"runway/{self.model}", self.length(seconds))

    def length(self, seconds: float) -> int:
        """The whole seconds that are asked for: 2–10, of Veo models 4, 6 or 8."""
        if self.model.startswith("veo"):
            return next((n for n in (4, 6, 8) if n >= seconds), 8)
        return min(max(math.ceil(seconds), 2), 10)

    def make(
        self,
        prompt: str,
        *,
        call_id: str,
        aspect: str,
        seconds: float,
        folder: Path,
        kept: Kept,
        still: Path | None = None,
    ) -> Path:
        """The footage as a file in `folder`. `PROVIDER_TIMEOUT` when it is not done in time; errors else as of `PaidHttp`."""
        known = kept.noted().get("task")
        length, cost = self.length(seconds), self.worst_case(prompt, aspect=aspect, seconds=seconds)
        item = f"{self.model} {length} s"
        if isinstance(known, str) and _sound(known):
            # the task was paid for under its own draw, which stays as it is
            with self._paid.call(self._http, f"{call_id}/again", 0, item, quantity="0", unit="second") as call:
                address = self._await(known, call)
                call.used(0, "0")
        else:
            with self._paid.call(self._http, call_id, cost, item, quantity=str(length), unit="second") as call:
                task = self._create(prompt, aspect, length, still, call)
                kept.note({"task": task})
                address = self._await(task, call)
                call.used(cost, str(length))
        limits = DownloadLimits(max_bytes=_MOST_BYTES, format="footage", seconds=120, max_duration_seconds=60)
        path = self._downloader.download(address, limits, folder).path
        kept.file(path)
        return path

    def _create(self, prompt: str, aspect: str, length: int, still: Path | None, call: PaidCall) -> str:
        asked: dict[str, Any] = {
            "model": self.model, "promptText": prompt[:_LONGEST_PROMPT], "ratio": _RATIOS[aspect], "duration": length,
        }  # fmt: skip
        path = "/v1/text_to_video"
        if still is not None:
            asked |= {"promptImage": _data_uri(still), "ratio": _STILL_RATIOS[aspect]}
            path = "/v1/image_to_video"
        answer = self._http.post(path, call, json=asked, headers=VERSION).json()
        task = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(task, str) or not _sound(task):
            raise ChimeraError("PROVIDER_REJECTED", "runway: the answer names no task", {"vendor": "runway"})
        return task

    def _await(self, task: str, call: PaidCall) -> str:
        """The address of the finished task's first output."""
        until = time.monotonic() + self.patience_seconds
        while True:
            try:
                answer = self._http.get(f"/v1/tasks/{task}", call, headers=VERSION).json()
            except ChimeraError as error:
                if error.code not in _PASSES or time.monotonic() + self.poll_seconds > until:
                    raise
                time.sleep(self.poll_seconds)
                continue
            status = answer.get("status") if isinstance(answer, dict) else None
            if status == "SUCCEEDED":
                outputs = answer.get("output")
                if isinstance(outputs, list) and outputs and isinstance(outputs[0], str):
                    return outputs[0]
                raise ChimeraError("PROVIDER_REJECTED", "runway: the task is done but has no output", {"task": task})
            if status in {"FAILED", "CANCELLED"}:
                raise ChimeraError(
                    "PROVIDER_REJECTED",
                    f"runway: the task ended as {status}",
                    {
                        "task": task,
                        "reason": ascii(str(answer.get("failureCode") or answer.get("failure") or ""))[1:200],
                    },
                )
            if status not in {"PENDING", "THROTTLED", "RUNNING"}:
                raise ChimeraError("PROVIDER_REJECTED", "runway: the task has an unknown status", {"task": task})
            if time.monotonic() + self.poll_seconds > until:
                raise ChimeraError("PROVIDER_TIMEOUT", "runway: the footage was not done in time", {"task": task})
            time.sleep(self.poll_seconds)


def _sound(task: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9-]{1,100}", task) is not None


def _data_uri(still: Path) -> str:
    kind = {".png": "image/png", ".jpg": "image/jpeg"}.get(still.suffix.lower())
    data = still.read_bytes() if kind else b""
    if not kind or not 0 < len(data) <= _STILL_BYTES:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"still: got {still.name[:80]!r}, expected a PNG or JPEG of at most {_STILL_BYTES:,} bytes",
        )
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
