"""The options of a production on the command line: one list for every command that makes something."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chimera.domain.options import CAPTIONS, RunOptions
from chimera.entrypoints import parse
from chimera.errors import ChimeraError
from chimera_local.world import absolute_music, absolute_source

MAX_SCRIPT_BYTES = 64 * 1024
_DECORATORS = (
    click.option(
        "--source",
        "sources",
        multiple=True,
        help="hackernews, wikipedia, google_trends, rss, sample, file:PATH or a feed's address; repeat for several.",
    ),
    click.option("--topic", default="", help="Make a video about this rising topic rather than the best one."),
    click.option(
        "--script", default="", help="FILE (- is stdin) whose words are spoken as they stand; needs no trend."
    ),
    click.option("--text", default="", help="FILE (- is stdin) that the writer makes a script from; needs no trend."),
    click.option("--title", default="", help="Of the video that --script or --text makes."),
    click.option("--duration", default=45, show_default=True, help="Seconds, 15–180."),
    click.option("--template", default="", help="NAME or NAME@VERSION; `chimera template ls`. Empty: the persona's."),
    click.option("--param", "parameters", multiple=True, help="NAME=VALUE of the template; repeat for several."),
    click.option("--asset", "assets", multiple=True, help="Your own picture, footage or a folder of them; repeatable."),
    click.option(
        "--format",
        type=click.Choice(["video", "image", "carousel", "thread"]),
        default="video",
        show_default=True,
        help="A video, one card, 2–10 cards, or the posts of a thread with cards.",
    ),
    click.option("--aspect", type=click.Choice(["9:16", "16:9", "1:1"]), default="9:16", show_default=True),
    click.option(
        "--resolution", type=click.Choice(["360p", "720p", "1080p", "4k"]), default="1080p", show_default=True
    ),
    click.option("--fps", type=click.Choice(["24", "30", "60"]), default="30", show_default=True),
    click.option(
        "--quality", type=click.Choice(["preview", "draft", "standard", "high"]), default="standard", show_default=True
    ),
    click.option(
        "--captions", type=click.Choice([c for c in CAPTIONS if c]), default=None, help="Empty: the template's."
    ),
    click.option("--soft-captions", is_flag=True, help="Captions as a track that can be switched off."),
    click.option("--mask-profanity", is_flag=True, help="Stars for words that are not for everyone."),
    click.option(
        "--platform", default="", help="Whose safe area is kept, such as tiktok; empty: the strictest of all."
    ),
    click.option(
        "--persona",
        "persona_id",
        default="",
        help="Whose video it is: a persona's name or id; empty: whoever may make one.",
    ),
    click.option(
        "--auto-approve",
        is_flag=True,
        help="Approve in advance what the judge puts to review; a reject stays a reject.",
    ),
    click.option("--seed", default=0, help="Another number, another look."),
    click.option(
        "--music", default="", help="auto, off, a mood (calm, curious, upbeat, tense, warm, newsroom) or a FILE."
    ),
)


def production_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds every option of a production to a command."""
    for decorate in reversed(_DECORATORS):
        command = decorate(command)
    return command


def run_options(given: dict[str, Any]) -> RunOptions:
    """The options as the state machines take them. Raises `VALIDATION_FAILED` for files that are not there."""
    material = material_of(given.pop("script"), given.pop("text"), given.pop("title"))
    approves = bool(given["auto_approve"])
    sources = [absolute_source(s) for s in given.pop("sources")]
    duration, fps, quality = given.pop("duration"), int(given.pop("fps")), given.pop("quality")
    values = {
        **given,
        "sources": sources,
        "duration_seconds": duration,
        "fps": fps,
        "quality_preset": quality,
        "captions": given["captions"] or "",
        "parameters": parameters_of(given["parameters"]),
        "assets": [absolute_asset(a) for a in given["assets"]],
        "music": absolute_music(given["music"]),
        "approved_by": "the person at the keyboard, in advance (--auto-approve)" if approves else "",
        # a person who names a source wants something made of it
        "force": bool(sources),
        "material": material,
    }
    return parse(RunOptions, values)


def material_of(script: str, text: str, title: str) -> dict[str, str] | None:
    """The person's own words from the files that are named; None: trends are asked."""
    if not (script or text):
        if title:
            raise ChimeraError("VALIDATION_FAILED", "--title: expected a --script or a --text that it is the title of")
        return None
    found = {"title": title, "script": _words(script, "--script"), "text": _words(text, "--text")}
    return {name: value for name, value in found.items() if value}


def _words(name: str, option: str) -> str:
    if not name:
        return ""
    try:
        data = sys.stdin.buffer.read(MAX_SCRIPT_BYTES + 1) if name == "-" else _head(Path(name).expanduser())
    except OSError as error:
        raise ChimeraError("VALIDATION_FAILED", f"{option} {name}: {error.strerror}", {"file": name}) from None
    if len(data) > MAX_SCRIPT_BYTES:
        raise ChimeraError(
            "FILE_TOO_LARGE", f"{option} {name}: more than {MAX_SCRIPT_BYTES:,} bytes; expected 5,000 characters"
        )
    try:
        words = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"{option} {name}: byte {error.start} is not UTF-8; save the file as UTF-8 text"
        ) from None
    if not words:
        raise ChimeraError("VALIDATION_FAILED", f"{option} {name}: the file is empty; expected the words to be spoken")
    return words


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_SCRIPT_BYTES + 1)


def parameters_of(pairs: tuple[str, ...]) -> dict[str, str | int | float | bool]:
    """`NAME=VALUE` pairs; numbers and true/false as such, so that a template's types fit."""
    found: dict[str, str | int | float | bool] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or not name.strip():
            raise ChimeraError("VALIDATION_FAILED", f"--param {pair[:80]}: expected NAME=VALUE", {"param": pair[:200]})
        found[name.strip()] = _typed(value)
    return found


def _typed(value: str) -> str | int | float | bool:
    if value.lower() in {"true", "false"}:
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def absolute_asset(asset: str) -> str:
    """`file:PATH` (or just a path, or `key:KEY`) with the path made absolute and there; what it holds, `RunChecks` says."""
    if asset.startswith("key:"):
        return asset
    path = Path(asset.removeprefix("file:")).expanduser()
    if not path.exists():
        raise ChimeraError("VALIDATION_FAILED", f"--asset {asset}: there is no file or folder {path}", {"asset": asset})
    return f"file:{path.resolve()}"
