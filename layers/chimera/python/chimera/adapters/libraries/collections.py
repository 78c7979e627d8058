"""Open collections without a key: Openverse and Wikimedia Commons; only licences that allow selling and
changing, and ask for no licence of what is made with them, are taken."""

from __future__ import annotations

import re
from typing import Any

from chimera.adapters.libraries.library import CANDIDATES, Library, Orientation, link, mapped, plain

# Share-alike (by-sa) is left out: it would put the whole video under its own licence.
_SPDX = {"by": "CC-BY", "cc0": "CC0", "pdm": "Public Domain Mark"}


class Openverse(Library):
    """https://api.openverse.org/v1/ : anonymous use is for light traffic; each work keeps its own Creative Commons licence."""

    name = "openverse"
    priority = 60

    def _found(self, asked: str, want: str, orientation: Orientation, language: str) -> list[dict[str, Any]]:
        query: dict[str, str | int] = {
            "q": asked, "license_type": "commercial,modification", "page_size": CANDIDATES, "mature": "false",
            "aspect_ratio": {"portrait": "tall", "landscape": "wide"}.get(orientation, "square"),
        }  # fmt: skip
        return mapped(self._json(f"{self._settings.openverse_url}/v1/images/", query).get("results"), self._photo)

    def _photo(self, entry: dict[str, Any]) -> dict[str, Any]:
        kind = str(entry["license"]).lower()
        version = str(entry.get("license_version") or "")
        licence = f"{_SPDX[kind]}{'-' if kind != 'pdm' else ' '}{version}".strip(" -")
        author = plain(entry.get("creator"))
        title = plain(entry.get("title"), 1000)
        return {
            "library": self.name, "key": str(entry["id"]), "kind": "photo", "title": title,
            "tags": [plain(tag.get("name"), 60) for tag in entry.get("tags") or [] if isinstance(tag, dict)][:40],
            "width": int(entry.get("width") or 0), "height": int(entry.get("height") or 0), "licence": licence,
            "licence_url": link(entry.get("license_url"), 1000), "author": author,
            "author_url": link(entry.get("creator_url"), 1000), "source": link(entry.get("foreign_landing_url")),
            "file_url": link(entry["url"]), "thumbnail_url": link(entry.get("thumbnail")),
            "credit": plain(entry.get("attribution") or f"{title} by {author}, {licence}", 600),
        }  # fmt: skip


class Commons(Library):
    """Wikimedia Commons through the MediaWiki API (`imageinfo` with `extmetadata`); licence, author and page are per file."""

    name = "commons"
    priority = 61

    def _found(self, asked: str, want: str, orientation: Orientation, language: str) -> list[dict[str, Any]]:
        query: dict[str, str | int] = {
            "action": "query", "format": "json", "formatversion": 2, "generator": "search", "gsrnamespace": 6,
            "gsrsearch": f"filetype:bitmap {asked}", "gsrlimit": CANDIDATES, "prop": "imageinfo",
            "iiprop": "url|size|mime|extmetadata", "iiurlwidth": 2400, "iiextmetadatalanguage": language[:2] or "en",
        }  # fmt: skip
        pages = (self._json(f"{self._settings.commons_url}/w/api.php", query).get("query") or {}).get("pages") or []
        ranked = sorted((p for p in pages if isinstance(p, dict)), key=lambda page: int(page.get("index") or 0))
        return mapped(ranked, self._file)

    def _file(self, page: dict[str, Any]) -> dict[str, Any]:
        info = page["imageinfo"][0]
        if info["mime"] not in {"image/jpeg", "image/png", "image/webp"}:
            raise ValueError("not a photograph's format")
        said = {
            name: plain(one.get("value"), 1000) for name, one in info["extmetadata"].items() if isinstance(one, dict)
        }
        licence = said.get("LicenseShortName", "")
        if re.search(r"\b(NC|ND|SA|fair use|GFDL|FAL)\b", licence, re.I) or said.get("Restrictions"):
            raise ValueError("not free for every use")
        large = max(info["width"], info["height"]) > 2400 and info.get("thumburl")
        width = int(info["thumbwidth"] if large else info["width"])
        height = int(info["thumbheight"] if large else info["height"])
        title = re.sub(r"\.\w{3,4}$", "", str(page["title"]).removeprefix("File:"))
        author = said.get("Artist", "")[:300]
        categories = [plain(c, 60) for c in said.get("Categories", "").split("|") if c][:20]
        return {
            "library": self.name, "key": str(page["pageid"]), "kind": "photo",
            "title": f"{title} {said.get('ImageDescription', '')}"[:1000], "tags": categories, "width": width,
            "height": height, "licence": licence[:300], "licence_url": link(said.get("LicenseUrl"), 1000), "author": author,
            "source": link(info["descriptionurl"]), "file_url": link(info["thumburl"] if large else info["url"]),
            "thumbnail_url": "", "credit": f"{title[:120]} by {author[:120] or 'unknown author'}, {licence}, via Wikimedia Commons",
        }  # fmt: skip
