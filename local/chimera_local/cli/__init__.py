"""The `chimera` command: progress on stderr, results on stdout, one line for an error, documented exit codes."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import click
from pydantic import ValidationError

from chimera.errors import ChimeraError


class Lazy(click.Group):
    """Imports a command only when it is called: `chimera --help` is quick."""

    COMMANDS: ClassVar[dict[str, str]] = {
        "run": "run:run",
        "resume": "run:resume",
        "batch": "batch:batch",
        "ingest": "ingest:ingest",
        "up": "up:up",
        "scan": "scan:scan",
        "review": "review:review",
        "budget": "budget:budget",
        "ledger": "ledger:ledger",
        "costs": "costs:costs",
        "control": "control:control",
        "doctor": "doctor:doctor",
        "schema": "schema:schema",
        "token": "token:token",
        "asl": "asl:asl",
        "publish": "publish:publish",
        "provenance": "provenance:provenance",
        "template": "template:template",
        "persona": "persona:persona",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command."""
        return sorted(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.COMMANDS:
            return None
        import importlib

        module, name = self.COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(f"chimera_local.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="chimera-studio", prog_name="chimera")
def cli() -> None:
    """Chimera: an autonomous content studio whose money cannot be overspent.

    Exit codes: 0 ok · 1 internal · 2 usage · 3 waits for a person · 4 budget · 5 policy or quality ·
    6 platform or provider · 7 outcome unknown.
    """


def emit(value: Any, *, as_json: bool, text: str) -> None:
    """The result on stdout: one JSON object, or the text."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str) if as_json else text)


def who() -> str:
    """The login of the person at the keyboard, under which decisions are recorded."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "the person at the keyboard"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; every failure is one line on stderr that says what to do."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(args=given, prog_name="chimera", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _fail("VALIDATION_FAILED", error.format_message(), given, 2)
    except click.exceptions.Abort:
        click.echo("interrupted; `chimera resume` goes on from here", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("interrupted; `chimera resume` goes on from here", err=True)
        sys.exit(130)
    except ValidationError as error:
        from chimera.entrypoints import invalid

        _chimera(invalid(error), given)
    except ChimeraError as error:
        _chimera(error, given)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def _chimera(error: ChimeraError, given: list[str]) -> None:
    if "--json" in given:
        click.echo(str(error))
    click.echo(f"chimera: {error.code}: {error.message}", err=True)
    sys.exit(error.exit_code)


def _fail(code: str, message: str, given: list[str], exit_code: int) -> None:
    if "--json" in given:
        click.echo(str(ChimeraError(code, message)))
    click.echo(f"chimera: {message}", err=True)
    sys.exit(exit_code)
