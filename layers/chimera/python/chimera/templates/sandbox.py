"""The expressions of templates: Jinja's, in its immutable sandbox, cut down to what templates need, with limits.

There are no statements (`{% … %}`), only expressions; text that comes in as data is never parsed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from chimera.media.figures import as_data, key_figure
from chimera.templates import language
from chimera.templates.problems import nearest

MAX_EXPRESSION = 4_000
MAX_TEXT = 20_000
MAX_LIST = 2_000
MAX_RANGE = 500
FILTERS = frozenset(
    re.findall(
        r"\S+",
        "abs batch capitalize count default d first float int items join last length list lower map max min reject"
        " rejectattr replace reverse round select selectattr slice sort string sum trim unique upper dictsort",
    )
)
CONSTANTS = ("true", "false", "none", "True", "False", "None")


class ExpressionError(ValueError):
    """An expression that cannot be read or computed; the message says why."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where a mapping's keys come before its methods, and nothing can be made arbitrarily large."""

    intercepted_binops = frozenset(["*", "**", "+", "%", "//", "/", "-"])

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`brief.title`: of a mapping its key."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuses arithmetic whose result could be huge."""
        del context
        if operator == "*":
            _bounded_product(left, right)
        elif operator == "**" and not (_number(left) and _number(right) and abs(left) <= 1000 and abs(right) <= 10):
            raise SecurityError("`**` is for small numbers only")
        elif operator == "%" and not (_number(left) and _number(right)):
            raise SecurityError("`%` is for numbers only; join text with ~")
        elif operator == "+" and isinstance(left, str | list | tuple):
            _check_length(len(left) + len(right) if hasattr(right, "__len__") else 0)
        return self.binop_table[operator](left, right)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounded_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(other, int):
            _check_length(len(one) * max(other, 0))
    if isinstance(left, int) and isinstance(right, int) and abs(left) * abs(right) > 10**18:
        raise SecurityError("the product is larger than 10^18")


def _check_length(length: int) -> None:
    if length > MAX_TEXT:
        raise SecurityError(f"the result would have {length:,} parts; at most {MAX_TEXT:,} are allowed")


@dataclass
class Aim:
    """What functions depend on besides their arguments: the video that is laid out now."""

    aspect: str = "9:16"
    seed: int = 0
    code: str = "en"


class Expressions:
    """Compiles and evaluates expressions, each text once."""

    def __init__(self) -> None:
        self.aim = Aim()
        self.env = environment(self.aim)
        self._made: dict[str, Callable[[Mapping[str, Any]], Any]] = {}

    def value(self, text: str, scope: Mapping[str, Any]) -> Any:
        """A text with expressions: one that is a single expression keeps its type, others are joined as text."""
        if "{" not in text or not ("{{" in text or "{%" in text or "{#" in text):
            return text
        return self._run("text:" + text, partial(self._text, text), scope)

    def bare(self, text: str, scope: Mapping[str, Any]) -> Any:
        """An expression without braces, as `when:` and `for:` hold it."""
        inner = unwrapped(text)
        return self._run("bare:" + inner, partial(self._single, inner), scope)

    def _run(self, key: str, make: Callable[[], Callable[[Mapping[str, Any]], Any]], scope: Mapping[str, Any]) -> Any:
        try:
            found = self._made.get(key)
            if found is None:
                found = self._made[key] = make()
            return plain(found(scope))
        except ExpressionError:
            raise
        except UndefinedError as error:
            raise ExpressionError(str(error.message or error)) from None
        except TemplateSyntaxError as error:
            raise ExpressionError(f"not an expression: {error.message}") from None
        except SecurityError as error:
            raise ExpressionError(f"not allowed: {error}") from None
        except TemplateError as error:
            raise ExpressionError(str(error)) from None
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
            raise ExpressionError(f"{type(error).__name__}: {str(error)[:200]}") from None

    def _single(self, inner: str) -> Callable[[Mapping[str, Any]], Any]:
        parsed(self.env, "{{" + inner + "}}")
        compiled = self.env.compile_expression(inner, undefined_to_none=False)
        return lambda scope: compiled(**scope)

    def _text(self, text: str) -> Callable[[Mapping[str, Any]], Any]:
        if is_single(self.env, text):
            return self._single(text.strip()[2:-2].strip("-+"))
        template = self.env.from_string(text)
        return lambda scope: template.render(**scope)


def unwrapped(text: str) -> str:
    """`{{ x }}` -> `x`: braces around a bare expression are allowed."""
    text = text.strip()
    return text[2:-2].strip() if text.startswith("{{") and text.endswith("}}") else text


def check_text(text: str) -> None:
    """Refuse what is no expression: statements, comments, monsters."""
    if len(text) > MAX_EXPRESSION:
        raise ExpressionError(f"the text has {len(text):,} characters, expected at most {MAX_EXPRESSION:,}")
    for mark, instead in (("{%", "use `for:`, `when:`, `let:` or an inline `a if b else c`"), ("{#", "use YAML's #")):
        if mark in text:
            raise ExpressionError(f"{mark!r} is not allowed in templates; {instead}")


