"""JSONata as Step Functions evaluates it: `$states`, variables, AWS's extra functions, AWS's error texts."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from jsonata import jexception
from jsonata.jsonata import Jsonata
from jsonata.parser import Parser
from jsonata.utils import Utils

from chimera_local.asl.errors import EvaluationError
from chimera_local.asl.model import JSON

_MAX_CACHED = 4096
_MAX_RANGE = 1_000_000
_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}

_compiled: dict[str, Jsonata] = {}
_compile_lock = threading.Lock()


class InvalidExpression(Exception):  # noqa: N818
    """The text is not a JSONata expression; the message says where."""


def is_expression(value: JSON) -> bool:
    """Only a string that begins with `{%` and ends with `%}`, with nothing around them, is an expression."""
    return isinstance(value, str) and len(value) >= 4 and value.startswith("{%") and value.endswith("%}")


def source(value: str) -> str:
    """The expression's text as AWS shows it: trimmed, without the delimiters."""
    return value[2:-2].strip()


def compile_expression(text: str) -> Jsonata:
    """Parse once per process. Raises InvalidExpression."""
    found = _compiled.get(text)
    if found is not None:
        return found
    with _compile_lock:
        try:
            compiled = Jsonata(text)
        except jexception.JException as error:
            raise InvalidExpression(f"{error.error}: {error}") from error
        except (RecursionError, ValueError, IndexError, AttributeError, TypeError) as error:
            raise InvalidExpression(str(error) or type(error).__name__) from error
        if compiled.errors:
            raise InvalidExpression(str(compiled.errors[0]))
        compiled.set_validate_input(False)
        compiled.set_output_convert_nulls(False)
        if len(_compiled) >= _MAX_CACHED:
            _compiled.clear()
        _compiled[text] = compiled
        return compiled


