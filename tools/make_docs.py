"""Writes the tables of docs/ that come from code, between their markers; `--check` fails if one is out of date."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from chimera.errors import CODES
from chimera.settings import LOCAL_TENANT, Settings

ROOT = Path(__file__).resolve().parents[1]
TABLES = {"settings": "docs/settings.md", "errors": "docs/errors.md"}

MEANINGS: dict[str, str] = {
    "VALIDATION_FAILED": "A value does not fit. The message shows what came and what was expected; correct it.",
    "NOT_FOUND": "There is no such thing, or no trend with this topic. Look at the list that the message names.",
    "CONFLICT": "It has changed, is taken, or was decided otherwise before. Look again, then repeat.",
    "UNAUTHENTICATED": "No token, or not a live one of this home. `chimera token` makes one.",
    "FORBIDDEN": "Known, but not allowed: another role, channel or agent is needed.",
    "BUDGET_EXCEEDED": "A limit would be passed, or the budget is frozen. `chimera budget` shows which; wait, change it, or unfreeze it.",
    "ROI_TOO_LOW": "The projected return is below the hurdle. Choose a stronger trend or a shorter video.",
    "TRANSACTION_TOO_LARGE": "One request is above the largest transaction. Split it, or change the setting.",
    "APPROVAL_REQUIRED": "A person decides. `chimera review ls` shows what waits.",
    "INVALID_SIGNATURE": "An approval is forged, altered, expired or somebody else's. Ask the CFO again.",
    "AGENT_OFFLINE": "A part does not answer, mostly the engine. `chimera resume` goes on.",
    "MCP_TIMEOUT": "A tool server did not answer in time. Repeat later.",
    "PROVIDER_TIMEOUT": "A source or provider did not answer in time. Repeat later.",
    "RATE_LIMITED": "Asked too often. Repeat after the stated time.",
    "PROVIDER_REJECTED": "A provider refused, or answered with something unreadable. Repeating does not help.",
    "OUTCOME_UNKNOWN": "A post may be out or not. It is looked up before anything is sent again; see publishing.md.",
    "QUALITY_FAILED": "What was made is not good enough, such as a script that is too short.",
    "VIDEO_TOO_LONG": "The video would be longer than 600 s. Ask for less.",
    "FILE_TOO_LARGE": "A file is above its limit. The message names both sizes.",
    "POLICY_VIOLATION": "The judge or a person rejected it, or it may not go out without a verdict.",
    "PUBLISHING_PAUSED": "The switch is on pause. `chimera control run` or `POST /v1/operations/resume` ends that.",
    "SYSTEM_STOPPED": "The emergency stop, or a pause of spending, is on. `chimera control run` or `POST /v1/operations/resume` ends that.",
    "DATABASE_WAKING": "The database does not answer yet. Repeat; state machines do so by themselves.",
    "INTERNAL": "A mistake in Chimera or a full disk. The message or the log says more.",
}


def settings_table() -> str:
    """Every field of Settings: variable, default, meaning."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| {' or '.join(f'`{v}`' for v in variables(name, field))} | {default(field)} | {meaning} |")
    return "\n".join(lines)


def variables(name: str, field: FieldInfo) -> list[str]:
    """The environment variables that set a field."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [f"CHIMERA_{name.upper()}"]


def default(field: FieldInfo) -> str:
    """The default as a person would write it."""
    value = field.default
    if value == LOCAL_TENANT:
        return "the home's tenant"
    if value in ("", None):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def errors_table() -> str:
    """Every code of CODES: HTTP status, whether to retry, exit code, meaning."""
    if missing := CODES.keys() ^ MEANINGS.keys():
        raise SystemExit(f"tools/make_docs.py: MEANINGS and CODES differ: {', '.join(sorted(missing))}")
    lines = ["| code | HTTP | retry | exit | meaning, and what to do |", "| --- | --- | --- | --- | --- |"]
    for code, (status, retryable, exit_code) in CODES.items():
        retry = "yes" if retryable else "no"
        lines.append(f"| `{code}` | {status} | {retry} | {exit_code} | {MEANINGS[code]} |")
    return "\n".join(lines)


def filled(name: str, text: str) -> str:
    """The page with its table written anew."""
    table = {"settings": settings_table, "errors": errors_table}[name]()
    pattern = re.compile(rf"(<!-- generated:{name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{TABLES[name]} has no marker <!-- generated:{name} --> … <!-- end -->")
    return pattern.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)


def main(arguments: list[str]) -> int:
    """Write the tables, or compare them with `--check`."""
    stale = []
    for name, page in TABLES.items():
        path = ROOT / page
        old = path.read_text(encoding="utf-8")
        new = filled(name, old)
        if new != old:
            stale.append(page)
            if "--check" not in arguments:
                path.write_text(new, encoding="utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run tools/make_docs.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