MOST_NESTED = 100


def _depth(text: str) -> int:
    """How deep brackets are nested at most, those in strings counted as well."""
    deepest = depth = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    return deepest


def parsed(env: Sandbox, text: str) -> nodes.Template:
    """The syntax tree of a text with expressions. Raises `ExpressionError`, also for unknown filters and tests."""
    check_text(text)
    if _depth(text) > MOST_NESTED:  # the interpreter's own limit depends on how deep its stack is already
        raise ExpressionError("nested too deeply")
    try:
        tree = env.parse(text)
    except TemplateSyntaxError as error:
        raise ExpressionError(f"not an expression: {error.message}") from None
    except RecursionError:
        raise ExpressionError("nested too deeply") from None
    for node in _nodes(tree):
        for sort, kind, known in (("filter", nodes.Filter, env.filters), ("test", nodes.Test, env.tests)):
            if isinstance(node, kind) and node.name not in known:
                raise ExpressionError(f"unknown {sort} {node.name!r}; {nearest(node.name, known)}".rstrip("; "))
    return tree


def _nodes(tree: nodes.Template) -> Iterator[nodes.Node]:
    """Every node; refuses a tree so deep that what visits it, one call within another, would not come back."""
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MOST_NESTED:
            raise ExpressionError("nested too deeply")
        yield node
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]


def is_single(env: Sandbox, text: str) -> bool:
    """Whether the text is one expression and nothing else."""
    tree = parsed(env, text)
    stripped = text.strip()
    if not (stripped.startswith("{{") and stripped.endswith("}}")) or len(tree.body) != 1:
        return False
    output = tree.body[0]
    shown = output.nodes if isinstance(output, nodes.Output) else []
    real = [n for n in shown if not (isinstance(n, nodes.TemplateData) and not n.data.strip())]
    return len(real) == 1 and not isinstance(real[0], nodes.TemplateData)


def plain(value: Any, depth: int = 0) -> Any:
    """The value as plain data; what is undefined, foreign or too large is refused."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, str):
        _check_length(len(value))
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        if isinstance(value, float) and not -1e15 < value < 1e15:
            raise SecurityError("the number is not finite or too large")
        return value
    if depth > 12:
        raise SecurityError("nested deeper than 12")
    if isinstance(value, Mapping):
        _check_length(len(value))
        return {str(key): plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | range) or hasattr(value, "__next__"):
        found = []
        for inner in value:
            found.append(plain(inner, depth + 1))
            if len(found) > MAX_LIST:
                raise SecurityError(f"the list has more than {MAX_LIST:,} items")
        return found
    if hasattr(value, "__iter__") and type(value).__name__ in {"dict_items", "dict_keys", "dict_values"}:
        return plain(list(value), depth)
    raise SecurityError(f"a value of type {type(value).__name__} cannot be used")


def environment(aim: Aim) -> Sandbox:
    """The sandbox with the filters and functions that templates have."""
    env = Sandbox(undefined=StrictUndefined, autoescape=False, finalize=_finalize, cache_size=0, extensions=())
    env.filters = {name: env.filters[name] for name in FILTERS}
    env.filters |= {
        "shorten": language.shorten,
        "sentences": language.sentences,
        "titlecase": lambda text, code="": language.title_case(str(text), code or aim.code),
        "ordinal": lambda number, code="": language.ordinal(int(number), code or aim.code),
        "chunk": _chunk,
        "emphasise": language.emphasise,
        "words": lambda text: str(text).split(),
        "pick": lambda items, *salt: pick(items, aim.seed, *salt),
    }
    env.tests = {name: env.tests[name] for name in TESTS}
    env.globals = {
        "range": _range,
        "pick": lambda items, *salt: pick(items, aim.seed, *salt),
        "by_aspect": lambda portrait, landscape, square: {"9:16": portrait, "16:9": landscape, "1:1": square}[
            aim.aspect
        ],
        "figure": lambda text: as_data(key_figure(str(text))),
    }
    return env


TESTS = frozenset(
    re.findall(
        r"\S+",
        "defined undefined none odd even number string mapping sequence true false boolean in eq ne lt le gt ge"
        " divisibleby integer float == != < <= > >= equalto lessthan greaterthan",
    )
)


def _finalize(value: Any) -> Any:
    return "" if value is None else value


def _range(*given: int) -> range:
    made = range(*given)
    if len(made) > MAX_RANGE:
        raise SecurityError(f"range has {len(made):,} numbers; at most {MAX_RANGE} are allowed")
    return made


def _chunk(items: Any, size: int) -> list[list[Any]]:
    if size < 1:
        raise ValueError(f"chunk: got {size}, expected at least 1")
    listed = list(items)
    return [listed[i : i + size] for i in range(0, len(listed), size)]


def pick(items: Any, seed: int, *salt: Any) -> Any:
    """One of the items, chosen by the video's seed and the salt: the same each time, another for another seed."""
    listed = list(items)
    if not listed:
        raise ValueError("pick: the list is empty")
    text = "\x1f".join([str(seed), "template", *map(str, salt)])
    number = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return listed[number % len(listed)]
