"""Puts a signed C2PA manifest into a finished MP4 or JPEG, and reads one from any file: who made it, of what, unaltered or not.

The manifest (https://spec.c2pa.org) is a box behind `ftyp`. Its hash covers every box but itself, `ftyp`, `free`, `skip`
and `mfra`: all pictures, all sound and their index. Signing is the last thing that happens to the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from chimera.domain.bill import SOURCE_TYPES, BillItem, BillOfMaterials
from chimera.errors import ChimeraError
from chimera.media.apart import ask_apart
from chimera.media.process import full_disk_reported
from chimera.media.provenance_worker import OFFLINE
from chimera.ports import ContentSigner

VENDOR = "io.github.chimera-studio"
BILL_LABEL = f"{VENDOR}.bill"
MOST_BYTES = 4_000_000_000
_TIMEOUT_SECONDS = 90.0
_MOST_ANSWER = 20_000_000
_SHOWN, _LONGEST = 500, 500
# What a data miner may do with the file (CAWG metadata 1.1; until C2PA 2.1 it was `c2pa.training-mining`).
_MINING = ("ai_generative_training", "ai_training", "ai_inference", "data_mining")
Mining = Literal["allowed", "notAllowed"]
State = Literal["ours", "intact", "bad_certificate", "altered", "none", "unreadable"]
# of the certificate, not of the file
_CERTIFICATE = ("signingCredential.", "claimSignature.outsideValidity", "timeStamp.", "algorithm.")


class Signed(BaseModel):
    """A file that now carries a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: str
    signed_by: str
    signed_at: str
    manifest_bytes: int


