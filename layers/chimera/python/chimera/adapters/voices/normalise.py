"""Turns written words into words a synthesizer says well, one written word at a time so that times map back.

Only English is rewritten; other languages are given to the voice as they are written. Pure, never raises, and what was
written out stays as it is when it is written out again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from chimera.adapters.voices import numbers
from chimera.adapters.voices import vocabulary as v
from chimera.adapters.voices.lexicon import Lexicon
from chimera.media.text import without_emoji

_CORE = re.compile(r"^([\"'“”‘’(\[{«¿¡]*)(.*?)([\"'“”‘’)\]}»,;:!?…]*)$", re.S)
_N = r"\d[\d,]*(?:\.\d+)?|\.\d+"
_SIGN = r"[-–−+]?"
_CURRENCY = r"US\$|A\$|C\$|[$£€¥₹₩₿]"
_SCALE = r"k|mn|mln|m|bn|b|tn|t"
_MONEY = re.compile(rf"^({_SIGN})({_CURRENCY})({_N})({_SCALE})?\+?$", re.I)
_MONEY_RANGE = re.compile(rf"^({_CURRENCY})({_N})({_SCALE})?[-–—](?:{_CURRENCY})?({_N})({_SCALE})?$", re.I)
_MONEY_AFTER = re.compile(rf"^({_N})({_SCALE})?([£€¢])$", re.I)
_SCALED = re.compile(rf"^({_SIGN})({_N})({_SCALE})\+?$", re.I)
_TIMES = re.compile(rf"^({_N})[x×]$", re.I)
_UNIT_NAMES = "|".join(sorted((re.escape(u) for u in v.UNITS), key=len, reverse=True))
_QUANTITY = re.compile(rf"^({_SIGN})({_N})-?({_UNIT_NAMES})$", re.I)
_QUANTITY_RANGE = re.compile(rf"^({_N})[-–—]({_N})({_UNIT_NAMES})$", re.I)
_PERCENT_RANGE = re.compile(rf"^({_N})%[-–—]({_N})%$")
_YEAR = re.compile(r"^(1[1-9]\d\d|20\d\d)$")
_DECADE = re.compile(r"^(1[1-9]\d0|20\d0)['’]?s$")
_SHORT_DECADE = re.compile(r"^['’]?([1-9]0)['’]?s$")
_SHORT_YEAR = re.compile(r"^['’](\d\d)$")
_YEARS = re.compile(r"^(1[1-9]\d\d|20\d\d)[-–—/](\d{4}|\d\d)$")
_ISO_DATE = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")
_DATE = re.compile(r"^(\d{1,2})[/.](\d{1,2})[/.](\d{4})$")
_CLOCK = re.compile(r"^([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?([ap]\.?m\.?)?$", re.I)
_HOUR = re.compile(r"^(1[0-2]|[1-9])([ap])\.?m\.?$", re.I)
_ORDINAL = re.compile(r"^(\d[\d,]*)(?:st|nd|rd|th)$", re.I)
_RANGE = re.compile(rf"^({_N})[-–—]({_N})$")
_RATIO = re.compile(r"^(\d{1,4}):(\d{1,4})$")
_SIZE = re.compile(r"^(\d{1,5})[x×](\d{1,5})$")
_FRACTION = re.compile(r"^(\d{1,3})/(\d{1,3})$")
_MIXED = re.compile(rf"^(\d*)([{''.join(v.VULGAR)}])$")
_E_NOTATION = re.compile(r"^([-−+]?\d+(?:\.\d+)?)e([-+]?\d{1,3})$", re.I)
_POWER = re.compile(r"^(?:(\d+(?:\.\d+)?)[×x*·])?10(?:\^([-−+]?\d{1,3})|([⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))$")
_PHONE = re.compile(r"^(?:\+\d{1,3}[-. ]?)?(?:\(\d{2,4}\)[-. ]?)?\d{2,4}(?:[-.]\d{2,4}){1,4}$")
_NUMBER = re.compile(rf"^{_SIGN}(?:{_N})$")
_VERSION = re.compile(r"^v(\d+(?:\.\d+){0,3})$", re.I)
_DOTTED = re.compile(r"^\d+(?:\.\d+){2,}$")
_ACRONYM = re.compile(r"^([A-Z]{2,8})(['’]?s)?$")
_DOTTED_ACRONYM = re.compile(r"^(?:[A-Z]\.){2,}$")
_LETTERS_DIGITS = re.compile(r"^([A-Za-z]+)-?(\d{1,4})([a-z]?)$")
_DIGITS_LETTERS = re.compile(r"^(\d{1,3})-?([A-Z]{1,3})$")
_HYPHENED = re.compile(rf"^({_N})-([A-Za-z][A-Za-z-]*)$")
_EMAIL = re.compile(r"^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$")
_HOST = re.compile(
    r"^(?:https?://|www\.)\S+$|^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|ai|gov|edu|co|uk|de|eu|dev|app|tv)(?:/\S*)?$",
    re.I,
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|_+")
_ABOUT = {
    "~": "about",
    "≈": "about",
    "±": "plus or minus",
    "<": "less than",
    ">": "more than",
    "≤": "at most",
    "≥": "at least",
}
_MAX_WORD = 200
# a Hebrew maqaf joins words as a hyphen does, an Arabic tatweel only makes one longer: espeak-ng says the first one's name
_JOINERS = {0x05BE: " ", 0x0640: None}


@dataclass(frozen=True)
class _Context:
    """The words around one word, without their punctuation, and what holds for the whole text."""

    before: str
    following: str
    british: bool
    shouting: bool
    # whether the word before ended a sentence or clause
    after_pause: bool = False


def spoken_words(text: str, language: str, lexicon: Lexicon | None = None) -> list[tuple[str, str]]:
    """Pairs (word as written, words to say), one for each word of `text.split()`, in order.

    An emoji says nothing (""), a dash a comma's pause. `language` is a tag such as `en-us`; what does not begin with
    `en` is left to the engine. `lexicon` comes first, in every language.
    """
    written = text.split()
    english = language.lower().startswith("en")
    letters = [c for c in text if c.isalpha()]
    shouting = len(letters) > 12 and sum(c.isupper() for c in letters) > 0.7 * len(letters)
    british = language.lower().startswith(("en-gb", "en-uk"))
    pairs: list[tuple[str, str]] = []
    owed = ""  # "$4.2 billion": the currency is said after the magnitude
    for index, word in enumerate(written):
        listed = _listed(word, lexicon)
        if listed is not None or not english:
            pairs.append((word, listed if listed is not None else _speakable(word).replace("[[", "").replace("]]", "")))
            continue
        before = written[index - 1] if index else ""
        following = written[index + 1] if index + 1 < len(written) else ""
        context = _Context(
            _bare(before), _bare(following), british, shouting, before[-1:] in set(".,;:!?—–") and before != "–"
        )
        said, owed = _english(word[:_MAX_WORD], context, owed)
        pairs.append((word, said.replace("[[", "").replace("]]", "")))
    return pairs


def _bare(word: str) -> str:
    match = _CORE.match(word)
    return (match[2] if match else word).strip()


def _listed(word: str, lexicon: Lexicon | None) -> str | None:
    if not lexicon:
        return None
    match = _CORE.match(word)
    if match is None:
        return None
    for core, more in ((match[2], ""), (match[2].rstrip("."), match[2][len(match[2].rstrip(".")) :])):
        if core and (said := lexicon.look_up(core)) is not None:
            return said + _tail(more + match[3])
    return None


def _tail(text: str) -> str:
    """What of the closing punctuation an engine makes a pause or a tune of."""
    return text.replace("…", ".").strip("\"'“”‘’()[]{}«»")


def _is_dash_between_numbers(word: str, context: _Context) -> bool:
    return word in {"-", "–", "—"} and bool(_NUMBER.match(context.before) and _NUMBER.match(context.following))


def _speakable(word: str) -> str:
    bare = without_emoji(word.translate(_JOINERS))
    if bare == ",":
        return bare
    if not any(c.isalnum() for c in bare):
        return "," if any(c in "—–" for c in bare) else ""
    return bare


def _english(word: str, context: _Context, owed: str) -> tuple[str, str]:
    if _is_dash_between_numbers(word, context):
        return "to", owed
    signs = {*v.ABBREVIATIONS, *v.BEFORE_NUMBERS, "°", "°C", "°F"}
    bare = word if word in signs else _speakable(word)
    if word in v.BEFORE_NUMBERS and not any(c.isalnum() for c in word):
        if context.following[:1].isdigit() and (word != "-" or not context.before[:1].isdigit()):
            return v.BEFORE_NUMBERS[word], owed
        if word not in v.ABBREVIATIONS:
            return _speakable(word), owed
    if word.startswith(("'", "’")) and (
        _SHORT_YEAR.match(word.rstrip(".,;:!?")) or _SHORT_DECADE.match(word.rstrip(".,;:!?"))
    ):
        core, tail = word.rstrip(".,;:!?"), word[len(word.rstrip(".,;:!?")) :]
        return _core(core, context)[0] + tail, owed
    if _PHONE.match(word.rstrip(",;:!?.")) and word.startswith(("(", "+")):
        return _phone(word), owed
    match = _CORE.match(bare)
    if match is None or not match[2]:
        return (bare if not bare.strip(",.") or any(c.isalnum() for c in bare) else ""), owed
    _, core, tail = match.groups()
    lower = core.lower()
    if core.endswith(".") and not _keeps_dot(core, lower, context):
        core, tail = core.rstrip("."), "." + tail
        lower = core.lower()
        if not core:
            return _tail(tail), owed
    if owed and lower in v.MAGNITUDE_WORDS:
        return f"{core} {owed}{_tail(tail)}", ""
    said, owed_now = _core(core, context)
    return f"{said}{_tail(tail)}", owed_now


def _keeps_dot(core: str, lower: str, context: _Context) -> bool:
    known = lower in v.ABBREVIATIONS or lower in v.BEFORE_NUMBERS or lower in v.DAYS or lower in {"dr.", "st."}
    return known or lower.rstrip(".") in v.MONTHS or bool(_DOTTED_ACRONYM.match(core))


def _core(core: str, context: _Context) -> tuple[str, str]:
    """What to say for a word without its punctuation, and the currency still to be said after the next word."""
    following = context.following.lower()
    if money := _money(core, following):
        return money
    if core in v.CURRENCIES and core.isalpha():
        if context.following[:1].isdigit():  # "USD 5": said after the number
            return "", ""
        if context.before[-1:].isdigit() or context.before.lower() in v.MAGNITUDE_WORDS:
            return v.CURRENCIES[core][1], ""
    if context.before.isalpha() and context.before in v.CURRENCIES and _NUMBER.match(core):
        return _amount(context.before, core, None, following)
    if core in v.NAMES:
        return v.NAMES[core], ""
    for said in (_abbreviation(core, context), _unit(core, context), _date(core, context), _roman(core, context)):
        if said is not None:
            return said, ""
    return _number(core, context) or _name(core, context), ""


def _abbreviation(core: str, context: _Context) -> str | None:
    lower = core.lower()
    if lower in v.BEFORE_NUMBERS:
        if context.following[:1].isdigit():
            return v.BEFORE_NUMBERS[lower]
        return {"sec.": "seconds"}.get(lower, core) if lower not in v.ABBREVIATIONS else v.ABBREVIATIONS[lower]
    if lower in {"dr.", "st."} or (lower == "dr" and context.following[:1].isupper()):
        street = context.before[:1].isupper() and not context.following[:1].isupper() and not context.after_pause
        return {"d": ("Doctor", "Drive"), "s": ("Saint", "Street")}[lower[0]][street]
    if lower in {"am", "pm"} and (_clock_like(context.before)):
        return "Eigh M" if lower == "am" else "P M"
    if lower in v.DAYS and core[:1].isupper() and (context.following[:1].isupper() or context.following[:1].isdigit()):
        return v.DAYS[lower]
    if lower == "v." and not (context.before[:1].isupper() and context.following[:1].isupper()):
        return core
    if lower in v.TITLES and not core[:1].isupper():
        return core
    if lower == "min." and context.before[-1:].isdigit():
        return "minutes"
    return v.ABBREVIATIONS.get(lower)


def _clock_like(word: str) -> bool:
    return bool(_CLOCK.match(word)) or (word.isascii() and word.isdigit() and 1 <= int(word[:3]) <= 12)


def _unit(core: str, context: _Context) -> str | None:
    if not _NUMBER.match(context.before) and not _SCALED.match(context.before) and not _RANGE.match(context.before):
        return None
    if core in v.NAMES or context.after_pause:
        return None
    unit = v.LONE_UNITS.get(core) or v.UNITS.get(core.lower())
    return None if unit is None else unit[0] if context.before == "1" else unit[1]


def _date(core: str, context: _Context) -> str | None:
    if core == "May.":  # no short form: a sentence ends here
        return core
    month = v.MONTHS.get(core.lower().rstrip("."))
    if month and core[:1].isupper() and (context.following[:1].isdigit() or context.before[:1].isdigit()):
        return month
    if not (core.isascii() and core.isdigit() and 1 <= int(core[:4]) <= 31) or len(core) > 2:
        return None
    short = context.before.endswith(".") and context.before.rstrip(".") not in v.MONTH_NAMES
    if _is_month(context.before) and (short or not context.after_pause):
        return numbers.ordinal(int(core))
    if _is_month(context.following):
        return f"{'' if context.before.lower() == 'the' else 'the '}{numbers.ordinal(int(core))} of"
    return None


def _is_month(word: str) -> bool:
    return word[:1].isupper() and (word in v.MONTH_NAMES or word.lower().rstrip(".") in v.MONTHS)


def _roman(core: str, context: _Context) -> str | None:
    value = numbers.roman(core.removesuffix("'s").removesuffix("’s")) if core.isascii() or "’" in core else None
    if value is None or context.after_pause:
        return None
    ending = "'s" if core.endswith(("'s", "’s")) else ""
    if context.before in v.RULERS and (core != "I" or not context.following[:1].islower()):
        return f"the {numbers.ordinal(value)}{ending}"
    return numbers.cardinal(value) + ending if context.before.lower() in v.COUNTED else None


def _money(core: str, following: str) -> tuple[str, str] | None:
    if match := _MONEY.match(core):
        sign = "minus " if match[1] in {"-", "–", "−"} else ""
        said, owed = _amount(match[2].upper(), match[3], match[4], following)
        return sign + said, owed
    if match := _MONEY_RANGE.match(core):
        low = numbers.number(match[2]) + (f" {v.MAGNITUDES[match[3].lower()]}" if match[3] else "")
        said, owed = _amount(match[1].upper(), match[4], match[5], following)
        return f"{low} to {said}", owed
    if match := _MONEY_AFTER.match(core):
        if match[3] == "¢":
            return f"{numbers.number(match[1])} {'cent' if match[1] == '1' else 'cents'}", ""
        return _amount(match[3], match[1], match[2], following)
    return None


def _amount(sign: str, amount: str, scale: str | None, following: str) -> tuple[str, str]:
    one, many, part = v.CURRENCIES[sign]
    plain = amount.replace(",", "")
    if scale:
        return f"{numbers.number(plain)} {v.MAGNITUDES[scale.lower()]} {many}", ""
    if following in v.MAGNITUDE_WORDS:
        return numbers.number(plain), many
    whole, _, cents = plain.partition(".")
    if part and len(cents) == 2:
        count = int(cents)
        parts = f"{numbers.cardinal(count)} {part if count == 1 or part == 'pence' else part + 's'}"
        if not count:
            return f"{numbers.number(whole)} {one if whole == '1' else many}", ""
        if not int(whole or "0"):
            return parts, ""
        return f"{numbers.number(whole)} {one if whole == '1' else many} and {parts}", ""
    return f"{numbers.number(plain)} {one if plain == '1' else many}", ""


def _number(core: str, context: _Context) -> str | None:
    n = numbers.number
    if core[:1] in _ABOUT and len(core) > 1 and core[1] in "0123456789$£€.-":
        said: str | None
        said, owed = _core(core[1:], context)
        return f"{_ABOUT[core[0]]} {said}{' ' + owed if owed else ''}"
    if not any(c in "0123456789" or c in v.VULGAR for c in core):
        return None
    if m := _ISO_DATE.match(core):
        return f"{v.MONTH_NAMES[int(m[2]) - 1]} {numbers.ordinal(int(m[3]))}, {_year(m[1])}"
    if (m := _DATE.match(core)) and (said := _slashed(m, british=context.british or "." in core)):
        return said
    if m := _CLOCK.match(core):
        return _clock(m, context)
    if m := _HOUR.match(core):
        return f"{n(m[1])} {'Eigh' if m[2].lower() == 'a' else 'P'} M"
    if m := _ORDINAL.match(core):
        return numbers.ordinal(int(m[1].replace(",", "")[:17]))
    if m := _DECADE.match(core):
        return numbers.decade(int(m[1]))
    if m := _SHORT_DECADE.match(core):
        return numbers.tens(int(m[1]))
    if m := _SHORT_YEAR.match(core):
        return f"oh {n(m[1][1])}" if m[1].startswith("0") and m[1] != "00" else n(m[1])
    if _YEAR.match(core) and not v.UNITS.get(context.following.lower()) and context.following not in v.LONE_UNITS:
        return numbers.year(int(core))
    if m := _YEARS.match(core):
        return f"{numbers.year(int(m[1]))} to {_year(m[2]) if len(m[2]) == 4 else n(m[2])}"
    if m := _SIZE.match(core):
        return " by ".join(numbers.year(int(p)) if len(p) == 4 and p[0] != "0" else n(p) for p in m.groups())
    if m := _TIMES.match(core):
        return f"{n(m[1])} times"
    if m := _PERCENT_RANGE.match(core):
        return f"{n(m[1])} to {n(m[2])} percent"
    if m := _QUANTITY_RANGE.match(core):
        return f"{n(m[1])} to {n(m[2])} {v.UNITS[m[3].lower()][1]}"
    if re.fullmatch(r"\d{1,2}K", core) and context.following.lower() in v.SCREENS:
        return f"{n(core[:-1])} K"
    if re.fullmatch(r"\d{1,2}G", core):
        return f"{n(core[:-1])} G"
    if (m := _SCALED.match(core)) and not re.fullmatch(r"\d+T", core):
        return f"{n(m[1] + m[2])} {v.MAGNITUDES[m[3].lower()]}"
    if m := _QUANTITY.match(core):
        return f"{n(m[1] + m[2])} {v.UNITS[m[3].lower()][0 if m[2] == '1' else 1]}"
    if m := _FRACTION.match(core):
        return numbers.fraction(int(m[1]), int(m[2]))
    if m := _MIXED.match(core):
        part = numbers.fraction(*v.VULGAR[m[2]])
        return f"{n(m[1])} and {part.replace('one ', 'a ', 1)}" if m[1] else part
    if m := _E_NOTATION.match(core):
        return f"{n(m[1])} times ten to the {_power(m[2])}"
    if m := _POWER.match(core):
        power = _power(m[2] or m[3].translate(v.SUPERSCRIPTS))
        return f"{n(m[1])} times ten to the {power}" if m[1] else f"ten to the {power}"
    if _is_phone(core):
        return _phone(core)
    if m := _RANGE.match(core):
        return f"{n(m[1])} to {n(m[2])}"
    if m := _RATIO.match(core):
        return f"{n(m[1])} to {n(m[2])}"
    if m := _VERSION.match(core):
        return "version " + " point ".join(numbers.cardinal(int(p[:17])) for p in m[1].split("."))
    if _DOTTED.match(core):
        return " point ".join(numbers.cardinal(int(p[:17])) for p in core.split("."))
    if re.fullmatch(r"\d{3}", core) and re.fullmatch(r"\d{3}-\d{4}", context.following):
        return _phone(core)
    if _NUMBER.match(core):
        return n(core)
    if core.startswith("#") and core[1:].isascii() and core[1:].isdigit():
        return f"number {n(core[1:])}"
    if m := _HYPHENED.match(core):
        return f"{n(m[1])} {m[2].replace('-', ' ')}"
    return None


def _power(text: str) -> str:
    value = int(text.replace("−", "-"))
    return f"minus {numbers.cardinal(-value)}" if value < 0 else numbers.ordinal(value)


def _year(text: str) -> str:
    return numbers.year(int(text)) if _YEAR.match(text) else numbers.number(text)


def _slashed(match: re.Match[str], *, british: bool) -> str | None:
    first, second = int(match[1]), int(match[2])
    day, month = (first, second) if british or first > 12 else (second, first)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return f"{v.MONTH_NAMES[month - 1]} {numbers.ordinal(day)}, {_year(match[3])}"


def _clock(match: re.Match[str], context: _Context) -> str:
    hour, minute = int(match[1]), int(match[2])
    half = match[4].lower()[0] if match[4] else ""
    half_follows = bool(half) or context.following.lower().replace(".", "") in {"am", "pm"}
    if minute == 0:
        said = numbers.cardinal(hour)
        said += "" if half_follows else " o'clock" if 1 <= hour <= 12 else " hundred" if hour else " hundred hours"
    else:
        said = f"{numbers.cardinal(hour)} {'oh ' if minute < 10 else ''}{numbers.cardinal(minute)}"
    if match[3]:
        said += f" and {numbers.cardinal(int(match[3]))} seconds"
    return said + ({"a": " Eigh M", "p": " P M"}[half] if half else "")


def _is_phone(core: str) -> bool:
    groups = re.split(r"[-. ()]+", core.strip("+()"))
    if not _PHONE.match(core) or ("." in core and core.count(".") < 2):
        return False
    return core.startswith(("+", "(")) or len(groups) >= 3 or (len(groups) == 2 and [len(g) for g in groups] == [3, 4])


def _phone(core: str) -> str:
    groups = [g for g in re.split(r"[^\d]+", core) if g]
    return ("plus " if core.startswith("+") else "") + ", ".join(numbers.digits(g) for g in groups)


def _name(core: str, context: _Context) -> str:
    """Acronyms, handles, addresses, and names with digits; a plain word is left as it is."""
    if _EMAIL.match(core):
        user, _, host = core.partition("@")
        return f"{re.sub(r'[._+-]+', ' ', user).strip()} at {host.replace('.', ' dot ')}"
    if _HOST.match(core) and not _DOTTED_ACRONYM.match(core):
        return _address(core)
    if core[:1] in "#@" and len(core) > 1:
        parts = [p for p in _CAMEL.split(core[1:]) if p]
        words = " ".join(_plain_part(p) for p in parts).strip("#@ ")
        return f"at {words}" if core.startswith("@") and words else words
    if _DOTTED_ACRONYM.match(core):
        return _letters(core.replace(".", ""))
    if m := _ACRONYM.match(core):
        return _acronym(m[1], (m[2] or "").replace("’", "'"), context)
    if m := _LETTERS_DIGITS.match(core):
        head = _acronym(m[1], "", context) if m[1].isupper() and len(m[1]) > 1 else v.NAMES.get(m[1], m[1])
        return f"{'Eigh' if head == 'A' else head} {_model_number(m[2])}{' ' + m[3] if m[3] else ''}"
    if m := _DIGITS_LETTERS.match(core):
        return f"{numbers.number(m[1])} {_letters(m[2])}"
    if re.fullmatch(r"[A-Z](?:&[A-Z])+", core):
        return " and ".join("Eigh" if c == "A" else c for c in core.split("&"))
    if "-" in core and any((p.isupper() and len(p) > 1) or p in v.NAMES for p in core.split("-")):
        return " ".join(_core(p, _Context("", "", context.british, context.shouting))[0] for p in core.split("-") if p)
    return core


def _plain_part(part: str) -> str:
    if part.isascii() and part.isdigit():
        return _year(part) if len(part) == 4 else numbers.number(part)
    return _acronym(part, "", _Context("", "", False, False)) if _ACRONYM.match(part) else part


def _model_number(text: str) -> str:
    """380 is three eighty, 16 sixteen, 747 seven forty-seven; 2026 is a year."""
    if _YEAR.match(text):
        return numbers.year(int(text))
    if len(text) == 3 and text[0] != "0" and text[1:] != "00":
        rest = f"oh {numbers.cardinal(int(text[2]))}" if text[1] == "0" else numbers.cardinal(int(text[1:]))
        return f"{numbers.cardinal(int(text[0]))} {rest}"
    return numbers.number(text)


def _acronym(letters: str, ending: str, context: _Context) -> str:
    """Capitals: a word if known as one or if four and more can be said as one, else letters."""
    shown = letters + ending
    if shown in v.NAMES or letters in v.NAMES:
        return v.NAMES.get(shown) or v.NAMES[letters] + ending
    if letters in v.SAID_AS_WORDS:
        return letters.capitalize() + ending
    if letters in v.SHOUTED or (context.shouting and letters not in v.SAID_AS_LETTERS):
        return letters.lower() + ending
    if letters in v.SAID_AS_LETTERS or len(letters) < 4 or not _sayable(letters):
        return _letters(letters) + ("'s" if ending else "")
    return letters.capitalize() + ending


def _sayable(letters: str) -> bool:
    pattern = "".join("v" if c in "AEIOUY" else "c" for c in letters)
    return "v" in pattern and "ccc" not in pattern and "vvv" not in pattern


def _letters(letters: str) -> str:
    # a lone "A" would be read as the article
    return " ".join("Eigh" if c == "A" else c for c in letters)


def _address(core: str) -> str:
    try:
        host = urlsplit(core if "//" in core else f"//{core}").hostname or "link"
    except ValueError:
        host = "link"
    return host.removeprefix("www.").replace(".", " dot ")