def to_engine(value: JSON) -> Any:
    """JSON null becomes the library's null, because to it a bare None means JSONata's undefined."""
    if value is None:
        return Utils.NULL_VALUE
    if isinstance(value, dict):
        return {key: to_engine(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_engine(item) for item in value]
    return value


class _NotJson(Exception):  # noqa: N818
    """The result holds a function."""


def from_engine(value: Any) -> JSON:
    """The library's result as plain JSON; numbers print as JavaScript prints them (1.0 is 1)."""
    if value is None or value is Utils.NULL_VALUE:
        return None
    if isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if Utils.is_function(value) or isinstance(value, Parser.Symbol | re.Pattern):
        raise _NotJson
    if isinstance(value, dict):
        return {str(key): from_engine(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_engine(item) for item in value if item is not None]
    raise _NotJson


def type_name(value: JSON) -> str:
    """JSONata's name of a JSON value's type, as AWS writes it in error texts."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def compact(value: JSON) -> str:
    """JSON text without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Scope:
    """The names that a state's expressions see. One instance serves all the fields of a state."""

    def __init__(self, states: Mapping[str, JSON], variables: Mapping[str, JSON]) -> None:
        self._states = dict(states)
        self._names: dict[str, Any] = {**_FUNCTIONS, **{k: to_engine(v) for k, v in variables.items()}}
        self._names["states"] = to_engine(self._states)

    def extended(self, **states: JSON) -> Scope:
        """The same names with more under `$states` (result, errorOutput, another context)."""
        other = object.__new__(Scope)
        other._states = {**self._states, **states}
        other._names = {
            **self._names,
            "states": {**self._names["states"], **{k: to_engine(v) for k, v in states.items()}},
        }
        return other

    def evaluate(self, text: str, location: str) -> JSON:
        """The value of one expression. Raises EvaluationError in AWS's words, without the state's prefix."""
        about = f"The JSONata expression '{text}' specified for the field '{location}'"
        try:
            result = self._run(text)
        except jexception.JException as error:
            problem = f"{about} threw an error during evaluation. {_thrown(error)}"
            raise EvaluationError(problem, location) from error
        except RecursionError as error:
            problem = f"{about} threw an error during evaluation. D1011: {_STACK}"
            raise EvaluationError(problem, location) from error
        except ZeroDivisionError as error:
            problem = f"{about} threw an error during evaluation. D1001: Number out of range: null"
            raise EvaluationError(problem, location) from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, re.error) as error:
            problem = f"{about} threw an error during evaluation. {_python_error(error)}"
            raise EvaluationError(problem, location) from error
        if result is None:
            raise EvaluationError(f"{about} returned nothing (undefined).", location)
        try:
            return from_engine(result)
        except _NotJson:
            raise EvaluationError(f"{about} returned an unsupported result type.", location) from None

    def _run(self, text: str) -> Any:
        # The library keeps the running instance per thread and marks it while it evaluates: a shallow copy
        # shares the parsed tree and nothing that changes.
        instance = copy.copy(compile_expression(text))
        Jsonata.CURRENT.jsonata = instance
        return instance.evaluate(None, self._names)

    def template(self, value: JSON, location: str) -> JSON:
        """A JSON value with every expression in it replaced by its result."""
        if isinstance(value, str):
            return self.evaluate(source(value), location) if is_expression(value) else value
        if isinstance(value, dict):
            return {key: self.template(item, f"{location}/{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.template(item, f"{location}[{index}]") for index, item in enumerate(value)]
        return value

    def typed(self, value: JSON, location: str, expected: str) -> JSON:
        """A field whose value has to be of one JSON type: array, boolean, number, string or object."""
        result = self.template(value, location)
        actual = type_name(result)
        if actual != expected:
            about = (
                f"The JSONata expression '{source(value)}' specified for the field '{location}'"
                if is_expression(value)
                else f"The value specified for the field '{location}'"
            )
            raise EvaluationError(
                f"{about} returned an unexpected result type. Expected '{expected}', but was '{actual}' for "
                f"value: {compact(result)}",
                location,
            )
        return result


def expressions_in(value: JSON, location: str) -> list[tuple[str, str]]:
    """Every (location, expression text) of a JSON value, for checking them when a machine is loaded."""
    if is_expression(value):
        return [(location, source(value))]
    if isinstance(value, dict):
        return [found for k, item in value.items() for found in expressions_in(item, f"{location}/{k}")]
    if isinstance(value, list):
        return [f for i, item in enumerate(value) for f in expressions_in(item, f"{location}[{i}]")]
    return []


_STACK = "Stack overflow error: Check for non-terminating recursive function.  Consider rewriting as tail-recursive."
_ARRAYS_OF = {
    "a": "arrays",
    "b": "booleans",
    "f": "functions",
    "n": "numbers",
    "o": "objects",
    "s": "strings",
}
_PYTHON_ERRORS = (
    ("could not convert string to float: ", "D3030: Unable to cast value to a number: "),
    (
        "Invalid isoformat string: ",
        "D3110: The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given ",
    ),
)


def _python_error(error: Exception) -> str:
    """The port lets some Python errors through where jsonata.js has a code of its own."""
    text = str(error)
    for beginning, words in _PYTHON_ERRORS:
        if text.startswith(beginning):
            return words + text[len(beginning) :].replace("'", '"')
    return text


def _thrown(error: jexception.JException) -> str:
    """`code: message` in jsonata.js's words; the Python port writes "Object" for every "function"."""
    template = jexception.JException.error_codes.get(error.error)
    if template is None or template == "{{{message}}}":
        return f"{error.error}: {error}" if template else str(error.current or error.error)
    template = re.sub(r"\bObject\b", "function", template)
    expected = _ARRAYS_OF.get(str(error.extra), error.extra) if error.error == "T0412" else error.extra
    values = iter([error.current, error.expected, expected])

    def fill(match: re.Match[str]) -> str:
        value = next(values, None)
        if match.group(0).startswith("{{{"):
            return str(value)
        try:
            return compact(from_engine(value))
        except _NotJson:
            return "{}"

    return f"{error.error}: {re.sub(r'{{{?(?:[^}]+)}}}?', fill, template)}"


def _fail(message: str) -> jexception.JException:
    return jexception.JException("D3137", -1, message)


def _integer(value: Any, function: str, index: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
        raise jexception.JException("T0410", -1, index, function)
    return int(value)


def _partition(array: Any = None, size: Any = None) -> Any:
    if array is None:
        return None
    items = list(array) if isinstance(array, list) else [array]
    step = _integer(size, "partition", 2)
    if step < 1:
        raise _fail("The second argument of $partition must be a positive integer")
    return [items[at : at + step] for at in range(0, len(items), step)]


def _range(first: Any = None, last: Any = None, step: Any = None) -> Any:
    begin, end, by = (_integer(v, "range", i) for i, v in enumerate((first, last, step), 1))
    if by == 0:
        raise _fail("The step argument of $range must not be 0")
    values = range(begin, end + (1 if by > 0 else -1), by)
    if len(values) > _MAX_RANGE:
        raise _fail(f"$range may return at most {_MAX_RANGE} numbers, not {len(values)}")
    # A sequence, as jsonata.js makes it: one value comes out bare, none as undefined.
    return Utils.create_sequence_from_iter(values)


def _hash(data: Any = None, algorithm: Any = "SHA-256") -> Any:
    if data is None:
        return None
    if algorithm not in _HASHES:
        names = ", ".join(_HASHES)
        raise _fail(f"$hash: unknown algorithm {compact(from_engine(algorithm))}, use one of {names}")
    text = data if isinstance(data, str) else compact(from_engine(data))
    return hashlib.new(_HASHES[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def _random(seed: Any = None) -> float:
    if seed is None:
        return random.random()  # noqa: S311 - the language's $random, not a secret
    if isinstance(seed, bool) or not isinstance(seed, int | float):
        raise jexception.JException("T0410", -1, 1, "random")
    return random.Random(seed).random()  # noqa: S311


def _uuid() -> str:
    return str(uuid.uuid4())


def _parse(text: Any = None) -> Any:
    if text is None:
        return None
    if not isinstance(text, str):
        raise jexception.JException("T0410", -1, 1, "parse")
    try:
        return to_engine(json.loads(text))
    except ValueError as error:
        raise _fail(f"$parse: not JSON: {error}") from error


def _native(function: Callable[..., Any]) -> Any:
    return Jsonata.JLambda(function)


# Step Functions has no $eval; bound to undefined, calling it is T1006 as for any unknown name.
_FUNCTIONS: dict[str, Any] = {
    "partition": _native(_partition),
    "range": _native(_range),
    "hash": _native(_hash),
    "random": _native(_random),
    "uuid": _native(_uuid),
    "parse": _native(_parse),
    "eval": None,
}
