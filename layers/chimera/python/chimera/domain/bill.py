"""The bill of materials: all that a video is made of, with author, licence, source and hash, and what follows from it.

An item whose licence is unknown makes the whole video unpublishable; one whose licence forbids selling or changing the
work is put to a person. What the items are made with decides the video's digital source type, a term of the IPTC's
vocabulary (https://cv.iptc.org/newscodes/digitalsourcetype/) that the C2PA manifest states.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from chimera.domain.models import Model

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
Kind = Literal["script", "voice", "picture", "footage", "music", "sound", "font", "source"]
Origin = Literal["algorithm", "trained_model", "person"]
SourceType = Literal["algorithmicMedia", "trainedAlgorithmicMedia", "compositeSynthetic", "composite"]

# Typefaces and cited pages are not material of the picture or the sound.
_MATERIAL: frozenset[Kind] = frozenset({"script", "voice", "picture", "footage", "music", "sound"})
_UNKNOWN = frozenset(
    {"", "none", "null", "n a", "na", "nil", "tbd", "todo", "other", "undefined", "noassertion", "licence", "license"}
)
_RESTRICTED = re.compile(
    r"\b(?:NC|ND|non-?commercial|no ?derivatives?|all rights reserved|unlicen[cs]ed|proprietary|editorial use only)\b",
    re.I,
)


class BillItem(Model):
    """One thing that the video is made of."""

    kind: Kind
    name: str = Field(min_length=1, max_length=300)
    author: str = Field(default="", max_length=300, description="Person, provider or program that made it")
    licence: str = Field(max_length=500, description="An SPDX id, or the terms in words")
    source: str = Field(default="", max_length=2000, description="Where it came from: address, package, module")
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$", description="Of the item's bytes, where it has any")
    origin: Origin = Field(default="algorithm", description="What made it; a trained model is generative AI")
    model: str = Field(default="", max_length=300)
    prompt: str = Field(default="", max_length=5000, description="What the maker was asked for")


class SignedFile(Model):
    """The finished file, and the manifest in it."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    manifest: str = Field(default="", description="Label of the C2PA manifest; empty: the file carries none")
    signed_by: str = Field(default="", description="Common name of the signing certificate")
    signed_at: str = Field(default="", description="When, by this machine's clock (ISO 8601, UTC)")


class BillOfMaterials(Model):
    """`video.bom.json`: what a video is made of. `video` is None until the file is finished."""

    version: Literal["1.0"] = "1.0"
    content_id: str
    title: str
    language: str = "en"
    generator: str = Field(description="Program and version that put it together")
    digital_source_type: SourceType
    items: list[BillItem] = Field(min_length=1, max_length=500)
    video: SignedFile | None = None
    files: list[SignedFile] = Field(
        default=[], max_length=25, description="Thumbnails and poster; an image post's cards, which `video` stands for"
    )


def is_unknown(licence: str) -> bool:
    """Whether this says nothing: blank, a word for "unknown", or no letter at all."""
    words = re.sub(r"[\W_]+", " ", licence).strip().lower()
    return words in _UNKNOWN or words.startswith(("unknown", "not known"))


def unlicensed(items: Sequence[BillItem]) -> list[str]:
    """The items whose licence is unknown, as `kind name`; with one of them nothing is published."""
    return [f"{item.kind} {item.name}" for item in items if is_unknown(item.licence)]


def restricted(items: Sequence[BillItem]) -> list[str]:
    """The items whose licence keeps some uses back: not for sale, not to be changed, all rights reserved."""
    return [f"{item.kind} {item.name} ({item.licence})" for item in items if _RESTRICTED.search(item.licence)]


def source_type(items: Sequence[BillItem]) -> SourceType:
    """The IPTC term for a video of these items.

    `algorithmicMedia`: all by algorithms that were not trained on samples · `trainedAlgorithmicMedia`: all by generative
    models · `compositeSynthetic`: some by generative models · `composite`: none, but some captured or made by people.
    `compositeWithTrainedAlgorithmicMedia` would claim that something that existed before was edited by a model.
    """
    origins = {item.origin for item in items if item.kind in _MATERIAL}
    if origins == {"trained_model"}:
        return "trainedAlgorithmicMedia"
    if "trained_model" in origins:
        return "compositeSynthetic"
    return "composite" if "person" in origins else "algorithmicMedia"
