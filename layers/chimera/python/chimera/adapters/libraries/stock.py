"""Stock libraries by key: Pexels, Pixabay, Unsplash; each with the duties that its API's terms lay on who uses it."""

from __future__ import annotations

from typing import Any

from chimera.adapters.libraries.library import CANDIDATES, Library, Orientation, link, mapped, plain
from chimera.domain.fit import Candidate

_LONG_SIDE = 2400
"""Pixels of the long side that are asked for: enough for 1080p with its margin."""


class Pexels(Library):
    """Photos and videos; https://www.pexels.com/api/documentation/. Credit with a link back is asked for."""

    name = "pexels"
    secret = "PEXELS_API_KEY"  # noqa: S105 - the variable's name
    delivers = ("photo", "footage")

    def _found(self, asked: str, want: str, orientation: Orientation, language: str) -> list[dict[str, Any]]:
        query: dict[str, str | int] = {
            "query": asked, "orientation": orientation, "per_page": CANDIDATES,
            "locale": _LOCALES.get(language[:2], "en-US"),
        }  # fmt: skip
        headers = {"Authorization": self._key()}
        if want == "photo":
            answer = self._json(f"{self._settings.pexels_url}/v1/search", query, headers)
            return mapped(answer.get("photos"), self._photo)
        answer = self._json(f"{self._settings.pexels_url}/videos/search", query, headers)
        return mapped(answer.get("videos"), lambda entry: self._video(entry, orientation))

    def _photo(self, entry: dict[str, Any]) -> dict[str, Any]:
        width, height = int(entry["width"]), int(entry["height"])
        src = entry["src"]
        author = plain(entry.get("photographer"))
        return {
            **_PEXELS, "key": str(entry["id"]), "kind": "photo", "title": plain(entry.get("alt"), 1000), "width": width,
            "height": height, "author": author, "author_url": link(entry.get("photographer_url"), 1000),
            "source": link(entry["url"]), "file_url": link(src.get("original") or src["large2x"]),
            "thumbnail_url": link(src.get("medium")), "credit": f"Photo by {author} on Pexels",
        }  # fmt: skip

    def _video(self, entry: dict[str, Any], orientation: Orientation) -> dict[str, Any]:
        files = [
            f for f in entry["video_files"] if f.get("file_type") == "video/mp4" and f.get("width") and f.get("height")
        ]
        best = _best(files)
        author = plain(entry["user"].get("name"))
        page = link(entry["url"])
        # videos have no words but those of their address
        return {
            **_PEXELS, "key": f"video-{entry['id']}", "kind": "footage",
            "title": plain(page.rstrip("/").rsplit("/", 1)[-1].replace("-", " "), 1000), "width": int(best["width"]),
            "height": int(best["height"]), "seconds": float(entry.get("duration") or 0), "author": author,
            "author_url": link(entry["user"].get("url"), 1000), "source": page, "file_url": link(best["link"]),
            "thumbnail_url": link(entry.get("image")), "credit": f"Video by {author} on Pexels",
        }  # fmt: skip


class Pixabay(Library):
    """Photos and videos; https://pixabay.com/api/docs/. Users must be shown that it is Pixabay; no hotlinks."""

    name = "pixabay"
    secret = "PIXABAY_API_KEY"  # noqa: S105 - the variable's name
    delivers = ("photo", "footage")

    def _found(self, asked: str, want: str, orientation: Orientation, language: str) -> list[dict[str, Any]]:
        query: dict[str, str | int] = {
            "key": self._key(), "q": asked, "lang": language[:2] if language[:2] in _PIXABAY_LANGUAGES else "en",
            "safesearch": "true", "per_page": CANDIDATES,
        }  # fmt: skip
        if want == "photo":
            turn = {"portrait": "vertical", "landscape": "horizontal", "square": "all"}[orientation]
            query |= {"image_type": "photo", "orientation": turn}
            return mapped(self._json(f"{self._settings.pixabay_url}/api/", query).get("hits"), self._photo)
        return mapped(self._json(f"{self._settings.pixabay_url}/api/videos/", query).get("hits"), self._video)

    def _photo(self, entry: dict[str, Any]) -> dict[str, Any]:
        width, height = int(entry["imageWidth"]), int(entry["imageHeight"])
        shown = min(1280 / max(width, height), 1.0)  # largeImageURL is at most 1280 pixels a side
        return {
            **self._shared(entry), "key": str(entry["id"]), "kind": "photo", "width": round(width * shown),
            "height": round(height * shown), "file_url": link(entry["largeImageURL"]),
            "thumbnail_url": link(entry.get("previewURL")),
        }  # fmt: skip

    def _video(self, entry: dict[str, Any]) -> dict[str, Any]:
        sizes = [f for f in entry["videos"].values() if f.get("url") and f.get("width")]
        best = _best(sizes)
        return {
            **self._shared(entry), "key": f"video-{entry['id']}", "kind": "footage", "width": int(best["width"]),
            "height": int(best["height"]), "seconds": float(entry.get("duration") or 0), "file_url": link(best["url"]),
            "thumbnail_url": link(best.get("thumbnail")),
        }  # fmt: skip

    def _shared(self, entry: dict[str, Any]) -> dict[str, Any]:
        author = plain(entry.get("user"))
        return {
            "library": self.name, "licence": "Pixabay Content License", "licence_url": "https://pixabay.com/service/license-summary/",
            "tags": [plain(tag, 60) for tag in str(entry.get("tags") or "").split(",")][:40], "author": author,
            "author_url": link(f"https://pixabay.com/users/{author}-{int(entry['user_id'])}/") if entry.get("user_id") else "",
            "source": link(entry["pageURL"]), "credit": f"{author} / Pixabay",
        }  # fmt: skip


