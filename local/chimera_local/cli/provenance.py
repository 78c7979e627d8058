"""`chimera provenance`: reads a file's manifest for people: who made it, of what, whether it was altered."""

from __future__ import annotations

from pathlib import Path

import click

from chimera.errors import ChimeraError
from chimera.media.provenance import Provenance, read
from chimera.settings import get_settings
from chimera_local.cli import emit

_MOST_BYTES = 1_000_000
_WORDS = {
    "ours": "unaltered; signed by this installation, or by a root that you trust",
    "intact": "unaltered since it was signed, by someone whom this installation does not know",
    "bad_certificate": "unaltered, but the signing certificate is expired or not fit for this",
    "altered": "ALTERED: the file is not what was signed",
    "none": "no manifest: nothing is known of its origin",
    "unreadable": "not a file that can carry a manifest, or a broken one",
}
_TYPES = {
    "algorithmicMedia": "made by algorithms, no trained model",
    "trainedAlgorithmicMedia": "made by generative AI",
    "compositeSynthetic": "put together, some of it by generative AI",
    "composite": "put together from material of people",
}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--trust", type=click.Path(path_type=Path), help="A root certificate (PEM) to trust besides our own.")
@click.option("--certify", is_flag=True, help="FILE is a public key (PEM, P-256): print certificates for it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def provenance(file: Path, trust: Path | None, certify: bool, as_json: bool) -> int:
    """Check the provenance manifest (C2PA) of a video or picture, ours or any other.

    Exit code 5 if the file was altered or its certificate is not fit, 0 otherwise.
    """
    folder = get_settings().keys_path
    if certify:
        from chimera.adapters.local.certificates import LocalContentSigner

        emit(
            {"chain": (chain := LocalContentSigner(folder).chain_for(_bytes(file)))},
            as_json=as_json,
            text=chain.rstrip(),
        )
        return 0
    own = folder / "content-root.crt"
    roots = [path for path in (own if own.is_file() else None, trust) if path is not None]
    found = read(file, roots="".join(_bytes(path).decode("ascii", "replace") for path in roots))
    emit(found.model_dump(mode="json"), as_json=as_json, text=describe(found))
    return 5 if found.state in {"altered", "bad_certificate"} else 0


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise ChimeraError("NOT_FOUND", f"{path} cannot be read: {error.strerror}", {"file": str(path)}) from error


def describe(found: Provenance) -> str:
    """The manifest in a dozen lines; everything but the first is the file's own claim."""
    lines = [f"{found.file}: {_WORDS[found.state]}"]
    kind = found.digital_source_type
    facts = {
        "Title": found.title,
        "Made with": found.generator,
        "Kind": f"{_TYPES[kind]} ({kind})" if kind in _TYPES else kind,
        "Signed by": found.signed_by,
        "Signed at": found.signed_at,
        "Training": ", ".join(sorted(set(found.training.values()))),
    }
    lines += [f"  {name:<11}{value}" for name, value in facts.items() if value]
    if found.bill:
        lines.append("  Made of")
        seen: dict[tuple[str, str, str], list[str]] = {}
        for item in found.bill:
            seen.setdefault((item.kind, item.author, item.licence), []).append(item.name)
        for (sort, author, licence), names in seen.items():
            what = names[0] if len(names) == 1 else f"{len(names)} ({names[0]} …)"
            lines.append(f"    {sort:<9}{what}{f', by {author}' if author else ''}; licence: {licence}")
    elif found.ingredients:
        lines.append("  Made of    " + ", ".join(part.get("title", "?") for part in found.ingredients[:12]))
    lines += [f"  Problem    {problem}" for problem in found.problems[:10]]
    return "\n".join(lines)
