"""Parses RSS and Atom of the open web: strictly and safely first, leniently where a feed is broken."""

from __future__ import annotations

import io
import re
import time
import warnings
from calendar import timegm
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, ParseError

from chimera.adapters.sources.http import Fetched, broken

if TYPE_CHECKING:
    from chimera.errors import ChimeraError

MAX_ITEMS = 1000
MAX_LENIENT_BYTES = 1024 * 1024
"""feedparser takes seconds for a megabyte of nonsense."""
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def local(element: Element) -> str:
    """A tag's name without its namespace: the namespaces' addresses change."""
    return str(element.tag).rsplit("}", 1)[-1].lower() if isinstance(element.tag, str) else ""


def children(element: Element, name: str) -> Iterator[Element]:
    """The direct children of that local name."""
    return (child for child in element if local(child) == name)


def text_of(element: Element, *names: str) -> str:
    """The text of the first direct child that has one of these local names and any text; names in order of
    preference.
    """
    for name in names:
        for child in children(element, name):
            text = "".join(child.itertext()).strip()
            if text:
                return text
    return ""


def parse_xml(source: str, fetched: Fetched) -> Element:
    """The document's root. Entity bombs and external entities are refused (PROVIDER_REJECTED), and so is what
    is not XML.

    Encoding: as the document declares it, else by the HTTP header, else UTF-8, else with replacement
    characters.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        try:
            return fromstring(fetched.body)
        except (ParseError, ValueError, LookupError) as first:
            if isinstance(first, DefusedXmlException):
                raise
            text = _NOT_XML.sub("", _DECLARATION.sub("", fetched.text(), count=1)).strip()
            return fromstring(text)
    except DefusedXmlException as error:
        raise _dangerous(source, fetched) from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise broken(source, fetched, f"is not well-formed XML ({str(error)[:80]})") from error


def _dangerous(source: str, fetched: Fetched) -> ChimeraError:
    error = broken(source, fetched, "declares XML entities, which feeds do not need")
    error.details["dangerous"] = True
    return error


def parse_time(text: str) -> datetime | None:
    """A feed's date, RFC 822 or RFC 3339, in UTC; None for garbage."""
    text = text.strip()[:60]
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            when = parse(text)
            return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def parse_leniently(source: str, fetched: Fetched) -> list[dict[str, Any]]:
    """Items of a feed that is not well-formed, by feedparser; PROVIDER_REJECTED if there is nothing of a feed
    in it.
    """
    if len(fetched.body) > MAX_LENIENT_BYTES:
        raise broken(source, fetched, "is not well-formed XML and too long to be read leniently")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # feedparser's own deprecations are not our caller's affair
        import feedparser

        # bytes in a file object: given text, feedparser would take it for an address and fetch it
        parsed = feedparser.parse(
            io.BytesIO(fetched.body),
            response_headers={"content-type": fetched.content_type},
            sanitize_html=False,
        )
    entries = [entry for entry in parsed.get("entries", []) if entry.get("title") or entry.get("summary")]
    if not entries and not parsed.get("version"):
        raise broken(source, fetched, "is not a feed")
    return [_lenient(entry) for entry in entries[:MAX_ITEMS]]


def _lenient(entry: Any) -> dict[str, Any]:
    when = entry.get("published_parsed") or entry.get("updated_parsed")
    content = next((part.get("value") for part in entry.get("content", []) if part.get("value")), "")
    return {
        "title": entry.get("title", ""),
        "description": content or entry.get("summary", ""),
        "url": entry.get("link", ""),
        "published_at": _struct_time(when),
        "tags": [tag.get("term") or "" for tag in entry.get("tags", [])],
        "author": entry.get("author", ""),
    }


def _struct_time(when: time.struct_time | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(timegm(when), UTC) if when else None
    except (ValueError, OverflowError, OSError):
        return None
