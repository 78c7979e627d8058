"""What a voice needs from the content's folder: sounds that were paid for are kept, own recordings are fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chimera.errors import ChimeraError
from chimera.media.models import VoiceResult
from chimera.ports import Voice
from chimera.usecases.production import MadeContent, fingerprint_of

_FOLDER = "takes"


class Takes:
    """Sounds that cost money, by the hash of what was asked for: a step that is begun again buys none of them twice."""

    def __init__(self, made: MadeContent) -> None:
        self._made = made

    def bought(self, provider: Voice, out_wav: Path, text: str, /, **asked: Any) -> VoiceResult:
        """What the provider makes of the text, from an earlier attempt if there was one; the sound is in `out_wav`."""
        media, scope = self._made.media, self._made.scope
        digest = fingerprint_of(provider.name, provider.model, text, asked)[:32]
        sound, facts = scope.key("audio", f"{_FOLDER}/{digest}.wav"), scope.key("audio", f"{_FOLDER}/{digest}.json")
        if media.exists(facts) and media.exists(sound):
            # a copy: what follows changes the sound in place
            out_wav.write_bytes(media.get_bytes(sound))
            return VoiceResult.model_validate_json(media.get_bytes(facts))
        result = provider.synthesize(text, out_wav=out_wav, **asked)
        media.put_file(sound, out_wav, temporary=True)
        media.put_bytes(facts, result.model_dump_json().encode())
        return result


@dataclass(frozen=True, kw_only=True)
class OwnFiles:
    """Recordings by the name a persona gives them, as `file:PATH`, and the hash of their bytes."""

    paths: dict[str, str] = field(default_factory=dict)
    digest: str = ""


def files_of(made: MadeContent, names: Sequence[str], folder: Path, *, allowed: bool) -> OwnFiles:
    """The recordings that are named `file:PATH` (only where files are `allowed`) or `key:KEY` of this tenant.

    A key that ends in `/` is a folder. `VALIDATION_FAILED` for any other name, `NOT_FOUND` for what is not there.
    """
    paths: dict[str, str] = {}
    digest = hashlib.sha256()
    for count, name in enumerate(dict.fromkeys(names)):
        kind, _, rest = name.partition(":")
        if kind == "file" and rest and allowed:
            there = Path(rest).expanduser()
        elif kind == "key" and rest:
            there = _fetched(made, rest, folder / f"own-{count}")
        else:
            expected = "file:PATH or key:KEY" if allowed else "key:KEY, for there are no files of yours here"
            raise ChimeraError(
                "VALIDATION_FAILED", f"recording {name[:80]!r}: expected {expected}", {"voice": name[:80]}
            )
        paths[name] = f"file:{there}"
        for one in sorted(there.iterdir()) if there.is_dir() else [there]:
            if one.is_file():
                with one.open("rb") as file:
                    digest.update(one.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return OwnFiles(paths=paths, digest=digest.hexdigest() if paths else "")


def _fetched(made: MadeContent, key: str, to: Path) -> Path:
    own = f"tenants/{made.scope.tenant_id}/"
    if not key.startswith(own) or ".." in key:
        raise ChimeraError(
            "VALIDATION_FAILED", f"recording key {key[:80]!r}: expected one below {own}", {"key": key[:80]}
        )
    to.mkdir(parents=True, exist_ok=True)
    if not key.endswith("/"):
        return made.media.fetch(key, to / key.rpartition("/")[2])
    found = made.media.keys(key)[:200]
    if not found:
        raise ChimeraError("NOT_FOUND", f"recording key {key[:80]!r}: there is nothing below it", {"key": key[:80]})
    for one in found:
        name = one.removeprefix(key)
        if "/" not in name:
            (to / name).write_bytes(made.media.get_bytes(one))
    return to
