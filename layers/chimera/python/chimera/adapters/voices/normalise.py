"""Turns written words into words a synthesizer says well, one written word at a time so that times map back.

Only English is rewritten; other languages are given to the voice as they are written.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from chimera.media.text import without_emoji

_MAGNITUDES = {
    "k": "thousand", "m": "million", "mn": "million", "mln": "million", "b": "billion", "bn": "billion", "t": "trillion",
    "tn": "trillion",
}  # fmt: skip
_MAGNITUDE_WORDS = frozenset({"thousand", "million", "billion", "trillion"})
_CURRENCIES = {"$": "dollars", "US$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "₹": "rupees"}
_UNITS = {
    "km": "kilometers", "km/h": "kilometers per hour", "kph": "kilometers per hour", "mph": "miles per hour", "kg": "kilograms",
    "cm": "centimeters", "mm": "millimeters", "°c": "degrees Celsius", "°f": "degrees Fahrenheit", "gb": "gigabytes",
    "tb": "terabytes", "mb": "megabytes", "kwh": "kilowatt hours", "mw": "megawatts", "gw": "gigawatts", "ghz": "gigahertz",
    "mhz": "megahertz", "ms": "milliseconds", "m/s": "meters per second", "%": "percent",
}  # fmt: skip
_WORDS = {
    "mr.": "Mister", "mrs.": "Missus", "ms.": "Miz", "dr.": "Doctor", "prof.": "Professor", "vs.": "versus", "vs": "versus",
    "&": "and", "+": "plus", "=": "equals", "@": "at", "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera",
    "approx.": "approximately", "no.": "number", "inc.": "Inc", "ltd.": "Limited", "corp.": "Corp", "jr.": "Junior",
    "sr.": "Senior", "st.": "Saint", "gov.": "Governor", "sen.": "Senator", "rep.": "Representative", "gen.": "General",
    "u.s.": "U S", "u.k.": "U K", "u.n.": "U N", "w/": "with", "24/7": "twenty-four seven",
}  # fmt: skip
_ACRONYMS = {
    "AWS": "Eigh W S", "LLMs": "L L Ems", "LLM": "L L M", "GPUs": "G P Use", "CPUs": "C P Use", "APIs": "A P Eyes",
    "CEOs": "C E Ohs", "SQL": "sequel", "GIF": "giff", "IoT": "I O T", "SaaS": "sass", "DoD": "D O D", "VPN": "V P N",
    "OpenAI": "Open AI", "ChatGPT": "Chat GPT", "GitHub": "Git Hub", "YouTube": "You Tube", "TikTok": "Tick Tock",
    "iOS": "I O S", "macOS": "mac O S", "PostgreSQL": "Postgres", "NVIDIA": "Invidia", "Nvidia": "Invidia",
    "Wi-Fi": "Why Fie", "WiFi": "Why Fie",
}  # fmt: skip
_MONTHS = {
    "jan": "January", "feb": "February", "mar": "March", "apr": "April", "jun": "June", "jul": "July", "aug": "August",
    "sep": "September", "sept": "September", "oct": "October", "nov": "November", "dec": "December",
}  # fmt: skip

_CORE = re.compile(r"^([\"'“”‘’(\[{«]*)(.*?)([\"'“”‘’)\]}»,;:!?…]*)$", re.S)
_MONEY = re.compile(r"^(US\$|[$£€¥₹])(\d[\d,]*(?:\.\d+)?)(k|m|mn|mln|b|bn|t|tn)?$", re.I)
_SCALED = re.compile(r"^(\d[\d,]*(?:\.\d+)?)(k|m|mn|mln|bn|b|tn)$", re.I)
_TIMES = re.compile(r"^(\d+(?:\.\d+)?)x$", re.I)
_QUANTITY = re.compile(
    r"^([-–−+]?)(\d[\d,]*(?:\.\d+)?)(km/h|kph|mph|km|kg|cm|mm|°c|°f|gb|tb|mb|kwh|mw|gw|ghz|mhz|ms|m/s|%)$", re.I
)
_YEAR = re.compile(r"^(1[1-9]|20)(\d\d)(s?)$")
_RANGE = re.compile(r"^(\d[\d,.]*)[-–—](\d[\d,.]*%?)$")
_DIGITS_UNIT = re.compile(r"^[-+]?\d[\d,.]*$")


def spoken_words(text: str, language: str) -> list[tuple[str, str]]:
    """Pairs (word as written, words to say); an emoji or a dash says nothing, which is "" or a comma's pause."""
    written = text.split()
    if not language.lower().startswith("en"):
        return [(word, _speakable(word)) for word in written]
    pairs: list[tuple[str, str]] = []
    owed = ""  # "$4.2 billion": the currency is said after the magnitude
    for index, word in enumerate(written):
        following = written[index + 1] if index + 1 < len(written) else ""
        before = written[index - 1] if index else ""
        said, owed = _english(word, before, following, owed)
        pairs.append((word, said))
    return pairs


