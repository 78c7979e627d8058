"""One kind of error for everything that is refused before a stack exists."""

from __future__ import annotations


class ConfigError(ValueError):
    """A setting that cannot be deployed: the message names the setting, what came and what was expected."""
