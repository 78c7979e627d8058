"""Finds structured personal data in text: addresses, numbers and codes that belong to one person.

Names alone are no finding: news is about people. Every kind that has a checksum is checked (Luhn, IBAN mod
97).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "IBAN_CODE",
    "US_SSN",
    "IP_ADDRESS",
    "US_DRIVER_LICENSE",
    "SECRET",
]


@dataclass(frozen=True)
class PersonalData:
    """One finding: characters `start`–`end` of the text, and how sure 0–1."""

    kind: Kind
    start: int
    end: int
    score: float


_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9._%+-]{1,64}\s?(?:@|\(at\)|\[at\])\s?[A-Za-z0-9-]{1,63}(?:(?:\.|\[dot\]"
    r"|\(dot\))[A-Za-z0-9-]{1,63}){1,5}"
)
_CARD = re.compile(r"(?<![\w.,-])(?:\d[ -]?){11,18}\d(?![\w-]|[.,]\d)")
_CARD_WORDS = re.compile(r"\b(?:card|visa|mastercard|amex|maestro)\b", re.I)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_SSN = re.compile(r"(?<![\w-])(?!000|666)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_SSN_WORDS = re.compile(
    r"\b(?:ssn|social security)\D{0,40}((?!000|666)\d{3}[- ]?(?!00)\d{2}[- ]?(?!0000)\d{4})(?!\d)", re.I
)
_LICENCE = re.compile(
    r"\bdriver'?s?'? licen[cs]e\b[^.\n]{0,25}?\b((?=[A-Z0-9-]*\d{3})[A-Z]{0,2}[A-Z0-9-]{5,18})\b", re.I
)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|:)(?![\w:])"
    r"|(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}(?![\w:])"
)
_SECRET = re.compile(
    r"\b(?:sk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}"
    r"|xox[baprs]-[A-Za-z0-9-]{10,}"
    r"|AIza[0-9A-Za-z_-]{35}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# Digits in groups as telephone numbers are written; what follows decides with the context.
_PHONE = re.compile(
    r"(?<![\w.,/$€£#%:=-])(?:\+|00)?\(?\d{1,5}\)?(?:[ .\-/]{0,2}\(?\d{1,5}\)?){1,6}(?:\s?(?:x"
    r"|ext\.?)\s?\d{1,5})?(?![\w%]|[.,:/-]\d)"
)
_PHONE_WORDS = re.compile(
    r"\b(?:phone|tel|telephone|call(?:s|ed|ing)?|mobile|cell|fax|text|whatsapp|sms|dial|hotline|number"
    r"|ring|reach|answering|contact|office|signal)\b"
    r"\W*(?:\w+\W+){0,4}$",
    re.I,
)
_PHONE_AFTER = re.compile(r"^\W{0,3}(?:office|fax|mobile|cell|home|work|phone|tel)\b", re.I)
_NOT_PHONE_BEFORE = re.compile(
    r"(?:[$€£¥]|\b(?:usd|eur|version|v|isbn|issn|doi|order|invoice|case|no|page|pp|vol|zip|since|between"
    r"|from|in|room|flight|score|season|(?:card|account|license|order)(?: number| no)?)\.?)\s*[:#]?\s*$",
    re.I,
)
_DATE = re.compile(
    r"(?:19|20)\d\d[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)?\d\d|(?:19"
    r"|20)\d\d\s?[-–/]\s?(?:19|20)?\d\d"
)
_URL = re.compile(r"\bhttps?://\S+|\bwww\.\S+", re.I)


def find(text: str) -> list[PersonalData]:
    """Findings in the order of the text, none overlapping another. Public web addresses are not findings."""
    taken: list[PersonalData] = []
    masked = list(text)

    def take(kind: Kind, start: int, end: int, score: float) -> None:
        if any(start < t.end and t.start < end for t in taken):
            return
        taken.append(PersonalData(kind, start, end, score))
        masked[start:end] = "\x00" * (end - start)

    for match in _SECRET.finditer(text):
        take("SECRET", *match.span(), 1.0)
    for match in _EMAIL.finditer(text):
        take("EMAIL_ADDRESS", *match.span(), 0.99)
    for match in _URL.finditer(text):  # digits in an address are not a telephone
        masked[match.start() : match.end()] = "\x00" * (match.end() - match.start())
    plain = "".join(masked)
    for match in _IBAN.finditer(plain):
        length = _iban_length(match.group())
        if length:
            take("IBAN_CODE", match.start(), match.start() + length, 0.99)
    for match in _CARD.finditer(plain):
        digits = re.sub(r"\D", "", match.group())
        named = _CARD_WORDS.search(plain[max(0, match.start() - 40) : match.start()])
        issuer = digits[0] in "23456" or digits.startswith("1800")
        if len(digits) >= (12 if named else 13) and issuer and len(set(digits)) > 1 and luhn(digits):
            take("CREDIT_CARD", *match.span(), 0.95)
    for match in _SSN.finditer(plain):
        take("US_SSN", *match.span(), 0.9)
    for match in _SSN_WORDS.finditer(plain):
        take("US_SSN", *match.span(1), 0.9)
    for match in _LICENCE.finditer(plain):
        take("US_DRIVER_LICENSE", *match.span(1), 0.8)
    for match in (*_IPV4.finditer(plain), *_IPV6.finditer(plain)):
        if _is_host(match.group()):
            take("IP_ADDRESS", *match.span(), 0.85)
    plain = "".join(masked)
    for match in _PHONE.finditer(plain):
        score = _phone_score(plain, match)
        if score:
            take("PHONE_NUMBER", *match.span(), score)
    return sorted(taken, key=lambda f: f.start)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 check digit."""
    total = 0
    for index, char in enumerate(reversed(digits)):
        value = int(char) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _iban_length(text: str) -> int:
    """Length of the longest prefix, at a group's end, that passes ISO 13616 mod 97; 0 if none does."""
    for end in range(len(text), 14, -1):
        code = text[:end].replace(" ", "")
        if not 15 <= len(code) <= 34 or text[end - 1] == " ":
            continue
        if int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1:
            return end
    return 0


