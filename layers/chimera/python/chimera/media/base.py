"""The base of the media models, and the types they all share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class Frozen(BaseModel):
    """Base of the models here: unknown fields are refused, values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
