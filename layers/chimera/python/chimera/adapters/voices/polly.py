"""Amazon Polly: the sound and its speech marks are two paid calls of SynthesizeSpeech, signed with SigV4 by botocore.

https://docs.aws.amazon.com/polly/latest/dg/API_SynthesizeSpeech.html and …/dg/speechmarks.html
"""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from chimera.adapters.paid.http import PaidHttp, Vendor
from chimera.adapters.voices import sound
from chimera.adapters.voices.bought import BoughtVoice, aligned
from chimera.adapters.voices.onsets import Samples, mended, pauses
from chimera.adapters.voices.script import Script, timed
from chimera.errors import ChimeraError
from chimera.media.models import Times, Word
from chimera.purse import PaidCall

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext

_VOICES = {
    "en-gb": ("Amy", "Brian", "Emma", "Arthur"), "en-au": ("Olivia",), "en-in": ("Kajal",),
    "en": ("Joanna", "Matthew", "Ruth", "Stephen"), "de": ("Vicki", "Daniel"), "fr": ("Lea", "Remi"), "es": ("Lucia", "Sergio"),
    "it": ("Bianca", "Adriano"), "pt": ("Camila", "Thiago"), "nl": ("Laura",), "pl": ("Ola",), "ja": ("Kazuha", "Takumi"),
    "ko": ("Seoyeon",), "zh": ("Zhiyu",), "cmn": ("Zhiyu",), "ar": ("Hala", "Zayd"), "hi": ("Kajal",), "sv": ("Elin",),
    "da": ("Sofie",), "fi": ("Suvi",), "nb": ("Ida",), "tr": ("Burcu",),
}  # fmt: skip
_THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "ServiceQuotaExceededException"}
)
_MOST_BYTES = 64 * 1024 * 1024


