"""The CDK application: `cdk deploy` and `make synth` start here; the settings come from the context (cdk.json, -c)."""

from __future__ import annotations

import sys

from aws_cdk import App

from infra.config import FIELDS, read_config
from infra.deployment import build, check
from infra.errors import ConfigError


def context_of(app: App) -> dict[str, object]:
    """What cdk.json and `-c` gave: the object `chimera`, each setting by its name, and `secrets.X`, `models.X`."""
    everything = app.node.get_all_context() or {}
    named = {key: everything[key] for key in everything if key in FIELDS or key == "chimera"}
    return named | {key: value for key, value in everything.items() if key.startswith(("secrets.", "models."))}


def main(context: dict[str, object] | None = None, outdir: str | None = None) -> int:
    """Synthesise; a setting that cannot be is one sentence on stderr and exit code 2.

    Started by `cdk`, context and output folder come by the environment.
    """
    app = App(context=context, outdir=outdir)
    try:
        build(app, read_config(context_of(app)))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    check(app)
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
