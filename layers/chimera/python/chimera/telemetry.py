"""The one logger: JSON lines on stderr with allow-listed fields; no body, prompt or secret is logged."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

FIELDS = frozenset(
    {
        # what powertools sets
        "level",
        "location",
        "message",
        "timestamp",
        "service",
        "cold_start",
        "exception_name",
        "exception",
        "stack_trace",
        "xray_trace_id",
        "trace_id",
        # who, what and how it went
        "function",
        "function_request_id",
        "request_id",
        "correlation_id",
        "tenant",
        "run_id",
        "task_id",
        "content_id",
        "publication_id",
        "review_id",
        "execution",
        "state",
        "provider",
        "platform",
        "code",
        "status",
        "attempt",
        "milliseconds",
        "count",
        "bytes",
        "amount_micros",
    }
)
MAX_TEXT = 500


class AllowListFormatter(LambdaPowertoolsFormatter):
    """Drops every field that is not in `FIELDS` and shortens long texts; a log is no place for content."""

    def serialize(self, log: Any) -> str:
        """The JSON line."""
        kept = {name: _shortened(name, value) for name, value in dict(log).items() if name in FIELDS}
        return super().serialize(cast(Any, kept))


def _shortened(name: str, value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT and name not in ("exception", "stack_trace"):
        return value[: MAX_TEXT - 1] + "…"
    if isinstance(value, Mapping | list | tuple) and name not in ("stack_trace",):
        return f"<{type(value).__name__} of {len(value)}>"
    return value


@lru_cache(maxsize=64)
def logger(service: str, level: str = "INFO") -> Logger:
    """The logger of a service (`scout`, `cfo`, …); the same one for the same name.

    `logger("cfo").append_keys(tenant=…, run_id=…)` adds fields to every later line; unknown ones are dropped.
    """
    made = Logger(
        service=service,
        level=level,
        stream=sys.stderr,
        logger_formatter=AllowListFormatter(use_rfc3339=True, utc=True),
        log_uncaught_exceptions=False,
    )
    logging.getLogger(service).propagate = False
    return made


def bind(log: Logger, **fields: str | int | float | None) -> Logger:
    """Set the fields of the work at hand; those that are None are left out. Unknown names are a
    `ValueError`."""
    unknown = sorted(set(fields) - FIELDS)
    if unknown:
        raise ValueError(f"not log fields: {', '.join(unknown)}; known: {', '.join(sorted(FIELDS))}")
    log.append_keys(**{name: value for name, value in fields.items() if value is not None})
    return log