class PollyVoice(BoughtVoice):
    """Not ready without botocore, and on a laptop without an AWS key of its own in `.env`. Nothing is retried."""

    name = "polly"
    default_model = "neural"
    needs_keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    priority = 40
    max_characters = 3_000
    calls_each = 2
    licence = "generated with Amazon Polly; the AWS service terms apply (the output may be kept and sold)"
    author = "Amazon Polly"
    source = "https://aws.amazon.com/polly/"
    voice_ids = _VOICES["en"]
    voice_form = re.compile(r"[A-Z][A-Za-z]{1,20}")
    speeds = (0.5, 2.0)

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context)
        # the key's id is no secret, but it is where the key is
        self._id: PaidHttp = context.paid.vendor(self._named("AWS_ACCESS_KEY_ID"))

    def vendor(self) -> Vendor:
        """Requests are signed with the key; it is never sent."""
        return self._named("AWS_SECRET_ACCESS_KEY")

    def _named(self, secret: str) -> Vendor:
        base = self._settings.polly_url or f"https://polly.{self._settings.region}.amazonaws.com"
        return Vendor(name=self.name, base_url=base, secret=secret, timeout_seconds=60)

    @property
    def ready(self) -> bool:
        """Whether botocore is installed and there is a key: a role's on AWS, else two variables."""
        return importlib.util.find_spec("botocore") is not None and super().ready

    def default_voice(self, language: str, index: int) -> str:
        """By language; a language with one voice has one for all roles."""
        tag = language.lower()
        voices = _VOICES.get(tag) or _VOICES.get(tag.split("-")[0]) or _VOICES["en"]
        return voices[index % len(voices)]

    def _speak(
        self, script: Script, voice: str, factor: float, language: str, out_wav: Path
    ) -> tuple[tuple[Word, ...], Times, float, int]:
        ssml, offsets = _ssml(script, factor)
        asked = {"Engine": self.model, "VoiceId": voice, "TextType": "ssml", "Text": ssml}
        with self._call(script, "speech", voice, factor) as call:
            data = self._ask(call, asked | {"OutputFormat": "ogg_vorbis", "SampleRate": str(sound.RATE)})
            kept, cut = self._keep(out_wav, _decoded(data), sound.RATE)
        try:
            with self._call(script, "marks", voice, factor) as call:
                marks = self._ask(call, asked | {"OutputFormat": "json", "SpeechMarkTypes": ["word"]})
                starts = _starts(marks, offsets)
        except ChimeraError as error:
            if error.code not in {"PROVIDER_REJECTED", "PROVIDER_TIMEOUT", "RATE_LIMITED", "AGENT_OFFLINE"}:
                raise
            starts = None  # the sound is paid for; its words can be found without Polly
        if starts is None:
            return aligned(script, kept, sound.RATE, language)
        length = len(kept) / sound.RATE
        at = [None if t is None else min(max(t - cut, 0.0), length) for t in starts]
        words = timed(script, at, [None] * len(at), length)
        # marks say when words begin; a pause after one is not a part of it
        spans = mended([(w.start, w.end) for w in words], pauses(kept, sound.RATE), length)
        ended = tuple(
            w.model_copy(update={"end": round(max(b, w.start), 3)}) for w, (_, b) in zip(words, spans, strict=True)
        )
        return ended, "engine", length, sound.RATE

    def _ask(self, call: PaidCall, asked: dict[str, Any]) -> bytes:
        """One request under an open draw; errors as those of `PaidHttp`."""
        from botocore.exceptions import BotoCoreError, ClientError

        polly = self._client(call)
        call.sent = True
        try:
            stream = polly.synthesize_speech(**asked)["AudioStream"]
            with stream:
                data: bytes = stream.read(_MOST_BYTES + 1)
        except ClientError as error:
            raise self._refused(error, call) from None
        except BotoCoreError as error:
            name = type(error).__name__
            if name in {"EndpointConnectionError", "ConnectTimeoutError", "ParamValidationError", "NoCredentialsError"}:
                call.not_made()
                code = "AGENT_OFFLINE" if "Connect" in name else "PROVIDER_REJECTED"
                raise ChimeraError(code, f"polly was not asked ({name})", {"vendor": "polly", "reason": name}) from None
            raise ChimeraError(
                "PROVIDER_TIMEOUT",
                "polly did not answer; the call may have been made",
                {"vendor": "polly", "reason": name},
            ) from None
        if len(data) > _MOST_BYTES:
            raise ChimeraError("FILE_TOO_LARGE", f"polly sends more than {_MOST_BYTES} bytes", {"vendor": "polly"})
        return data

    def _client(self, call: PaidCall) -> Any:
        """A client of its own on AWS (the role's key); on a laptop one made with the key that an open draw gives."""
        if self._settings.world == "aws":
            if not call.live:
                raise ChimeraError("FORBIDDEN", "polly: nothing is asked without an open draw", {"vendor": "polly"})
            return self._of_role
        return _make(
            self._settings.region,
            self._settings.polly_url,
            aws_access_key_id=self._id.key(call),
            aws_secret_access_key=self._http.key(call),
        )

    @cached_property
    def _of_role(self) -> Any:
        return _make(self._settings.region, self._settings.polly_url)

    def _refused(self, error: Any, call: PaidCall) -> ChimeraError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        details = {"vendor": "polly", "aws_code": code, "status": status, "call_id": call.call_id}
        if status >= 500:
            return ChimeraError("PROVIDER_TIMEOUT", f"polly failed ({code}); the call may be billed", details)
        call.not_made()  # Polly bills what it has spoken
        if code in _THROTTLED or status == 429:
            return ChimeraError("RATE_LIMITED", f"polly asks to wait ({code})", details)
        return ChimeraError("PROVIDER_REJECTED", f"polly refused the call ({code})", details)


def _decoded(data: bytes) -> Samples:
    try:
        return sound.decoded(data, name="polly's answer")
    except ChimeraError as error:
        raise ChimeraError("PROVIDER_REJECTED", error.message, error.details) from error


def _make(region: str, endpoint: str, **keys: str) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 1})
    make: Any = boto3.client
    return make("polly", region_name=region, endpoint_url=endpoint or None, config=config, **keys)


def _ssml(script: Script, factor: float) -> tuple[str, list[tuple[int, int]]]:
    """The script at a speed, and for each written word its first and last byte in it."""
    head = f'<speak><prosody rate="{round(factor * 100)}%">'
    out, size = [head], len(head.encode())
    offsets = []
    for low, high in script.spans:
        part = escape(script.text[low:high])
        offsets.append((size, size + len(part.encode())))
        if part:
            out.append(part + " ")
            size += len(part.encode()) + 1
    return "".join(out).rstrip() + "</prosody></speak>", offsets


def _starts(marks: bytes, offsets: list[tuple[int, int]]) -> list[float | None] | None:
    """Seconds at which each word begins, None for a word without a mark; None instead where no mark can be read."""
    found: list[float | None] = [None] * len(offsets)
    try:
        for line in marks.decode("utf-8").splitlines():
            mark = json.loads(line)
            if mark["type"] == "word":
                byte, seconds = int(mark["start"]), int(mark["time"]) / 1000
                for index, (low, high) in enumerate(offsets):
                    if low <= byte < high and found[index] is None:  # the first of several marks in one word
                        found[index] = seconds
    except (ValueError, KeyError, TypeError):
        return None
    return found if any(t is not None for t in found) else None
