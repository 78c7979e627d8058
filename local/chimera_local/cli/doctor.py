"""`chimera doctor`: what is there, what is missing, what each missing key would give."""

from __future__ import annotations

from dataclasses import asdict

import click

from chimera.settings import get_settings
from chimera_local.cli import emit

MARKS = {"ok": "✓", "missing": "·", "warning": "!", "error": "✗"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(as_json: bool) -> int:
    """Look at this machine and say what works, what is missing and what it would give."""
    from chimera_local.doctor import report

    findings = report(get_settings())
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.status]} {finding.name:24} {finding.detail}")
        if finding.gives:
            lines.append(f"  {'':24} {finding.gives}")
    broken = any(f.status == "error" for f in findings)
    value = {"healthy": not broken, "findings": [asdict(f) for f in findings]}
    emit(value, as_json=as_json, text="\n".join(lines))
    return 1 if broken else 0
