"""Versions of templates and the ranges that name them: Semantic Versioning 2.0.0, ranges as npm reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from chimera.errors import ChimeraError

NAME = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_PART = r"(?:0|[1-9]\d{0,5})"
_VERSION = re.compile(rf"^({_PART})\.({_PART})\.({_PART})(?:-([0-9a-z]+(?:[.-][0-9a-z]+)*))?$")
_RANGE = re.compile(rf"^([\^~]?)({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(?:-([0-9a-z]+(?:[.-][0-9a-z]+)*))?$")
_REFERENCE = re.compile(rf"^({NAME})(?:@(\S+))?$")


@total_ordering
@dataclass(frozen=True)
class Version:
    """`major.minor.patch`, with an optional pre-release that comes before the release."""

    major: int
    minor: int
    patch: int
    pre: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """`1.2.3` or `1.2.3-beta.1`; `VALIDATION_FAILED` for anything else."""
        match = _VERSION.match(text)
        if match is None:
            raise ChimeraError(
                "VALIDATION_FAILED", f"version: got {text[:60]!r}, expected major.minor.patch such as 1.2.0", {}
            )
        return cls(int(match[1]), int(match[2]), int(match[3]), match[4] or "")

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        parts = tuple(
            (not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in self.pre.split(".") if p
        )  # numbers before words (SemVer 11.4.3)
        return self.major, self.minor, self.patch, not self.pre, parts


@dataclass(frozen=True)
class Range:
    """Which versions are meant: empty (any), `1`, `1.2`, `^1.2`, `~1.2`, or one exact version."""

    text: str
    least: Version | None = None
    below: Version | None = None

    @classmethod
    def parse(cls, text: str) -> Range:
        """`VALIDATION_FAILED` for what is no range."""
        if text in {"", "*"}:
            return cls(text)
        match = _RANGE.match(text)
        if match is None:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"version range: got {text[:60]!r}, expected 1, ^1.2, ~1.2 or an exact 1.2.3",
                {},
            )
        sign, major, minor, patch, pre = match[1], int(match[2]), match[3], match[4], match[5] or ""
        least = Version(major, int(minor or 0), int(patch or 0), pre)
        if not sign and patch is not None:
            return cls(text, least, None)  # exact
        if minor is None or (sign == "^" and (major > 0)):
            below = Version(major + 1, 0, 0, "0")
        elif sign == "^" and int(minor) == 0 and patch is not None:
            below = Version(0, 0, int(patch) + 1, "0")  # ^0.0.3: nothing is promised below 0.1
        else:
            below = Version(major, int(minor) + 1, 0, "0")
        return cls(text, least, below)

    @property
    def exact(self) -> bool:
        """Whether one version only is meant."""
        return self.least is not None and self.below is None

    def has(self, version: Version) -> bool:
        """Whether the version is meant. A pre-release is only ever meant by its own exact name."""
        if self.exact:
            return version == self.least
        if version.pre:
            return False
        return (self.least is None or version >= self.least) and (self.below is None or version < self.below)

    def best(self, versions: Iterable[Version]) -> Version | None:
        """The highest of the versions that is meant."""
        return max((v for v in versions if self.has(v)), default=None)


@dataclass(frozen=True)
class Reference:
    """`name`, `name@range`."""

    name: str
    range: Range

    @classmethod
    def parse(cls, text: str) -> Reference:
        """`VALIDATION_FAILED` for what names no template."""
        match = _REFERENCE.match(text.strip())
        if match is None or len(text) > 200:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"template: got {text[:80]!r}, expected NAME or NAME@VERSION such as explainer@1 or explainer@^1.2",
                {},
            )
        return cls(match[1], Range.parse(match[2] or ""))

    def __str__(self) -> str:
        return f"{self.name}@{self.range.text}" if self.range.text else self.name
