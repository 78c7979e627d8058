"""Voice vendors on this machine: ElevenLabs, OpenAI and Amazon Polly as their public API references describe the wire.

They speak with espeak-ng, so what they answer is real speech, and bill by their own book: every character that was spoken,
whether the answer arrived or not.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from chimera.adapters.voices import sound
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.media.models import VoiceResult
from chimera.media.process import executable
from tests.fakes.loopback import Loopback
from tests.fakes.paid_vendor import Asked, Trouble

KEYS = {
    "ELEVENLABS_API_KEY": "xi-canary-51d2e8",
    "OPENAI_API_KEY": "sk-canary-9c51d2",
    "AWS_ACCESS_KEY_ID": "AKIACANARY0000000000",
    "AWS_SECRET_ACCESS_KEY": "aws-canary-7f3a9c",
}
_TAGS = re.compile(r"<[^>]*>")
_SILENCE = 0.05


@lru_cache(maxsize=256)
def spoken(text: str, speed_wpm: int = 165) -> tuple[bytes, VoiceResult]:
    """Speech at 24 kHz with a little silence in front, as vendors send it, and when its words are said."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        result = EspeakVoice().synthesize(text, speed_wpm=speed_wpm, out_wav=path)
        samples, rate = sound.read(path)
    there = np.concatenate([np.zeros(round(_SILENCE * 24_000), np.float32), sound.resampled(samples, rate, 24_000)])
    return np.clip(there, -32_768, 32_767).astype("<i2").tobytes(), result


