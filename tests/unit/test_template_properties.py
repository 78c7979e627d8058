"""Whatever a brief says: every built-in template lays all of it out, and everything stays where it can be read."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chimera.domain.models import Scene
from chimera.media.safe_areas import PLATFORMS, safe_area
from chimera.templates import engine
from chimera.templates.context import BriefWords
from chimera.templates.engine import expand
from chimera.templates.language import sentences, squeezed
from chimera.templates.regions import ASPECTS
from chimera.templates.resolving import Resolved
from chimera.templates.shelves import BUILTIN, FolderShelf, Templates
from tests.fakes.template_packs import evaluated_here, wish

NAMES = FolderShelf(BUILTIN, "builtin").names()
LINES = st.sampled_from(
    [
        "The night ferry is back.", "It carried 12,400 people in 2022 and 31,500 people in 2024.", "41% of posts are open!",
        "Oslo pays $4.2 billion, Bergen pays $1.1 billion.", "Is it so? Dr. Lee says “no.”", "夜の船が戻った。三隻です。",
        "السفينة الليلية عادت.", "{{ 7*7 }} {% if x %} *bold* #1", "Step 1: pack. Step 2: go.", "…", "a", "W" * 300,
        "On the one hand, yes; on the other hand, no.", "“Nobody sleeps,” said the captain.", "🚢 ahoy! 🌊", "No end",
    ]
)  # fmt: skip
TEXTS = st.lists(LINES, min_size=1, max_size=6).map(" ".join)
SCENES = st.builds(
    Scene,
    narration=TEXTS.map(lambda t: t[:1500]),
    visual_prompt=TEXTS.map(lambda t: t[:500]),
    on_screen_text=st.one_of(st.just(""), LINES, TEXTS).map(lambda t: t[:200]),
)
BRIEFS = st.builds(
    BriefWords,
    title=TEXTS.map(lambda t: t[:100]),
    description=st.one_of(st.just(""), TEXTS),
    language=st.sampled_from(["en", "de", "ja", "ar", "pt-BR"]),
    scenes=st.lists(SCENES, min_size=1, max_size=9).map(tuple),
    hashtags=st.lists(LINES, max_size=3).map(tuple),
    sources=st.lists(st.sampled_from(["https://example.org/a", "a book", "http://["]), max_size=3).map(tuple),
)


@pytest.fixture(autouse=True, scope="module")
def _here() -> object:
    patch = pytest.MonkeyPatch()
    patch.setattr(engine, "ask_worker", evaluated_here)
    yield None
    patch.undo()


@lru_cache(maxsize=32)
def builtin(name: str) -> Resolved:
    return Templates([FolderShelf(BUILTIN, "builtin")]).resolve(name)


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # an example is a tenth of a second: what it finds is small enough to be read as it is
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    words=BRIEFS,
    aspect=st.sampled_from(ASPECTS),
    platform=st.sampled_from(["", *PLATFORMS]),
    mode=st.sampled_from(["dark", "light"]),
    brand=st.sampled_from(["", "Harbour Post"]),
    assets=st.lists(st.sampled_from(["file:/a/one.jpg", "file:/a/two.mp4", "key:x", "file:/a"]), max_size=4).map(tuple),
    seed=st.integers(0, 9),
)
def test_any_brief_fits_every_built_in_template(
    name: str, words: BriefWords, aspect: str, platform: str, mode: str, brand: str, assets: tuple[str, ...], seed: int
) -> None:
    asked = wish(words, aspect=aspect, platform=platform, mode=mode, brand=brand, assets=assets, seed=seed)
    made = expand(builtin(name), asked)
    said = "".join(squeezed(scene.narration) for scene in made.scenes)
    assert said == "".join(squeezed(scene.narration) for scene in words.scenes)
    safe = safe_area(aspect, platform)  # type: ignore[arg-type]
    for scene in made.scenes:
        for layer in scene.layers:
            if layer.kind == "shape":
                continue
            assert safe.x - 1 <= layer.box.x <= layer.box.x + layer.box.width <= safe.x + safe.width + 1
            assert safe.y - 1 <= layer.box.y <= layer.box.y + layer.box.height <= safe.y + safe.height + 1
    assert len({scene.key for scene in made.scenes}) == len(made.scenes)


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(TEXTS, st.text(max_size=300)))
def test_sentences_lose_nothing(text: str) -> None:
    assert squeezed("".join(sentences(text))) == squeezed(text)
    assert all(sentence.strip() for sentence in sentences(text))


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_explainers_brand_stands_above_its_title_and_gives_way_to_a_logo(aspect: str) -> None:
    layers = expand(builtin("explainer"), wish(brand="Harbour Post", aspect=aspect)).scenes[0].layers
    brand, title = (layer for layer in layers if layer.kind == "text")
    assert (brand.text, title.text) == ("Harbour Post", "Night ferries")
    assert brand.box.y + brand.box.height <= title.box.y
    logo = wish(brand="Harbour Post", logo="own:1", aspect=aspect)
    assert sum(layer.kind == "text" for layer in expand(builtin("explainer"), logo).scenes[0].layers) == 1


def test_the_eight_are_there_and_one_of_each_kind() -> None:
    assert NAMES == ["data-story", "debate", "explainer", "how-to", "listicle", "montage", "photo-essay", "quote"]
    assert len({builtin(name).pack.text("kind") for name in NAMES}) == 8