class Unsplash(Library):
    """Photos; https://unsplash.com/documentation. Use is reported to `download_location`; author and Unsplash are credited."""

    name = "unsplash"
    secret = "UNSPLASH_API_KEY"  # noqa: S105 - the variable's name

    def _found(self, asked: str, want: str, orientation: Orientation, language: str) -> list[dict[str, Any]]:
        query: dict[str, str | int] = {
            "query": asked, "per_page": CANDIDATES, "content_filter": "high",
            "orientation": {"square": "squarish"}.get(orientation, orientation),
        }  # fmt: skip
        answer = self._json(f"{self._settings.unsplash_url}/search/photos", query, self._headers())
        return mapped(answer.get("results"), self._photo)

    def _photo(self, entry: dict[str, Any]) -> dict[str, Any]:
        user = entry["user"]
        author = plain(user.get("name"))
        width, height = int(entry["width"]), int(entry["height"])
        raw = link(entry["urls"]["raw"])
        file_url = f"{raw}{'&' if '?' in raw else '?'}fm=jpg&q=88&fit=max&w={_LONG_SIDE}&h={_LONG_SIDE}" if raw else ""
        scale = min(_LONG_SIDE / max(width, height), 1.0)
        tags = [plain(tag.get("title"), 60) for tag in entry.get("tags") or [] if isinstance(tag, dict)]
        return {
            "library": self.name, "key": str(entry["id"]), "kind": "photo", "licence": "Unsplash License",
            "licence_url": "https://unsplash.com/license",
            "title": plain(" ".join(str(entry.get(k) or "") for k in ("alt_description", "description")), 1000),
            "tags": tags[:40], "width": round(width * scale), "height": round(height * scale), "author": author,
            "author_url": _referred(link(user["links"]["html"], 900)), "source": _referred(link(entry["links"]["html"], 1900)),
            "file_url": file_url, "thumbnail_url": link(entry["urls"].get("small")),
            "notify_url": link(entry["links"]["download_location"]), "credit": f"Photo by {author} on Unsplash",
        }  # fmt: skip

    def _used(self, candidate: Candidate) -> None:
        # the address comes with the answer; the key goes to Unsplash's own API and nowhere else
        if candidate.notify_url.startswith(f"{self._settings.unsplash_url}/"):
            self._json(candidate.notify_url, {}, self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Client-ID {self._key()}", "Accept-Version": "v1"}


def _best(files: list[dict[str, Any]]) -> dict[str, Any]:
    """The largest that is not larger than needed."""
    fine = [f for f in files if max(f["width"], f["height"]) <= _LONG_SIDE] or files
    return max(fine, key=lambda f: int(f["width"]) * int(f["height"]))


def _referred(address: str) -> str:
    """With the parameters that Unsplash's guidelines ask for in links."""
    return f"{address}{'&' if '?' in address else '?'}utm_source=chimera_studio&utm_medium=referral" if address else ""


_PEXELS = {"library": "pexels", "licence": "Pexels License", "licence_url": "https://www.pexels.com/license/"}
_LOCALES = {
    "en": "en-US", "de": "de-DE", "fr": "fr-FR", "es": "es-ES", "it": "it-IT", "pt": "pt-BR", "nl": "nl-NL", "pl": "pl-PL",
    "sv": "sv-SE", "da": "da-DK", "fi": "fi-FI", "nb": "nb-NO", "tr": "tr-TR", "ru": "ru-RU", "ja": "ja-JP", "ko": "ko-KR",
    "zh": "zh-CN", "cs": "cs-CZ", "hu": "hu-HU", "ro": "ro-RO", "sk": "sk-SK", "el": "el-GR", "id": "id-ID", "vi": "vi-VN",
    "th": "th-TH", "uk": "uk-UA", "ca": "ca-ES",
}  # fmt: skip
_PIXABAY_LANGUAGES = frozenset([
    "cs", "da", "de", "en", "es", "fr", "id", "it", "hu", "nl", "no", "pl", "pt", "ro", "sk",
    "fi", "sv", "tr", "vi", "th", "bg", "ru", "el", "ja", "ko", "zh",
])  # fmt: skip