class VoiceVendors(Loopback):
    """`asked` is the log of requests, `characters` what was billed by vendor, `trouble` a queue of what goes wrong next."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.characters: dict[str, int] = {"elevenlabs": 0, "openai": 0, "polly": 0}
        self.trouble: list[Trouble | None] = []
        self.without_times = False
        self._lock = threading.Lock()

        super().__init__()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Write the request down, then serve it or make the trouble that is due."""
        body = json.loads(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self.asked.append(Asked(handler.command, handler.path, headers, body))
            trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is None:
            status, kind, content = self._serve(urlsplit(handler.path), headers, body)
            self._send(handler, status, {"Content-Type": kind}, content)
            return
        if trouble.serve:
            self._serve(urlsplit(handler.path), headers, body)
        if trouble.silent:
            self.closing.wait(30)
        elif trouble.hang_up:
            handler.close_connection = True
            handler.connection.close()
        else:
            self._send(handler, trouble.status, trouble.headers, trouble.body)

    def _serve(self, where: Any, headers: dict[str, str], body: Any) -> tuple[int, str, bytes]:
        if match := re.fullmatch(r"/v1/text-to-speech/([A-Za-z0-9]+)/with-timestamps", where.path):
            return self._elevenlabs(match[1], parse_qs(where.query), headers, body)
        if where.path == "/v1/audio/speech":
            return self._openai(headers, body)
        if where.path == "/v1/speech":
            return self._polly(headers, body)
        return 404, "application/json", b'{"detail": "not found"}'

    def _bill(self, vendor: str, text: str) -> None:
        with self._lock:
            self.characters[vendor] += len(text)

    def _elevenlabs(self, voice: str, query: Any, headers: Any, body: Any) -> tuple[int, str, bytes]:
        if headers.get("xi-api-key") != KEYS["ELEVENLABS_API_KEY"]:
            return 401, "application/json", b'{"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}'
        if query.get("output_format") != ["pcm_24000"] or not 0.7 <= body["voice_settings"]["speed"] <= 1.2:
            return 422, "application/json", b'{"detail": [{"loc": ["query"], "msg": "unexpected here"}]}'
        text = body["text"]
        self._bill("elevenlabs", text)
        pcm, result = spoken(text, round(165 * body["voice_settings"]["speed"]))
        answer: dict[str, Any] = {"audio_base64": base64.b64encode(pcm).decode(), "alignment": None}
        if not self.without_times:
            answer["alignment"] = _characters(text, result)
        answer["normalized_alignment"] = answer["alignment"]
        return 200, "application/json", json.dumps(answer).encode()

    def _openai(self, headers: Any, body: Any) -> tuple[int, str, bytes]:
        if headers.get("authorization") != f"Bearer {KEYS['OPENAI_API_KEY']}":
            return 401, "application/json", b'{"error": {"message": "Incorrect API key provided"}}'
        known = {"model", "input", "voice", "response_format", "speed", "instructions", "stream_format"}
        if set(body) - known or body["response_format"] != "pcm" or not 0.25 <= body["speed"] <= 4:
            return 400, "application/json", b'{"error": {"message": "Invalid request"}}'
        self._bill("openai", body["input"])
        return 200, "audio/pcm", spoken(body["input"], round(165 * body["speed"]))[0]

    def _polly(self, headers: Any, body: Any) -> tuple[int, str, bytes]:
        signed = headers.get("authorization", "")
        if not re.match(
            rf"AWS4-HMAC-SHA256 Credential={KEYS['AWS_ACCESS_KEY_ID']}/\d+/[\w-]+/polly/aws4_request, ", signed
        ):
            return 403, "application/json", b'{"message": "The security token included in the request is invalid."}'
        if body["TextType"] != "ssml" or body["Engine"] not in {"standard", "neural", "generative", "long-form"}:
            return 400, "application/json", b'{"message": "Invalid"}'
        rate = re.search(r'rate="(\d+)%"', body["Text"])
        assert rate is not None
        plain = _TAGS.sub("", body["Text"]).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()
        self._bill("polly", plain)
        pcm, result = spoken(plain, round(1.65 * int(rate[1])))
        if body["OutputFormat"] == "json":
            return 200, "application/x-json-stream", _marks(body["Text"], result)
        assert (body["OutputFormat"], body["SampleRate"]) == ("ogg_vorbis", "24000")
        command = [
            executable(),
            "-hide_banner",
            "-loglevel",
            "error",
            "-f",
            "s16le",
            "-ar",
            "24000",
            "-ac",
            "1",
            "-i",
            "pipe:0",
        ]
        done = subprocess.run(
            [*command, "-c:a", "libvorbis", "-f", "ogg", "pipe:1"], input=pcm, capture_output=True, check=True
        )
        return 200, "audio/ogg", done.stdout

    def _send(self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            handler.wfile.write(content)


@contextlib.contextmanager
def voice_vendors() -> Iterator[VoiceVendors]:
    """The vendors, closed at the end."""
    made = VoiceVendors()
    try:
        yield made
    finally:
        made.close()


def _characters(text: str, result: VoiceResult) -> dict[str, Any]:
    """A time for each character: a word's letters share its time, a space has the pause after it."""
    starts, ends = [], []
    for index, (word, timed) in enumerate(zip(text.split(), result.words, strict=True)):
        if index:
            starts.append(result.words[index - 1].end + _SILENCE)
            ends.append(timed.start + _SILENCE)
        step = (timed.end - timed.start) / len(word)
        starts += [timed.start + _SILENCE + i * step for i in range(len(word))]
        ends += [timed.start + _SILENCE + (i + 1) * step for i in range(len(word))]
    return {"characters": list(text), "character_start_times_seconds": starts, "character_end_times_seconds": ends}


def _marks(ssml: str, result: VoiceResult) -> bytes:
    """Speech marks: the offsets are bytes of the SSML with its tags; punctuation is no part of a word."""
    lines, at = [], ssml.index(">", ssml.index("<prosody")) + 1
    for timed in result.words:
        raw = timed.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        at = ssml.index(raw, at)
        core = raw.strip(".,;:!?\"'()")
        low = at + raw.index(core)
        start = len(ssml[:low].encode())
        mark = {"time": round((timed.start + _SILENCE) * 1000), "type": "word", "start": start,
                "end": start + len(core.encode()), "value": core}  # fmt: skip
        if any(c.isalnum() for c in core):
            lines.append(json.dumps(mark))
        at += len(raw)
    return "\n".join(lines).encode()
