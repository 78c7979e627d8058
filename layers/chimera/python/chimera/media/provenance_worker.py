"""The process that reads a file's C2PA manifest: one JSON request on stdin, one JSON answer on stdout, within limits.

Files come from anywhere and the reader is native code, so it runs apart: with little memory and time, no writing, no
environment, and no fetching of what a manifest points to. Request: `{path, anchors}`. Answer: `{found, state, store}`,
or `{error}`.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from pathlib import Path
from typing import Any

MEMORY_BYTES = 1_500_000_000
CPU_SECONDS = 60
# nothing is fetched: neither manifests kept elsewhere, nor certificates' states
OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False}


def read(request: dict[str, Any]) -> dict[str, Any]:
    """What the reader says of the file; `anchors` are the trusted roots as PEM."""
    import c2pa

    settings: dict[str, Any] = {"verify": {**OFFLINE, "verify_trust": True}}
    if request["anchors"]:
        settings["trust"] = {"user_anchors": request["anchors"]}
    try:
        with (
            Path(request["path"]).open("rb") as file,
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(file, context=context) as reader,
        ):
            return {
                "found": reader.is_embedded(),
                "state": reader.get_validation_state(),
                "store": json.loads(reader.json()),
            }
    except c2pa.C2paError.ManifestNotFound:
        return {"found": False, "state": None, "store": None}
    except (c2pa.C2paError, OSError, MemoryError, ValueError, RecursionError) as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def limit() -> None:
    """From here on this process has little memory and time, and can make no file."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        with contextlib.suppress(ValueError, OSError):  # macOS takes no limit on memory
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    limit()
    json.dump(read(json.load(sys.stdin)), sys.stdout)
