"""Safe areas, regions and layouts: nothing that must be read stands where a platform puts its own."""

from __future__ import annotations

from itertools import combinations

import pytest

from chimera.errors import ChimeraError
from chimera.media.layers import Area
from chimera.media.layout import LAYOUTS, layout_of
from chimera.media.models import RenderJob, RenderScene, Word
from chimera.media.safe_areas import FRAMES, PLATFORMS, margins, regions, safe_area
from chimera.media.timeline import build

CASES = [(aspect, platform) for aspect in FRAMES for platform in ("", *PLATFORMS, "instagram", "youtube")]


def inside(inner: Area, outer: Area) -> bool:
    return (
        inner.x >= outer.x - 0.11 and inner.y >= outer.y - 0.11
        and inner.x + inner.width <= outer.x + outer.width + 0.11
        and inner.y + inner.height <= outer.y + outer.height + 0.11
    )  # fmt: skip


def overlap(a: Area, b: Area) -> bool:
    return (
        a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
    )  # fmt: skip


@pytest.mark.parametrize(("aspect", "platform"), CASES)
def test_all_regions_are_safe_and_type_never_meets_type(aspect: str, platform: str) -> None:
    found = regions(aspect, platform)  # type: ignore[arg-type]
    assert {"title", "headline", "motif", "picture", "captions", "source", "progress", "logo", "full", "safe"} <= set(
        found
    )
    for name, area in found.items():
        assert name == "full" or inside(area, found["safe"]), name
    for a, b in combinations(("progress", "headline", "captions", "source"), 2):
        assert not overlap(found[a], found[b]), (a, b)
    for kind, others in {"title": ("captions", "source", "progress"), "body": ("captions", "source", "progress"),
                         "motif": ("headline", "captions")}.items():  # fmt: skip
        assert not any(overlap(found[kind], found[other]) for other in others), kind
    assert found["captions"].x + found["captions"].width / 2 == pytest.approx(FRAMES[aspect][0] / 2, abs=0.2)  # type: ignore[index]
    assert min(found["headline"].width, found["captions"].width) > 600


def test_without_a_platform_it_is_safe_on_all_of_them() -> None:
    strict = safe_area("9:16")
    assert all(inside(strict, safe_area("9:16", platform)) for platform in PLATFORMS)
    assert margins("9:16", "Instagram ") == margins("9:16", "reels")
    with pytest.raises(ChimeraError) as error:
        margins("9:16", "myspace")
    assert error.value.code == "VALIDATION_FAILED" and "myspace" in error.value.message


@pytest.mark.parametrize("aspect", FRAMES)
def test_the_plain_layout_keeps_to_the_safe_area_and_off_the_captions(aspect: str) -> None:
    words = tuple(
        Word(text=w, start=i * 0.3, end=i * 0.3 + 0.2)
        for i, w in enumerate(["it", "rose", "by", "40%", "in", "a", "year"])
    )
    scenes = tuple(
        RenderScene(narration="it rose by 40% in a year" if i % 2 else "so it goes", on_screen_text="Words " * (4 + i * 3),
                    words=words) for i in range(5)
    )  # fmt: skip
    for platform in ("", *PLATFORMS):
        job = RenderJob(title="A title " * 8, scenes=scenes, sources=("https://a.org", "https://b.org"),
                        aspect=aspect, platform=platform)  # fmt: skip
        layout = layout_of(aspect, platform)
        timeline = build(job, (3.0,) * 5, layout)
        safe = safe_area(aspect, platform)  # type: ignore[arg-type]
        for clip in timeline.clips:
            for layer in clip.layers:
                assert inside(layer.box, safe), (clip.kind, layer.kind)
                assert clip.kind == "outro" or not overlap(layer.box, timeline.captions.box), (clip.kind, layer.kind)


def test_layouts_are_cut_from_the_regions() -> None:
    for aspect, layout in LAYOUTS.items():
        found = regions(aspect)
        for name in ("headline", "title", "captions", "source", "progress", "closing"):
            box, area = getattr(layout, name), found[name]
            assert (box.x, box.y, box.width, box.height) == (area.x, area.y, area.width, area.height)
        assert layout.motif.x == found["motif"].x + found["motif"].width / 2
