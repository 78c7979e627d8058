"""Registers the built-in sources, exactly as a third party registers its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chimera.plugins.hookspecs import ProviderContext, hookimpl

if TYPE_CHECKING:
    from chimera.ports import Source


@hookimpl
def chimera_sources() -> list[Callable[[ProviderContext], Source]]:
    """Hacker News, Wikipedia, Google Trends, feeds, the bundled sample. Files are opened by
    `registry.open_source`.
    """
    return [_hackernews, _wikipedia, _google_trends, _rss, _sample]


def _hackernews(context: ProviderContext) -> Source:
    from chimera.adapters.sources.hackernews import HackerNewsSource

    return HackerNewsSource(context.settings)


def _wikipedia(context: ProviderContext) -> Source:
    from chimera.adapters.sources.wikipedia import WikipediaSource

    return WikipediaSource(context.settings)


def _google_trends(context: ProviderContext) -> Source:
    from chimera.adapters.sources.google_trends import GoogleTrendsSource

    return GoogleTrendsSource(context.settings)


def _rss(context: ProviderContext) -> Source:
    from chimera.adapters.sources.rss import RssSource

    return RssSource(context.settings)


def _sample(context: ProviderContext) -> Source:
    from chimera.adapters.sources.sample import SampleSource

    return SampleSource()
