"""One suite for every library of pictures, each against a stand-in that speaks its documented wire format."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from chimera.adapters.libraries.collections import Commons, Openverse
from chimera.adapters.libraries.library import Library
from chimera.adapters.libraries.stock import Pexels, Pixabay, Unsplash
from chimera.domain.bill import is_unknown
from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from tests.fakes.picture_vendors import KEY, Item, PictureVendors, Trouble, picture_vendors

ALL = [Pexels, Pixabay, Unsplash, Openverse, Commons]
KEYED = [Pexels, Pixabay, Unsplash]
SEARCH = {
    Pexels: "/v1/search",
    Pixabay: "/api/",
    Unsplash: "/search/photos",
    Openverse: "/v1/images/",
    Commons: "/w/api.php",
}


@pytest.fixture
def vendors(picture_shops: PictureVendors) -> PictureVendors:
    picture_shops.shelf = [
        Item(11, "Old steel bridge", tags=("harbour",)),
        Item(12, "Ferry on the bay"),
        Item(13, "steel bridge film", "footage"),
    ]
    return picture_shops


@pytest.mark.parametrize("kind", ALL)
def test_candidates_carry_licence_author_and_source(vendors: PictureVendors, kind: type[Library]) -> None:
    library = kind(vendors.context())
    found = library.search("old steel bridge", want="photo", orientation="portrait")
    assert library.ready and len(found) == 2
    first = found[0]
    assert "bridge" in first.text.lower() and first.kind == "photo" and first.library == library.name
    assert not is_unknown(first.licence) and first.licence_url.startswith("https://")
    assert "Ada Ray" in first.author and "<" not in first.author and "Ada Ray" in first.credit
    assert first.source.startswith("https://") and first.width > 0 and first.height > 0


@pytest.mark.parametrize("kind", ALL)
def test_the_file_is_fetched(vendors: PictureVendors, kind: type[Library], tmp_path: Path) -> None:
    library = kind(vendors.context())
    path = library.fetch(library.search("bridge", want="photo", orientation="landscape")[0], tmp_path)
    assert path.parent == tmp_path and cv2.imread(str(path)).shape == (900, 600, 3)
    # Unsplash's terms: use is reported, with the key and the parameters that came along
    reported = [(h, q) for _, p, h, q in vendors.asked if p.endswith("/download")]
    assert len(reported) == (1 if kind is Unsplash else 0)
    for headers, query in reported:
        assert headers["authorization"] == f"Client-ID {KEY}" and query == {"ixid": "abc"}


@pytest.mark.parametrize("kind", [Pexels, Pixabay])
def test_footage(vendors: PictureVendors, kind: type[Library], tmp_path: Path) -> None:
    library = kind(vendors.context())
    (found,) = library.search("steel bridge", want="footage", orientation="portrait")
    assert found.kind == "footage" and found.seconds == 4 and "bridge" in found.text
    assert library.fetch(found, tmp_path).stat().st_size > 1000


@pytest.mark.parametrize("kind", [Unsplash, Openverse, Commons])
def test_who_has_no_footage_finds_none_and_is_not_asked(vendors: PictureVendors, kind: type[Library]) -> None:
    assert (
        kind(vendors.context()).search("bridge", want="footage", orientation="portrait") == [] and vendors.asked == []
    )


@pytest.mark.parametrize("kind", [Openverse, Commons])
def test_a_licence_that_is_unknown_or_keeps_uses_back_is_not_taken(
    vendors: PictureVendors, kind: type[Library]
) -> None:
    vendors.shelf = [Item(1, "a", licence=""), Item(2, "b", licence="by-nc"), Item(3, "c")]
    assert [c.title[:1] for c in kind(vendors.context()).search("x", want="photo", orientation="square")] == ["c"]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(("status", "body", "code"), [
    (429, b"{}", "RATE_LIMITED"), (500, b"{}", "PROVIDER_TIMEOUT"), (403, b"{}", "PROVIDER_REJECTED"),
    (200, b"<html>", "PROVIDER_REJECTED"), (400, b"{}", "PROVIDER_REJECTED"), (302, b"", "PROVIDER_REJECTED"),
])  # fmt: skip
def test_trouble_is_one_clear_error_without_the_key(
    vendors: PictureVendors, kind: type[Library], status: int, body: bytes, code: str
) -> None:
    vendors.trouble = [Trouble(SEARCH[kind], status, body, {"Retry-After": "7"})]
    with pytest.raises(ChimeraError) as caught:
        kind(vendors.context()).search("bridge", want="photo", orientation="portrait")
    assert caught.value.code == code and KEY not in f"{caught.value} {caught.value.details}"
    if status == 429:
        assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize("kind", KEYED)
def test_without_a_key_it_is_not_ready(vendors: PictureVendors, kind: type[Library]) -> None:
    library = kind(ProviderContext(settings=vendors.settings()))
    assert not library.ready
    with pytest.raises(ChimeraError, match=library.secret):
        library.search("bridge", want="photo", orientation="portrait")


@pytest.mark.parametrize("kind", ALL)
def test_strange_entries_are_left_out(vendors: PictureVendors, kind: type[Library]) -> None:
    lists = b'[{}, null, 7, "x", {"id": 1}, {"id": 2, "width": "wide"}]'
    body = b'{"photos": %b, "hits": %b, "results": %b, "query": {"pages": %b}}' % (lists, lists, lists, lists)
    vendors.trouble = [Trouble(SEARCH[kind], 200, body)]
    assert kind(vendors.context()).search("bridge", want="photo", orientation="portrait") == []


def test_a_file_at_a_private_address_is_not_fetched(vendors: PictureVendors, tmp_path: Path) -> None:
    found = Pexels(vendors.context()).search("bridge", want="photo", orientation="portrait")[0]
    strict = vendors.settings().model_copy(update={"allow_private_addresses": False})
    with pytest.raises(ChimeraError) as caught:
        Pexels(ProviderContext(settings=strict)).fetch(found, tmp_path)
    assert caught.value.code in {"FORBIDDEN", "VALIDATION_FAILED"} and not vendors.paths("/files/")


def test_unsplashs_key_goes_to_unsplash_only(vendors: PictureVendors, tmp_path: Path) -> None:
    library = Unsplash(vendors.context())
    found = library.search("bridge", want="photo", orientation="portrait")[0]
    with picture_vendors() as stranger:
        library.fetch(found.model_copy(update={"notify_url": f"{stranger.url}/photos/1/download"}), tmp_path)
        assert stranger.asked == []
