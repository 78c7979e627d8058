"""Numbers as English words, American style: no "and" inside, hyphens in tens, digits after the point one by one."""

from __future__ import annotations

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
# Above this many digits nobody says a number; its digits are read.
_MOST_DIGITS = 18
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50}


def cardinal(number: int) -> str:
    """A whole number in words; from 10^18 on its digits."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if len(str(number)) > _MOST_DIGITS:
        return digits(str(number))
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")
    if number < 1_000:
        rest = number % 100
        return f"{_ONES[number // 100]} hundred" + (f" {cardinal(rest)}" if rest else "")
    groups = []
    for scale in _SCALES:
        if number == 0:
            break
        number, group = divmod(number, 1_000)
        if group:
            groups.append(f"{cardinal(group)} {scale}".strip())
    return " ".join(reversed(groups))


def ordinal(number: int) -> str:
    """The place of a whole number ≥ 0: first, twenty-first, two hundredth."""
    words = cardinal(number)
    for gap in ("-", " "):
        head, found, last = words.rpartition(gap)
        if found and (gap == "-" or "-" not in words.rpartition(" ")[2]):
            return head + found + _place(last)
    return _place(words)


def _place(word: str) -> str:
    if word in _ORDINALS:
        return _ORDINALS[word]
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"


def digits(text: str) -> str:
    """Each digit by itself; "0" is "zero"."""
    return " ".join(_ONES[int(c)] for c in text if c in "0123456789")


def number(text: str) -> str:
    """A number as it is written: `1,250`, `4.20`, `.5`, `007`, `-3`. Thousands are marked by commas."""
    sign = "minus " if text[:1] in "-−–" else ""
    plain = text.lstrip("+-−–").replace(",", "")
    whole, point, part = plain.partition(".")
    if len(whole) > 1 and whole.startswith("0"):
        said = digits(whole)
    else:
        said = cardinal(int(whole or "0")) if len(whole) <= _MOST_DIGITS else digits(whole)
    return sign + said + (f" point {digits(part)}" if point and part else "")


def year(value: int) -> str:
    """A year 1100–2099: nineteen oh five, nineteen hundred, two thousand eight, twenty twenty-six."""
    century, rest = divmod(value, 100)
    if 2000 <= value <= 2009 or value % 1000 == 0:
        return cardinal(value)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} oh {cardinal(rest)}" if rest < 10 else f"{cardinal(century)} {cardinal(rest)}"


def decade(value: int) -> str:
    """A decade by its first year: nineteen nineties, two thousands, twenty tens."""
    century, rest = divmod(value, 100)
    if rest == 0:
        return "two thousands" if value == 2000 else f"{cardinal(century)} hundreds"
    return f"{cardinal(century)} {tens(rest)}"


def tens(value: int) -> str:
    """Ten to ninety in the plural: tens, twenties."""
    words = cardinal(value)
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def fraction(above: int, below: int) -> str:
    """A vulgar fraction: one half, three quarters, five sixteenths; what is no part of a whole is "over"."""
    if below in (0, 1) or below > 100 or above > 100:
        return f"{cardinal(above)} over {cardinal(below)}"
    name = {2: "half", 4: "quarter"}.get(below) or ordinal(below)
    if above != 1:
        name = "halves" if name == "half" else f"{name}s"
    return f"{cardinal(above)} {name}"


def roman(text: str) -> int | None:
    """The value of a Roman numeral of I, V, X, L (1–89) in its usual form, else None."""
    if not text or any(c not in _ROMAN for c in text):
        return None
    values = [_ROMAN[c] for c in text]
    total = sum(-v if any(w > v for w in values[i + 1 : i + 2]) else v for i, v in enumerate(values))
    return total if 0 < total < 90 and _as_roman(total) == text else None


def _as_roman(value: int) -> str:
    out = ""
    for size, sign in ((50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        while value >= size:
            out, value = out + sign, value - size
    return out
