"""How English is written out before it is spoken: a table of cases, and rules that hold for any text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chimera.adapters.voices import numbers
from chimera.adapters.voices.lexicon import Lexicon
from chimera.adapters.voices.normalise import spoken_words
from chimera.errors import ChimeraError

# kind: written = said, one case a line
CASES = """
number: 0 = zero
number: 7 = seven
number: 13 cats = thirteen cats
number: 42 = forty-two
number: 100 = one hundred
number: 101 = one hundred one
number: 999 = nine hundred ninety-nine
number: 1,000 = one thousand
number: 12,345 = twelve thousand three hundred forty-five
number: 1,000,000 = one million
number: 3.14 = three point one four
number: 0.05 = zero point zero five
number: .5 = zero point five
number: -3 = minus three
number: −3 = minus three
number: 007 = zero zero seven
number: 3,000 people. = three thousand people.
number: (42) = forty-two
number: “7” = seven
number: #1 = number one
number: ~50 = about fifty
number: ~ 50 = about fifty
number: <5 = less than five
number: ≥10 = at least ten
number: 10+10 = 10+10
magnitude: 1.5 million = one point five million
magnitude: 10K fans = ten thousand fans
magnitude: 2.5M = two point five million
magnitude: 7bn = seven billion
magnitude: 3x = three times
magnitude: 1.5x faster = one point five times faster
year: in 2026, = in twenty twenty-six,
year: 1905 = nineteen oh five
year: 1900 = nineteen hundred
year: 2000 = two thousand
year: 2008 = two thousand eight
year: 2010 = twenty ten
year: 1066 = one thousand sixty-six
year: 1776 = seventeen seventy-six
year: 2000 km = two thousand kilometers
year: 1990s = nineteen nineties
year: the 2000s = the two thousands
year: 2010s = twenty tens
year: the '90s = the nineties
year: the 80s = the eighties
year: summer of '69 = summer of sixty-nine
year: 2019–2021 = twenty nineteen to twenty twenty-one
year: 2019-21 = twenty nineteen to twenty-one
date: Nov. 21 = November twenty-first
date: November 21, 2026 = November twenty-first, twenty twenty-six
date: May 5 = May fifth
date: Sept. 3 = September third
date: 21 November = the twenty-first of November
date: the 4 July parade = the fourth of July parade
date: 2026-11-21 = November twenty-first, twenty twenty-six
date: 11/21/2026 = November twenty-first, twenty twenty-six
date: 25/12/2025 = December twenty-fifth, twenty twenty-five
date: Mon. Nov. 3 = Monday November third
date: in May. 21 people = in May. twenty-one people
time: 3:45 = three forty-five
time: 3:45 pm = three forty-five P M
time: 3:05pm = three oh five P M
time: 10:00 = ten o'clock
time: 10:00 am = ten Eigh M
time: 5pm = five P M
time: 10 a.m. = ten Eigh M
time: 14:30 = fourteen thirty
time: 18:00 = eighteen hundred
time: 12:05:09 = twelve oh five and nine seconds
time: 24/7 = twenty-four seven
money: $1 = one dollar
money: $5 = five dollars
money: $1,250 = one thousand two hundred fifty dollars
money: $4.20 = four dollars and twenty cents
money: $4.00 = four dollars
money: $0.99 = ninety-nine cents
money: $0.01 = one cent
money: £1.50 = one pound and fifty pence
money: £3.2m = three point two million pounds
money: €20 = twenty euros
money: 20€ = twenty euros
money: ¥500 = five hundred yen
money: ₹100 = one hundred rupees
money: $4.2B. = four point two billion dollars.
money: $4.2 billion, = four point two billion dollars,
money: US$5 = five dollars
money: A$5 = five Australian dollars
money: -$5 = minus five dollars
money: $5-10 = five to ten dollars
money: $5–$10 million = five to ten million dollars
money: $1M–2M = one million to two million dollars
money: 50¢ = fifty cents
money: 5 USD = five dollars
money: USD 5 = five dollars
percent: 50% = fifty percent
percent: 0.5% = zero point five percent
percent: 10-20% = ten to twenty percent
percent: 10%–20% = ten to twenty percent
percent: 5 % = five percent
percent: ~30% = about thirty percent
unit: 5 km = five kilometers
unit: 1 km = one kilometer
unit: 5km = five kilometers
unit: 120 km/h = one hundred twenty kilometers per hour
unit: 60mph = sixty miles per hour
unit: -5°C = minus five degrees Celsius
unit: 72 °F = seventy-two degrees Fahrenheit
unit: 90° = ninety degrees
unit: 5 m tall = five meters tall
unit: 16GB = sixteen gigabytes
unit: 1.21 GW = one point two one gigawatts
unit: 100m² = one hundred square meters
unit: 10 kg = ten kilograms
unit: 5-10km = five to ten kilometers
unit: 6 ft = six feet
unit: 30 min = thirty minutes
unit: 2.4GHz = two point four gigahertz
unit: 20 ms = twenty milliseconds
ordinal: 1st = first
ordinal: 2nd = second
ordinal: 3rd = third
ordinal: 12th = twelfth
ordinal: 20th = twentieth
ordinal: 21st = twenty-first
ordinal: 100th = one hundredth
ordinal: 103rd = one hundred third
ordinal: 1,000th = one thousandth
range: 10–20 = ten to twenty
range: 3 - 5 = three to five
range: 1.5–2 = one point five to two
range: pp. 3-5 = pages three to five
ratio: 16:9 = sixteen to nine
ratio: 1920x1080 = nineteen twenty by ten eighty
roman: Henry VIII = Henry the eighth
roman: Louis XIV, = Louis the fourteenth,
roman: Elizabeth II's = Elizabeth the second's
roman: Chapter IV. = Chapter four.
roman: World War II = World War two
roman: Act V = Act five
roman: Super Bowl LIX = Super Bowl fifty-nine
roman: Part I = Part one
roman: I was = I was
roman: the VI editor = the V I editor
acronym: NASA = Nasa
acronym: NATO's = Nato's
acronym: UNESCO = Unesco
acronym: BBC = B B C
acronym: the BBC's = the B B C's
acronym: FBI = F B I
acronym: AI = Eigh I
acronym: USA = U S Eigh
acronym: HTML = H T M L
acronym: UNHCR = U N H C R
acronym: AWS = Eigh W S
acronym: CEOs = C E Ohs
acronym: NGOs = N G O's
acronym: U.S. = U S
acronym: R&D = R and D
acronym: AI-powered = Eigh I powered
acronym: COVID-19 = covid nineteen
acronym: GPT-4 = G P T four
acronym: F-16 = F sixteen
acronym: A380 = Eigh three eighty
acronym: MP3 = M P three
acronym: 5G = five G
acronym: a 4K video = a four K video
acronym: 3D = three D
acronym: NOT now = not now
acronym: OpenAI = Open Eigh I
address: https://www.bbc.co.uk/x = bbc dot co dot uk
address: example.com = example dot com
address: www.nasa.gov. = nasa dot gov.
address: me@x.com = me at x dot com
address: @elon_musk = at elon musk
address: #ClimateChange = Climate Change
address: #AI = Eigh I
address: http://[ = link
abbreviation: Dr. Smith = Doctor Smith
abbreviation: Rodeo Dr. is = Rodeo Drive is
abbreviation: St. Louis = Saint Louis
abbreviation: Main St. is = Main Street is
abbreviation: Mr. and Mrs. Lee = Mister and Missus Lee
abbreviation: e.g. cats = for example cats
abbreviation: i.e., now = that is, now
abbreviation: cats, dogs, etc. = cats, dogs, et cetera
abbreviation: Ali vs. Frazier = Ali versus Frazier
abbreviation: No. 5 = number five
abbreviation: No. = No.
abbreviation: p. 12 = page twelve
abbreviation: vol. 2 = volume two
abbreviation: w/o = without
abbreviation: salt & pepper = salt and pepper
abbreviation: 2 + 2 = 4 = two plus two equals four
abbreviation: 9/11 = nine eleven
fraction: 1/2 = one half
fraction: 3/4 = three quarters
fraction: 2/3 = two thirds
fraction: 5/16 = five sixteenths
fraction: ½ = one half
fraction: 2½ = two and a half
fraction: ¾ = three quarters
phone: 555-1234 = five five five, one two three four
phone: 800-555-1234 = eight zero zero, five five five, one two three four
phone: (555) 123-4567 = five five five one two three, four five six seven
phone: +1-555-123-4567 = plus one, five five five, one two three, four five six seven
science: 1.5e9 = one point five times ten to the ninth
science: 6.02×10^23 = six point zero two times ten to the twenty-third
science: 3×10⁸ = three times ten to the eighth
science: 10^6 = ten to the sixth
science: 1e-3 = one times ten to the minus three
version: v2.1 = version two point one
version: 3.11.4 = three point eleven point four
emoji: Hi 🚀 = Hi
dash: a — b = a , b
plain: state-of-the-art = state-of-the-art
plain: It's huge! = It's huge!
plain: 3-day trip = three day trip
plain: ¿qué? = qué?
"""


def said(text: str, language: str = "en-us", lexicon: Lexicon | None = None) -> str:
    return " ".join(s for _, s in spoken_words(text, language, lexicon) if s)


def table() -> list[tuple[str, str]]:
    rows = [line.split(": ", 1)[1] for line in CASES.strip("\n").splitlines()]
    return [(written, spoken.strip()) for written, _, spoken in (row.rpartition(" =") for row in rows)]


@pytest.mark.parametrize(("written", "spoken"), table())
def test_english_is_written_out(written: str, spoken: str) -> None:
    assert said(written) == spoken


@pytest.mark.parametrize(("written", "spoken"), table())
def test_what_is_written_out_stays_as_it_is(written: str, spoken: str) -> None:
    assert said(spoken) == spoken


def test_the_table_is_large_and_each_kind_is_in_it() -> None:
    kinds = {line.split(":")[0] for line in CASES.strip().splitlines()}
    assert len(table()) >= 150 and len(kinds) >= 18


def test_british_dates_put_the_day_first() -> None:
    assert said("3/4/2026", "en-gb") == "April third, twenty twenty-six"
    assert said("3/4/2026", "en-us") == "March fourth, twenty twenty-six"


def test_an_emoji_alone_is_silent() -> None:
    assert spoken_words("🚀🔥 ✨", "en-us") == [("🚀🔥", ""), ("✨", "")]


def test_shouting_is_read_as_words() -> None:
    assert said("LOOK AT THIS AMAZING THING NOW") == "look at this amazing thing now"


def test_other_languages_are_left_to_the_engine() -> None:
    assert said("in 2026 & 5 km BBC", "de") == "in 2026 5 km BBC"


def test_joiners_that_an_engine_would_say_by_name_are_not_said() -> None:
    assert said("תל־אביב ירד ב־12% ־", "he") == "תל אביב ירד ב 12%"
    assert said("كتـــاب", "ar") == "كتاب"


TOKENS = st.one_of(
    st.sampled_from([line[0] for line in table()]),
    st.from_regex(r"[-+$£€#@(]?[0-9]{1,20}[.,:/x%-]?[0-9]{0,4}[A-Za-z%°²]{0,4}[.,)!?]?", fullmatch=True),
    st.from_regex(r"[A-Z]{1,9}(-[0-9]{1,3})?('s)?", fullmatch=True),
    st.text(max_size=12),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(TOKENS, max_size=8), st.sampled_from(["en-us", "en-gb", "de", "ar", ""]))
@example(["٣", "²", "1٣:00", "½½", "[[x]]", "$", "-", "–", "'", "#", "@"], "en-us")
@example(["9" * 30, "1e999", "0x", "0/0", "99:99", "$.", "1,,2"], "en-us")
def test_no_text_is_an_error_and_every_written_word_is_there_in_its_order(parts: list[str], language: str) -> None:
    text = " ".join(parts)
    pairs = spoken_words(text, language)
    assert [w for w, _ in pairs] == text.split()
    assert not any("[[" in s or "]]" in s for _, s in pairs)  # an engine would read phonemes there


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**18 - 1))
def test_numbers_in_words_have_no_digit_and_ordinals_end_as_ordinals(value: int) -> None:
    words, place = numbers.cardinal(value), numbers.ordinal(value)
    assert re.fullmatch(r"[a-z -]+", words) and "  " not in words
    assert re.search(r"(st|nd|rd|th)$", place) and place.split()[:-1] == words.split()[: len(place.split()) - 1]
    assert numbers.number(f"{value:,}") == words


def test_roman_numerals_are_read_only_in_their_usual_form() -> None:
    known = {numbers.roman(numbers._as_roman(n)) for n in range(1, 90)}
    assert known == set(range(1, 90))
    assert [numbers.roman(text) for text in ("", "IIII", "VX", "IC", "ABC", "iv")] == [None] * 6


# --- lexicon


def test_a_lexicon_comes_first_in_every_language_and_keeps_punctuation() -> None:
    lexicon = Lexicon({"Nguyen": "win", "GIF": "jiff", "Xiaomi": "/ˈʃaʊmi/", "Hermès": "[[e@m'Es]]"})
    assert said("Mr. Nguyen's GIF, GIF.", lexicon=lexicon) == "Mister win's jiff, jiff."
    assert said("nguyen!", "vi", lexicon) == "win!"
    assert said("Xiaomi, Xiaomi's Hermès", lexicon=lexicon) == "[['SaUmi]], [['SaUmiz]] [[e@m'Es]]"
    assert lexicon.has_phonemes and not Lexicon({"GIF": "jiff"}).has_phonemes and not Lexicon()


@pytest.mark.parametrize(
    ("word", "sound", "why"),
    [
        ("", "x", "1–60 characters"),
        ("two words", "x", "without a space"),
        ("a" * 61, "x", "1–60 characters"),
        ("GIF", "", "1–120 characters"),
        ("GIF", "j" * 121, "1–120 characters"),
        ("GIF", "[[j'If", "double brackets"),
        ("GIF", "[[a]] [[b]]", "double brackets"),
        ("GIF", "/dʒɪf", "two slashes"),
        ("GIF", "/ɓif/", "not one of English"),
        ("GIF", "<break/>", "expected letters"),
        ("GIF", "…", "expected letters"),
    ],
)
def test_a_wrong_entry_is_named(word: str, sound: str, why: str) -> None:
    with pytest.raises(ChimeraError, match=re.escape(why)) as wrong:
        Lexicon({word: sound})
    assert wrong.value.code == "VALIDATION_FAILED"


def test_a_lexicon_has_a_limit() -> None:
    with pytest.raises(ChimeraError, match="501"):
        Lexicon({f"w{i}": "x" for i in range(501)})
