"""Pictures by OpenAI's image models, paid for each: `POST /v1/images/generations`, the picture comes as base64.

Documented at https://platform.openai.com/docs/api-reference/images/create. A picture of a quality and size is a fixed number
of output tokens (guide "Image generation", Cost and latency), so the worst case is exact but for the prompt's tokens.
"""

from __future__ import annotations

import base64
import binascii
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chimera.adapters.paid.http import Vendor
from chimera.domain.price_list import parse_prices, token_cost, tokens_at_most
from chimera.errors import ChimeraError
from chimera.settings import keys_present

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext
    from chimera.ports import Kept

SECRET = "OPENAI_API_KEY"  # noqa: S105 - the variable's name
_SIZES = {"9:16": "1024x1536", "16:9": "1536x1024", "1:1": "1024x1024"}
_TOKENS = {
    ("low", "1024x1024"): 272, ("low", "1024x1536"): 408, ("low", "1536x1024"): 400,
    ("medium", "1024x1024"): 1056, ("medium", "1024x1536"): 1584, ("medium", "1536x1024"): 1568,
    ("high", "1024x1024"): 4160, ("high", "1024x1536"): 6240, ("high", "1536x1024"): 6208,
}  # fmt: skip
_LONGEST = 4000


class OpenAiCanvas:
    """One picture for one prompt. A refused prompt is `PROVIDER_REJECTED`: another provider may take it."""

    name = "openai"
    makes = "photo"
    priority = 95
    needs_keys = (SECRET,)
    licence = "OpenAI terms of use: the output belongs to whoever asked for it"
    origin = "trained_model"
    author = "OpenAI"
    source = "https://platform.openai.com"
    longest_seconds = 240.0
    """What one picture may take: an answer takes at most twice the vendor's patience (`PaidHttp`)."""

    def __init__(self, context: ProviderContext) -> None:
        given = self._settings = context.settings
        self._paid = context.paid
        self._vendor = Vendor(name="openai", base_url=given.openai_url, secret=SECRET, timeout_seconds=120)
        self._http = context.paid.vendor(self._vendor)
        self._prices = parse_prices(given.price_list)
        self.model = given.picture_model
        self._quality = given.picture_quality

    @property
    def ready(self) -> bool:
        """Whether its key is set: in the environment or `.env`, on AWS by the deployment that names it."""
        if self._settings.world == "aws":
            return self.name in self._settings.picture_providers.split()
        return keys_present(self.needs_keys) == set(self.needs_keys)

    def worst_case(self, prompt: str, *, aspect: str, seconds: float = 0.0) -> int:
        """Micros that one picture cannot exceed; `VALIDATION_FAILED` for a model without a price."""
        output = _TOKENS[self._quality, _SIZES[aspect]]
        return token_cost(self._prices, f"openai/{self.model}", tokens_at_most(prompt[:_LONGEST]), output)

    def make(self, prompt: str, *, call_id: str, aspect: str, seconds: float, folder: Path, kept: Kept) -> Path:
        """The picture as a file in `folder`; it is kept before the paid call ends. Errors as of `PaidHttp`."""
        prompt, size = prompt[:_LONGEST], _SIZES[aspect]
        worst = self.worst_case(prompt, aspect=aspect)
        asked = {
            "model": self.model, "prompt": prompt, "n": 1, "size": size, "quality": self._quality, "output_format": "png",
        }  # fmt: skip
        with self._paid.call(self._http, call_id, worst, f"{self.model} {self._quality} {size}", unit="image") as call:
            answer = self._http.post("/v1/images/generations", call, json=asked).json()
            path = folder / "openai.png"
            path.write_bytes(_picture(answer))
            kept.file(path)
            call.used(self._really(answer, worst))
        return path

    def _really(self, answer: Any, worst: int) -> int:
        usage = answer.get("usage") if isinstance(answer, dict) else None
        try:
            tokens = [int(Decimal(str(usage[name]))) for name in ("input_tokens", "output_tokens")]  # type: ignore[index]
        except (TypeError, KeyError, ValueError, ArithmeticError):
            return worst
        return token_cost(self._prices, f"openai/{self.model}", *tokens) if min(tokens) >= 0 else worst


def _picture(answer: Any) -> bytes:
    try:
        return base64.b64decode(answer["data"][0]["b64_json"], validate=True)
    except (KeyError, IndexError, TypeError, binascii.Error, ValueError) as error:
        raise ChimeraError(
            "PROVIDER_REJECTED", f"openai: the answer holds no picture ({type(error).__name__})", {"vendor": "openai"}
        ) from None
