"""How platforms and sites are called when they are spoken of."""

from __future__ import annotations

from urllib.parse import urlsplit

_PLATFORMS = {
    "hackernews": "Hacker News",
    "wikipedia": "Wikipedia",
    "wikimedia": "Wikipedia",
    "google_trends": "Google Trends",
    "rss": "news feeds",
    "mastodon": "Mastodon",
    "bluesky": "Bluesky",
    "reddit": "Reddit",
    "youtube": "YouTube",
    "tiktok": "TikTok",
    "instagram": "Instagram",
    "threads": "Threads",
    "x": "X",
    "twitter": "X",
    "gdelt": "GDELT",
    "sample": "a bundled sample",
    "file": "a file of ours",
}
_SITES = {
    "news.ycombinator.com": "Hacker News",
    "wikipedia.org": "Wikipedia",
    "trends.google.com": "Google Trends",
    "github.com": "GitHub",
    "github.io": "GitHub",
    "youtube.com": "YouTube",
    "youtu.be": "YouTube",
    "reddit.com": "Reddit",
    "bbc.co.uk": "the BBC",
    "bbc.com": "the BBC",
    "nytimes.com": "The New York Times",
    "washingtonpost.com": "The Washington Post",
    "wsj.com": "The Wall Street Journal",
    "theguardian.com": "The Guardian",
    "reuters.com": "Reuters",
    "apnews.com": "AP News",
    "cnn.com": "CNN",
    "cnbc.com": "CNBC",
    "npr.org": "NPR",
    "nasa.gov": "NASA",
    "theverge.com": "The Verge",
    "arstechnica.com": "Ars Technica",
    "wired.com": "Wired",
    "techcrunch.com": "TechCrunch",
    "bloomberg.com": "Bloomberg",
    "ft.com": "the Financial Times",
    "economist.com": "The Economist",
    "nature.com": "Nature",
    "science.org": "Science",
    "arxiv.org": "arXiv",
    "espn.com": "ESPN",
    "forbes.com": "Forbes",
    "aljazeera.com": "Al Jazeera",
    "lemonde.fr": "Le Monde",
    "spiegel.de": "Der Spiegel",
}


def platform_label(name: str) -> str:
    """`hackernews` → `Hacker News`; an unknown name in title case."""
    return _PLATFORMS.get(name, name.replace("_", " ").strip().title())


def site_label(url: str) -> str:
    """The site's own name where it is well known, else its host without `www.`; "" for what is no web
    address.
    """
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
    host = host.removeprefix("www.")
    parts = host.split(".")
    for start in range(len(parts) - 1):
        known = _SITES.get(".".join(parts[start:]))
        if known:
            return known
    return host
