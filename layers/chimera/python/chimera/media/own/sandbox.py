"""Runs what touches a stranger's file in a process of its own, within limits, and turns its end into one clear error."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from chimera.errors import ChimeraError
from chimera.media import process
from chimera.media.apart import ask_apart
from chimera.media.own import limited
from chimera.media.own.limits import (
    CODECS,
    DEMUXERS,
    FFMPEG_MEMORY_BYTES,
    MAX_PREPARED_BYTES,
    MAX_STREAMS,
    MAX_TILES,
    PICTURE_SECONDS,
)
from chimera.media.own.sniff import refused, shown

_WHOLE = "one that can be decoded within limits"
_ENDED = {signal.SIGXCPU: "too much time", signal.SIGALRM: "too much time", signal.SIGKILL: "too much memory"}


def ask(
    op: str, path: Path, container: str, *, seconds: float = PICTURE_SECONDS, file_bytes: int = 0, **more: Any
) -> dict[str, Any]:
    """The worker's answer about the file. `VALIDATION_FAILED` or `FILE_TOO_LARGE`: what came, what was expected."""
    request = {
        "op": op, "path": str(path.absolute()), "container": container, "cpu_seconds": max(round(seconds), 1),
        "file_bytes": file_bytes, **more,
    }  # fmt: skip
    try:
        done = ask_apart("chimera.media.own.worker", request, seconds=seconds)
    except subprocess.TimeoutExpired:
        raise refused(path, f"a file that took over {seconds:.0f} s to read", _WHOLE) from None
    if done.returncode != 0:
        raise refused(path, f"a file whose reading ended with {_why(done.returncode)}", _WHOLE)
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        error = answer["error"]
        raise ChimeraError(
            error["code"], f"{shown(path)}: got {error['got']}, expected {error['expected']}",
            {"file": shown(path), "got": error["got"], "expected": error["expected"]},
        )  # fmt: skip
    return answer


def source_options(path: Path, container: str) -> list[str]:
    """How ffmpeg is told to open the file: by one demuxer, with known codecs, with nothing but files within reach."""
    streams = MAX_TILES if container == "heif" else MAX_STREAMS
    return [
        "-protocol_whitelist", "file", "-codec_whitelist", ",".join(CODECS), "-max_streams", str(streams),
        "-f", DEMUXERS[container], "-i", f"file:{path.absolute()}",
    ]  # fmt: skip


def ffmpeg(
    path: Path, arguments: list[str], *, seconds: float, file_bytes: int = MAX_PREPARED_BYTES, level: str = "error"
) -> tuple[bytes, str]:
    """Runs ffmpeg on the file at `path` under limits; gives stdout and the end of stderr. What it cannot do is one clear
    error."""
    numbers = [str(FFMPEG_MEMORY_BYTES), str(round(seconds * 2)), str(max(round(seconds), 1)), str(file_bytes)]
    program = [process.executable(), "-hide_banner", "-nostats", "-loglevel", level, "-nostdin", *arguments]
    try:
        return process.run([sys.executable, "-I", "-S", str(Path(limited.__file__)), *numbers, *program])
    except ChimeraError as error:
        if error.details.get("reason") != "ffmpeg":
            raise
        code = int(error.message.rsplit(" ", 1)[-1])
        got = f"a file whose decoding needs {_ENDED[signal.Signals(-code)]}" if -code in _ENDED else "a broken file"
        raise ChimeraError(
            "VALIDATION_FAILED", f"{shown(path)}: got {got}, expected {_WHOLE}",
            {"file": shown(path), "got": got, "expected": _WHOLE, "stderr": error.details.get("stderr", "")[-300:]},
        ) from error  # fmt: skip


def _why(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    return _ENDED.get(signal.Signals(-code), signal.Signals(-code).name)