def _speakable(word: str) -> str:
    bare = without_emoji(word)
    if not any(c.isalnum() for c in bare):
        return "," if any(c in "—–" for c in bare) else ""
    return bare


def _english(word: str, before: str, following: str, owed: str) -> tuple[str, str]:
    bare = _speakable(word)
    match = _CORE.match(word if word in {"&", "+", "=", "@", "%"} else bare)
    if match is None or not match[2]:
        return bare, owed
    _, core, tail = match.groups()
    if core.endswith(".") and core.lower() not in _WORDS and core.lower().rstrip(".") not in _MONTHS:
        core, tail = core[:-1], "." + tail
    tail = tail.replace("…", ".").strip("\"'“”‘’()[]{}«»")
    following_core = following.lower().strip("\"'“”‘’()[]{}.,;:!?…")
    if owed and core.lower() in _MAGNITUDE_WORDS:
        return f"{core} {owed}{tail}", ""
    said, owed_now = _english_core(core, before, following_core)
    return f"{said}{tail}", owed_now


def _english_core(core: str, before: str, following: str) -> tuple[str, str]:
    """What to say for a word without its punctuation, and the currency still to be said after the next word."""
    if money := _MONEY.match(core):
        return _money(money, following)
    lower = core.lower()
    if core in _ACRONYMS:
        return _ACRONYMS[core], ""
    if lower in _WORDS and (lower != "no." or following[:1].isdigit()) and (lower != "st." or following[:1].isalpha()):
        return _WORDS[lower], ""
    if lower in _UNITS and _DIGITS_UNIT.match(before):
        return _UNITS[lower], ""
    if lower.rstrip(".") in _MONTHS and core[:1].isupper() and (following[:1].isdigit() or before[:1].isdigit()):
        return _MONTHS[lower.rstrip(".")], ""
    return _number_or_name(core), ""


def _money(match: re.Match[str], following: str) -> tuple[str, str]:
    unit = _CURRENCIES[match[1].upper() if len(match[1]) > 1 else match[1]]
    amount = match[2].replace(",", "")
    if match[3]:
        return f"{amount} {_MAGNITUDES[match[3].lower()]} {unit}", ""
    if following in _MAGNITUDE_WORDS:
        return amount, unit
    if unit == "dollars" and re.fullmatch(r"\d+\.\d\d", amount):
        whole, cents = amount.split(".")
        return (f"{whole} dollars {int(cents)}" if int(cents) else f"{whole} dollars"), ""
    return f"{amount} {unit[:-1] if amount == '1' and unit.endswith('s') else unit}", ""


def _number_or_name(core: str) -> str:
    if scaled := _SCALED.match(core):
        return f"{scaled[1].replace(',', '')} {_MAGNITUDES[scaled[2].lower()]}"
    if times := _TIMES.match(core):
        return f"{times[1]} times"
    if quantity := _QUANTITY.match(core):
        sign = "minus " if quantity[1] in {"-", "–", "−"} else ""
        return f"{sign}{quantity[2].replace(',', '')} {_UNITS[quantity[3].lower()]}"
    if year := _YEAR.match(core):
        return _year(year[1], year[2], year[3])
    if spread := _RANGE.match(core):
        return f"{_number_or_name(spread[1])} to {_number_or_name(spread[2])}"
    if core.startswith("#") and core[1:].isdigit():
        return f"number {core[1:]}"
    if core.startswith(("#", "@")) and len(core) > 1:
        return core[1:]
    if core.startswith(("http://", "https://", "www.")):
        return _address(core)
    return core


def _year(century: str, rest: str, plural: str) -> str:
    if plural:
        tens = {"00": "hundreds", "10": "tens", "20": "twenties", "30": "thirties", "40": "forties", "50": "fifties",
                "60": "sixties", "70": "seventies", "80": "eighties", "90": "nineties"}.get(rest)  # fmt: skip
        return f"{century} {tens}" if tens and century != "20" else f"{century}{rest}s"
    if century == "20" and rest.startswith("0"):
        return f"20{rest}"
    if rest == "00":
        return f"{century} hundred"
    return f"{century} oh {rest[1]}" if rest.startswith("0") else f"{century} {rest}"


def _address(core: str) -> str:
    try:
        host = urlsplit(core if "//" in core else f"//{core}").hostname or "link"
    except ValueError:
        host = "link"
    return host.removeprefix("www.").replace(".", " dot ")
