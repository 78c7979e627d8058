"""Run the money checks over production code with one seeded bug each; `python tests/mutants/run.py NAME … [--ops N]`.

Prints one JSON line a mutant: who killed it and how. The bug is put into the module's text when it is imported, in this process only.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from tests.mutants.catalogue import MUTANTS, Mutant

UNIT_TESTS = ("tests/unit/test_cfo_rules.py", "tests/unit/test_cfo_approval.py", "tests/unit/test_cfo_periods.py")
ROOT = Path(__file__).parents[2]


class SnippetNotFound(Exception):  # noqa: N818
    """The production text changed: the mutant has to be written anew."""


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, changes: list[tuple[str, str]]) -> None:
        super().__init__(name, path)
        self._changes = changes

    def get_code(self, fullname: str) -> CodeType:
        """The changed text, compiled; no cached bytecode."""
        return compile(changed(fullname, Path(self.path).read_text(encoding="utf-8"), self._changes), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._changes: dict[str, list[tuple[str, str]]] = {}
        for module, old, new in mutant.replace:
            self._changes.setdefault(module, []).append((old, new))

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> Any:
        """Only modules with a bug in them."""
        if fullname not in self._changes:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None:
            raise SnippetNotFound(f"no module {fullname}")
        return importlib.util.spec_from_loader(fullname, _Loader(fullname, spec.origin, self._changes[fullname]))


def changed(module: str, text: str, changes: list[tuple[str, str]]) -> str:
    """The text with the bug; `SnippetNotFound` unless each snippet is there exactly once."""
    for old, new in changes:
        if text.count(old) != 1:
            raise SnippetNotFound(f"{module}: found {text.count(old)} times, expected once: {old!r}")
        text = text.replace(old, new)
    return text


def check(mutant: Mutant | None, ops: int) -> dict[str, Any]:
    """Simulator, then the state machine, then unit tests, until one of them notices."""
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(mutant))
    started = time.perf_counter()
    done = 0

    def told(by: str | None, how: str) -> dict[str, Any]:
        name = mutant.name if mutant else "none"
        seconds = round(time.perf_counter() - started, 1)
        return {"mutant": name, "killed_by": by, "how": how[:300], "ops": done, "seconds": seconds}

    try:
        simulator = importlib.import_module("tests.money.simulator")
        for seed in range(1, 1 + max(1, ops // 2000)):
            done += simulator.simulate(seed, 2000).ops
    except SnippetNotFound:
        raise
    except Exception as error:  # noqa: BLE001 - any failure is what we look for
        return told("simulator", f"{type(error).__name__}: {error}")
    try:
        machine = importlib.import_module("tests.money.test_money_machine")
        machine.run_machine(min(ops, 3000))
    except Exception as error:  # noqa: BLE001
        return told("state machine", f"{type(error).__name__}: {error}")
    import pytest

    arguments = ["-q", "-x", "-n0", "-p", "no:cacheprovider", "-W", "ignore", *(str(ROOT / t) for t in UNIT_TESTS)]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = pytest.main(arguments)
    if code == pytest.ExitCode.TESTS_FAILED:
        return told("unit tests", next(line for line in output.getvalue().splitlines() if line.startswith("FAILED")))
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"the unit tests did not run: {output.getvalue()[-500:]}")
    return told(None, "")


def each(names: list[str], ops: int) -> Iterator[dict[str, Any]]:
    """Every named mutant in a process of its own, forked after the slow imports that are not ours."""
    for module in ("greenlet", "hypothesis.stateful", "pydantic", "rfc8785", "aws_lambda_powertools"):
        importlib.import_module(module)
    for name in names:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            with os.fdopen(write, "w") as pipe:
                try:
                    found = next((m for m in MUTANTS if m.name == name), None)
                    json.dump(check(found, ops), pipe)
                except BaseException as error:  # noqa: BLE001 - the parent tells
                    json.dump({"mutant": name, "failed": f"{type(error).__name__}: {error}"}, pipe)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            yield json.loads(pipe.read())
        os.waitpid(child, 0)


def main() -> None:
    """`none` is the code as it is, which nothing may kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=["none", *(m.name for m in MUTANTS)], metavar="NAME")
    parser.add_argument("--ops", type=int, default=20_000)
    options = parser.parse_args()
    for told in each(options.names, options.ops):
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
