"""What is wrong with a template: file, line, what came, what was expected, how to put it right; all of it at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from chimera.errors import ChimeraError

MOST = 50


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. Lines and columns count from 1; 0 is the file as a whole."""

    file: str
    line: int
    column: int
    where: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        named = f"{self.where}: " if self.where else ""
        return f"{place}: {named}{self.message}" + (f"; {self.fix}" if self.fix else "")


class ProblemsError(Exception):
    """Raised inside the template engine; `refused` makes it the error that callers see."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)[:MOST]
        super().__init__("\n".join(map(str, self.problems)))


def refused(name: str, problems: Sequence[Problem]) -> ChimeraError:
    """`VALIDATION_FAILED` with the template's name, the first problem in the message and all of them in the details."""
    more = f" (and {len(problems) - 1} more; `chimera template validate` lists them)" if len(problems) > 1 else ""
    return ChimeraError(
        "VALIDATION_FAILED",
        f"template {name}: {problems[0]}{more}",
        {"template": name, "problems": [asdict(p) for p in problems]},
    )


def nearest(word: object, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for a misspelt word, else the choices where they are few, else nothing."""
    names = sorted(set(known))
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def path_text(path: Sequence[str | int]) -> str:
    """`("scenes", 0, "layers", 2)` -> `scenes[0].layers[2]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shown(value: object, limit: int = 60) -> str:
    """A value as an error names it."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
