"""How well pictures fit sentences: pairs that a person would take or leave, and the rules around them."""

from __future__ import annotations

import pytest

from chimera.domain.fit import THRESHOLD, Candidate, fit, named, says_nothing

# what the picture should be of, what is said, what a library says of its picture
TAKEN = [
    ("A dog runs on the beach", "dogs love the sea", "Golden retriever running along a sandy beach dog sea pet"),
    ("solar panels on a roof", "Solar power doubled last year", "Workers install solar panels on rooftop energy"),
    ("city skyline at night", "The city never sleeps", "Aerial view of illuminated skyscrapers, city skyline at night"),
    (
        "coffee cup on a desk",
        "Most people start with coffee",
        "White ceramic mug of coffee beside a laptop coffee cup desk",
    ),
    ("old steam train", "The railway opened in 1830", "steam locomotive train in the snow"),
    (
        "wind turbines in a field",
        "Wind is the cheapest power",
        "Windmills / wind turbine on green grass field wind energy",
    ),
    ("a judge's gavel in court", "The court ruled on Monday", "Brown wooden gavel on table court judge law"),
    ("mountain lake reflection", "The lake is 40 metres deep", "Lake surrounded by mountains lake mountain nature"),
    ("nurse in a hospital ward", "Hospitals are full", "Nurse checking a patient in the hospital"),
    ("Börse Frankfurt Händler", "Der DAX stieg", "Händler an der Frankfurter Börse"),
    ("volcano eruption with lava", "The volcano woke up", "Lava flows from erupting volcano"),
    ("farmer harvesting wheat", "Wheat prices rose", "Combine harvester in wheat field farmer harvest"),
]
LEFT = [
    ("A dog runs on the beach", "dogs love the sea", "Woman reading a book in a library book"),
    (
        "solar panels on a roof",
        "Solar power doubled last year",
        "Roof of an old church in Italy architecture church roof",
    ),
    ("city skyline at night", "The city never sleeps", "Black cat at night cat animal"),
    ("coffee cup on a desk", "Most people start with coffee", "Football world cup trophy cup football"),
    ("old steam train", "The railway opened in 1830", "Steam rising from a hot spring"),
    ("wind turbines in a field", "Wind is the cheapest power", "Lavender field in Provence field flowers"),
    ("a judge's gavel in court", "The court ruled on Monday", "Tennis court from above tennis court sport"),
    ("mountain lake reflection", "The lake is 40 metres deep", "Mountain bike on a trail mountain bike"),
    ("nurse in a hospital ward", "Hospitals are full", "Empty stadium"),
    ("Börse Frankfurt Händler", "Der DAX stieg", "Frankfurter Würstchen mit Senf"),
    ("volcano eruption with lava", "The volcano woke up", "Lava lamp in a shop window"),
    ("farmer harvesting wheat", "Wheat prices rose", "Loaf of wheat bread bread"),
]


@pytest.mark.parametrize(("wish", "sentence", "text"), TAKEN)
def test_what_fits_is_above_the_threshold(wish: str, sentence: str, text: str) -> None:
    assert fit(wish=wish, sentence=sentence, text=text) >= THRESHOLD + 0.05


@pytest.mark.parametrize(("wish", "sentence", "text"), LEFT)
def test_what_does_not_fit_is_below(wish: str, sentence: str, text: str) -> None:
    assert fit(wish=wish, sentence=sentence, text=text) <= THRESHOLD - 0.05


@pytest.mark.parametrize("text", ["", "   ", "IMG 2041", "\0\0", "of the and", "😀", "x" * 100_000])
def test_a_picture_without_words_fits_nothing(text: str) -> None:
    assert fit(wish="old steam train", sentence="", text=text) < 0.05


@pytest.mark.parametrize(("wish", "sentence"), [("", ""), ("the", "of"), ("!!!", "")])
def test_without_a_wish_nothing_fits(wish: str, sentence: str) -> None:
    assert fit(wish=wish, sentence=sentence, text="a dog") == 0.0


def test_an_exact_title_is_nearly_one_and_more_words_do_not_pass_one() -> None:
    assert 0.9 <= fit(wish="harbour bridge", sentence="harbour bridge", text="Harbour bridge") <= 1.0


def test_a_script_without_spaces_is_compared_by_pairs_of_characters() -> None:
    right = fit(wish="東京の夜景", sentence="東京は眠らない", text="東京 夜景 ビル")
    assert right > 2 * fit(wish="東京の夜景", sentence="東京は眠らない", text="京都 寺 紅葉") and right >= THRESHOLD


def test_shape_size_and_length_cost_points() -> None:
    about = {"wish": "old steel bridge", "sentence": "", "text": "old steel bridge"}
    full = fit(**about, size=(1080, 1920), frame=(1080, 1920))
    assert full == fit(**about), "what is not known costs nothing"
    assert 0.7 * full <= fit(**about, size=(20_000, 1920), frame=(1080, 1920)) < 0.8 * full
    assert fit(**about, size=(540, 960), frame=(1080, 1920)) == pytest.approx(0.8 * full, abs=0.01)
    assert fit(**about, size=(1, 1), frame=(1080, 1920)) == 0.0
    assert fit(**about, seconds=2, wanted_seconds=8) == pytest.approx(0.7 * full, abs=0.01)


@pytest.mark.parametrize(("asset", "place"), [
    ("2", 1), ("b.PNG", 1), ("B", 1), ("a", 0), ("", None), ("4", None), ("0", None), ("c.png.exe", None),
])  # fmt: skip
def test_a_named_asset_is_found_by_number_or_name(asset: str, place: int | None) -> None:
    assert named(asset, ["a.jpg", "b.png", "2024.jpg"]) == place


@pytest.mark.parametrize("name", [
    "IMG_2041.jpg", "DSC00017.JPG", "20240511_184500.jpg", "photo (3).png", "WhatsApp Image 2024.jpg", "PXL_20230101_1234.jpg",
    "7.png", "GOPR0012.MP4",
])  # fmt: skip
def test_a_cameras_name_says_nothing(name: str) -> None:
    assert says_nothing(name)


@pytest.mark.parametrize("name", ["grandma garden.jpg", "Harbour-bridge.png", "IMG_2041 harbour.jpg"])
def test_a_persons_name_says_something(name: str) -> None:
    assert not says_nothing(name)


def test_a_candidate_without_a_known_licence_is_not_usable() -> None:
    about = {"library": "x", "key": "1", "file_url": "https://example.org/a.jpg"}
    assert not Candidate(**about).usable and not Candidate(**about, licence="unknown").usable
    assert Candidate(**about, licence="CC0").usable
