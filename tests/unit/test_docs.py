"""The documentation is true to the code: generated tables, links, and every command that it shows."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path
from types import ModuleType

import click
import pytest

from chimera.domain.options import RunOptions
from chimera_local.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def of_page(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(text: str) -> list[str]:
    """Every `chimera …` line in fenced blocks, without prompt, comment, redirection or pipe."""
    found = []
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            stripped = re.sub(r"^\$ ", "", line.strip())
            stripped = re.sub(r"^(?:[A-Z_]+=\S* )+", "", stripped)
            inner = re.findall(r"\$\((chimera [^)]*)\)", stripped)
            if stripped.startswith("chimera "):
                inner.append(re.split(r"\s[|>&#]", stripped)[0])
            found += inner
    return found


def parse(line: str) -> None:
    """Let click parse the line as the subcommand would get it; nothing is run."""
    words = shlex.split(line)[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            raise click.UsageError(f"no command {words[0]!r}")
        command = found
        words = words[1:]
    command.make_context(command.name, words)


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "tools/make_docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_tables_are_up_to_date(make_docs: ModuleType) -> None:
    assert make_docs.main(["--check"]) == 0


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_relative_links_lead_to_a_file_or_heading(page: Path) -> None:
    broken = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = page.parent / path if path else page
        if not to.exists():
            broken.append(target)
        elif anchor and to.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", to.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
            if anchor not in slugs:
                broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_commands_exist_with_their_options(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where a reader types them
    wrong = []
    for line in commands(page.read_text(encoding="utf-8")):
        try:
            parse(line)
        except click.exceptions.Exit:
            pass  # --help and --version
        except click.ClickException as error:
            wrong.append(f"{line}: {error.format_message()}")
    assert not wrong


def test_a_wrong_command_would_be_found() -> None:
    with pytest.raises(click.ClickException):
        parse("chimera run --no-such-option")
    with pytest.raises(click.ClickException):
        parse("chimera review no-such-command")


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_json_blocks_are_json(page: Path) -> None:
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "json":
            json.loads(block)


def test_every_page_is_short() -> None:
    long = {of_page(p): n for p in PAGES if p.parent.name == "docs" and (n := p.read_text().count("\n")) > 120}
    assert not {page: n for page, n in long.items() if page != "docs/licences.md"}


def test_run_options_are_all_explained() -> None:
    text = (ROOT / "docs/using.md").read_text(encoding="utf-8")
    offered = {p.opts[0] for p in cli.get_command(click.Context(cli), "run").params if p.opts}  # type: ignore[union-attr]
    assert not {option for option in offered if option not in text}
    assert RunOptions().duration_seconds == 45  # the default that the page states
