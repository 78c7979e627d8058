"""Artist: makes or finds a picture for each scene."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from chimera.media.models import SceneSpec, frame_size
from chimera.purse import Purse
from chimera.usecases.costs import metered
from chimera.usecases.production import MadeContent, fingerprint_of, summary, terms_of, worst_case


def paint(made: MadeContent, canvas: Any, purse: Purse) -> dict[str, Any]:
    """Paint a picture for each scene of the brief."""
    brief, ask = made.brief(), made.read("brief", "material.json")
    options = ask["options"]
    seed = int(ask["material"]["seed"]) + made.scope.attempt
    fingerprint = fingerprint_of(
        [s.model_dump() for s in brief.scenes], canvas.name, seed, options["aspect"], options["resolution"], brief.title
    )
    known = made.read_or_none("pictures", "pictures.json")
    if known and known["fingerprint"] == fingerprint:
        return summary(known, reused=True)
    media, scope, limit = made.media, made.scope, worst_case(made, "pictures")
    with (
        metered(media, scope.prefix, "pictures", gigabytes=1, purse=purse, worst_case_micros=limit),
        tempfile.TemporaryDirectory(prefix="pictures-") as folder,
    ):
        scenes = []
        size = frame_size(options["aspect"], options["resolution"])
        specs = [SceneSpec(**scene.model_dump()) for scene in brief.scenes]
        closing = SceneSpec(on_screen_text=brief.title)
        for index, spec in enumerate([*specs, closing]):
            path = Path(folder) / (f"scene-{index:03d}.png" if index < len(specs) else "outro.png")
            canvas.paint(
                spec,
                index=index,
                count=len(brief.scenes),
                title=brief.title,
                seed=seed,
                size=size,
                out_png=path,
            )
            media.put_file(scope.key("pictures", path.name), path)
            scenes.append({"image": path.name})
        outro = scenes.pop()
    result = {
        "fingerprint": fingerprint,
        "provider": canvas.name,
        "model": getattr(canvas, "model", canvas.name),
        **terms_of(canvas),
        "seed": seed,
        "scenes": scenes,
        "outro": outro,
    }
    made.write("pictures", "pictures.json", result)
    return summary(result, reused=False)