def _is_host(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # Loopback, documentation and everybody's name servers identify nobody.
    known = {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"}
    if address.is_loopback or address.is_unspecified or str(address) in known:
        return False
    return not str(address).startswith(("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8"))


def _phone_score(text: str, match: re.Match[str]) -> float:
    number = match.group()
    digits = re.sub(r"\D", "", number)
    before, after = text[max(0, match.start() - 60) : match.start()], text[match.end() : match.end() + 20]
    if not 6 <= len(digits) <= 15 or _DATE.fullmatch(number.strip()) or len(set(digits)) < 3:
        return 0.0
    if number.startswith(("+", "00")) and len(digits) >= 8:
        return 0.95
    cue = bool(_PHONE_WORDS.search(before) or _PHONE_AFTER.search(after))
    if _NOT_PHONE_BEFORE.search(before) and not cue:
        return 0.0
    groups = re.findall(r"\d+", number)
    if re.fullmatch(r"\(?[2-9]\d\d\)?[ .-]{0,2}\d{3}[ .-]\d{4}(?:\s?(?:x|ext\.?)\s?\d+)?", number):
        return 0.9
    if cue and (len(groups) > 1 or len(digits) >= 7):
        return 0.8
    parenthesised = "(" in number and ")" in number and len(digits) >= 8
    if parenthesised:
        return 0.75
    # Three or more short groups with one separator, ten digits or so: a telephone, unless it is a list of
    # numbers.
    separators = set(re.findall(r"[ .\-/]+", number))
    if re.fullmatch(r"\d{1,3}(?:[ .]\d{3})+", number):
        return 0.0  # thousands
    if len(groups) >= 3 and len(separators) == 1 and 8 <= len(digits) <= 12 and min(map(len, groups)) >= 2:
        return 0.6
    return 0.0