class Provenance(BaseModel):
    """What a file says of its origin, and whether that holds. All texts are the file's own claims, made printable.

    `ours`: intact, signed by this installation (or a root that was given) · `intact`: unaltered since it was signed by
    someone whom we cannot vouch for · `bad_certificate`: unaltered, but the certificate is expired or unfit ·
    `altered`: the file is not what was signed · `none`: no manifest · `unreadable`: not a file that can carry one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State
    file: str
    manifest: str = ""
    title: str = ""
    generator: str = ""
    signed_by: str = ""
    signed_at: str = ""
    digital_source_type: str = ""
    training: dict[str, str] = {}
    ingredients: tuple[dict[str, str], ...] = ()
    bill: tuple[BillItem, ...] = ()
    problems: tuple[str, ...] = ()


def generator() -> str:
    """This program and its version."""
    try:
        return f"Chimera {version('chimera-studio')}"
    except PackageNotFoundError:
        return "Chimera"


def sign(
    video: Path,
    bill: BillOfMaterials,
    signer: ContentSigner,
    *,
    parts: Mapping[str, Path] | None = None,
    now: datetime | None = None,
    mining: Mining = "notAllowed",
    timestamps: str = "",
) -> Signed:
    """Writes the manifest into `video`, an MP4 or a JPEG by its suffix (replaced atomically). `parts`: files of the bill's items by their sha256.

    A picture's or a voice's own manifest, if its maker put one in, becomes part of this one. `timestamps` is the address
    of an RFC 3161 service; without one the time is this machine's. Raises what the signer raises, and `INTERNAL` if the
    manifest could not be made: the file is then as it was.
    """
    import c2pa

    when = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    refusals: list[ChimeraError] = []

    def callback(data: bytes) -> bytes:
        try:
            return signer.sign(data)
        except ChimeraError as error:  # the library would only say that signing failed
            refusals.append(error)
            raise

    signed = video.with_name(f".{video.stem}.{os.getpid()}.signed{video.suffix}")
    given = [(i, item, (parts or {}).get(item.sha256)) for i, item in enumerate(bill.items)]
    ingredients = [(f"part-{i}", item, path) for i, item, path in given if path is not None]
    manifest = _manifest(bill, when, mining, [identifier for identifier, *_ in ingredients], _format(video))
    settings = {
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {**OFFLINE, "verify_after_sign": False},  # by `read`, in its own process
    }
    try:
        with (
            full_disk_reported("provenance"),
            c2pa.Context.from_dict(settings) as context,
            c2pa.Builder(manifest, context=context) as builder,
            c2pa.Signer.from_callback(callback, c2pa.C2paSigningAlg.ES256, signer.chain, timestamps or None) as key,
        ):
            for identifier, item, path in ingredients:
                with path.open("rb") as part:  # footage may be long: it is not read into memory
                    builder.add_ingredient(_ingredient(identifier, item), _format(path), part)
            size = len(builder.sign_file(video, signed, key))
            found = _verified(signed, signer)
            signed.replace(video)
    except c2pa.C2paError as error:
        if refusals:
            raise refusals[0] from error
        raise ChimeraError(
            "INTERNAL", f"the provenance manifest could not be made: {str(error)[:300]}", {"reason": "provenance"}
        ) from error
    finally:
        signed.unlink(missing_ok=True)
    return Signed(manifest=found.manifest, signed_by=found.signed_by, signed_at=when, manifest_bytes=size)


def _verified(signed: Path, signer: ContentSigner) -> Provenance:
    """What the reader says of the new file; `INTERNAL` unless it takes it as ours."""
    found = read(signed, roots=signer.root)
    if found.state != "ours":
        raise ChimeraError(
            "INTERNAL",
            f"the manifest just written does not verify: {found.state}, expected ours; {'; '.join(found.problems)[:300]}",
            {"reason": "provenance", "state": found.state},
        )
    return found


def _manifest(
    bill: BillOfMaterials, when: str, mining: Mining, placed: list[str], format: str = "video/mp4"
) -> dict[str, Any]:
    name, _, number = generator().partition(" ")
    agent = {"name": name, "version": number or "0"}
    actions: list[dict[str, Any]] = [
        {
            "action": "c2pa.created",
            "when": when,
            "softwareAgent": agent,
            "digitalSourceType": SOURCE_TYPES + bill.digital_source_type,
        }
    ]
    if placed:
        actions.append(
            {"action": "c2pa.placed", "when": when, "softwareAgent": agent, "parameters": {"ingredientIds": placed}}
        )
    items = [item.model_dump(exclude_defaults=True, exclude={"prompt"}) for item in bill.items]
    return {
        "claim_generator_info": [agent],
        "title": bill.title,
        "format": format,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}, "created": True},
            {
                "label": "cawg.training-mining",
                "data": {"entries": {f"cawg.{use}": {"use": mining} for use in _MINING}},
                "created": True,
            },
            {"label": BILL_LABEL, "data": {"content_id": bill.content_id, "items": items}, "created": True},
        ],
    }


def _ingredient(identifier: str, item: BillItem) -> dict[str, Any]:
    facts = {"licence": item.licence, "sha256": item.sha256, "author": item.author, "source": item.source}
    return {
        "title": item.name,
        "relationship": "componentOf",
        "label": identifier,
        "description": f"{item.kind} by {item.author}; licence: {item.licence}",
        "metadata": {f"{VENDOR}.{key}": value for key, value in facts.items() if value},
    }


def _format(path: Path) -> str:
    return {".png": "image/png", ".jpg": "image/jpeg", ".wav": "audio/wav", ".mp4": "video/mp4"}.get(
        path.suffix.lower(), "application/octet-stream"
    )


def read(path: Path, *, roots: str = "") -> Provenance:
    """What the file says of its origin. `roots`: PEM certificates whose signatures are `ours`.

    The file may be hostile: it is read by a process of its own with limits on memory and time, without network. Raises
    `NOT_FOUND` if there is no such file, `FILE_TOO_LARGE` over 4 GB.
    """
    if not path.is_file():
        raise ChimeraError("NOT_FOUND", f"there is no file {path}", {"file": str(path)})
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ChimeraError(
            "FILE_TOO_LARGE", f"{path.name} has {size:,} bytes; at most {MOST_BYTES:,} are read", {"size_bytes": size}
        )
    answer = _ask_worker({"path": str(path.resolve()), "anchors": roots})
    if "error" in answer:
        return Provenance(state="unreadable", file=path.name, problems=(_plain(answer["error"]),))
    store = answer["store"]
    if not store:
        return Provenance(state="none", file=path.name)
    return _provenance(path.name, str(answer["state"]), store)


def _ask_worker(request: dict[str, Any]) -> dict[str, Any]:
    try:
        done = ask_apart("chimera.media.provenance_worker", request, seconds=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"reading took over {_TIMEOUT_SECONDS:.0f} s"}
    if done.returncode != 0 or len(done.stdout) > _MOST_ANSWER:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
        return {"error": f"the reader ended with {done.returncode}: {why[0]}"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _provenance(name: str, validation: str, store: dict[str, Any]) -> Provenance:
    label = str(store.get("active_manifest") or "")
    manifest = _mapping(_mapping(store.get("manifests")).get(label))
    data = {str(a.get("label")): _mapping(a.get("data")) for a in _mappings(manifest.get("assertions"))}
    failures = _failures(store)
    actions = [
        a for key, value in data.items() if key.startswith("c2pa.actions") for a in _mappings(value.get("actions"))
    ]
    created = next((a for a in actions if a.get("action") == "c2pa.created"), {})
    signature = _mapping(manifest.get("signature_info"))
    made = next(iter(_mappings(manifest.get("claim_generator_info"))), {})
    mining = _mapping(data.get("cawg.training-mining", data.get("c2pa.training-mining", {})).get("entries"))
    return Provenance(
        state=_state(validation, [code for code, _ in failures]),
        file=name,
        manifest=_plain(label),
        title=_plain(manifest.get("title")),
        generator=_plain(f"{made.get('name', '')} {made.get('version', '')}"),
        signed_by=_plain(signature.get("common_name") or signature.get("issuer")),
        signed_at=_plain(signature.get("time") or created.get("when")),
        digital_source_type=_plain(created.get("digitalSourceType")).removeprefix(SOURCE_TYPES),
        training={
            _plain(use).removeprefix("cawg.").removeprefix("c2pa."): _plain(_mapping(entry).get("use"))
            for use, entry in list(mining.items())[:20]
        },
        ingredients=tuple(
            {key: _plain(part.get(key)) for key in ("title", "format", "relationship", "description") if part.get(key)}
            for part in _mappings(manifest.get("ingredients"))
        ),
        bill=_bill(data.get(BILL_LABEL, {})),
        problems=tuple(f"{_plain(code)}: {_plain(why)}" for code, why in failures),
    )


def _state(validation: str, failures: Sequence[str]) -> State:
    """The reader's word, with faults of the certificate told apart from faults of the file."""
    real = [code for code in failures if code != "signingCredential.untrusted"]
    if any(not code.startswith(_CERTIFICATE) for code in real):
        return "altered"
    if real:
        return "bad_certificate"
    if failures:
        return "intact"
    return {"Trusted": "ours", "Valid": "intact"}.get(validation, "altered")  # type: ignore[return-value]


def _failures(store: dict[str, Any]) -> list[tuple[str, str]]:
    results = _mapping(store.get("validation_results"))
    found = _mappings(_mapping(results.get("activeManifest")).get("failure")) or _mappings(
        store.get("validation_status")
    )
    return [(str(f.get("code")), str(f.get("explanation", ""))) for f in found][:50]


def _bill(data: dict[str, Any]) -> tuple[BillItem, ...]:
    items = []
    for given in _mappings(data.get("items")):
        known = {key: _plain(value) for key, value in given.items() if key in BillItem.model_fields}
        try:
            items.append(BillItem.model_validate(known))
        except ValueError:
            continue  # a line that is not of our form says nothing that could be relied on
    return tuple(items)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value[:_SHOWN] if isinstance(entry, dict)] if isinstance(value, list) else []


def _plain(value: Any) -> str:
    """A claim as text for people: no control, invisible or direction-changing characters, not too long."""
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(value or "")[: _LONGEST * 2])
    return " ".join(text.split())[:_LONGEST]
