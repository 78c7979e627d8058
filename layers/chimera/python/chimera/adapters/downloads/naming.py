"""A title for a file that came from the net: what its server calls it, else the end of its address; only ever shown."""

from __future__ import annotations

import re
from email.message import Message
from urllib.parse import unquote, urlsplit

from chimera.domain.cleaning import clean_text

MAX_TITLE = 120


def title_of(disposition: str, url: str) -> str:
    """The name in Content-Disposition (RFC 6266), else the last part of the address's path; "Untitled" without either."""
    for name in (_named(disposition), unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])):
        if title := tidy(name):
            return title
    return "Untitled"


def tidy(name: str) -> str:
    """A file's name as a title: one line of plain text, without folders, ending and underscores."""
    last = re.split(r"[/\\]", name)[-1]
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", last)
    return clean_text(re.sub(r"[_+]+|\.(?=\S)", " ", stem), MAX_TITLE)


def _named(disposition: str) -> str:
    if not disposition or len(disposition) > 4096:
        return ""
    message = Message()
    try:
        message["Content-Disposition"] = disposition.replace("\r", " ").replace("\n", " ")
        return message.get_filename("") or ""
    except (ValueError, LookupError, UnicodeError, TypeError):  # a charset that nobody knows, a broken percent code
        return ""
