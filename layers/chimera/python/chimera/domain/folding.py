"""Undoes the tricks that hide words from a reader of text: invisible characters, look-alikes, digits for
letters.
"""

from __future__ import annotations

import re
import unicodedata

# Cyrillic and Greek letters that look like Latin ones; mapped only inside tokens that mix scripts.
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁɡһӏкмтвнАЕОРСУХІЈЅКМТВНαοορντικυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdghlkmtbhAEOPCYXIJSKMTBHaoopvtikuABEZHIKMNOPTYX",
)
_LEET = str.maketrans("013457@$!|+", "oieastasilt")
_TOKEN = re.compile(r"\S+")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .*_-]){3,}[^\W\d_](?![^\W_])")
_TAGS = range(0xE0020, 0xE007F)  # Unicode tag characters spell ASCII invisibly
_LATIN = re.compile(r"[A-Za-z]")
_OTHER_LOOKALIKE = re.compile(r"[\u0370-\u03ff\u0400-\u04ff\u0500-\u052f\u0261]")


def hidden_characters(text: str) -> int:
    """How many invisible characters stand inside the text (joiners between emoji and in Arabic or Indic words
    do not count).
    """
    count = 0
    for index, char in enumerate(text):
        code = ord(char)
        if (
            0xE0000 <= code <= 0xE0FFF
            or char in "\u200b\u2060\u2061\u2062\u2063\u2064\u00ad\u180e"
            or (
                char in "\u200c\u200d\ufeff"
                and 0 < index < len(text) - 1
                and text[index - 1].isascii()
                and text[index + 1].isascii()
            )
            or char in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"
        ):
            count += 1
    return count


def tag_message(text: str) -> str:
    """What the invisible tag characters (U+E0020–E007E) of a text spell in ASCII."""
    return "".join(chr(ord(c) - 0xE0000) for c in text if ord(c) in _TAGS)


def visible(text: str) -> str:
    """The text as a reader takes it: NFKC, without invisible characters, look-alikes in mixed words made
    Latin.
    """
    text = unicodedata.normalize("NFKC", text)
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in {"Cf", "Cc", "Cs", "Co", "Cn"})
    return _TOKEN.sub(_latin, text) if _OTHER_LOOKALIKE.search(text) else text


def _latin(match: re.Match[str]) -> str:
    token = match.group()
    return token.translate(_LOOKALIKES) if _LATIN.search(token) and _OTHER_LOOKALIKE.search(token) else token


def fold(text: str) -> str:
    """`visible`, lower case, accents off, letters set apart (`k i l l`) joined; digits stay digits."""
    text = unicodedata.normalize("NFKD", visible(text).casefold())
    text = "".join(c for c in text if not unicodedata.combining(c)).replace("’", "'").replace("‘", "'")
    return _SPACED.sub(lambda m: re.sub(r"[ .*_-]", "", m.group()), text)


def unleet(folded: str) -> str:
    """Text with digits and signs inside words read as letters (`k1ll` → `kill`); plain numbers stay."""
    return _TOKEN.sub(_unleet_token, folded)


def _unleet_token(match: re.Match[str]) -> str:
    token = match.group()
    core = token.strip(".,;:!?\"'()")
    letters = sum(c.isalpha() for c in core)
    if letters == 0 or letters == len(core) or letters * 2 < len(core):
        return token
    return token.replace(core, core.translate(_LEET))


def sentences(text: str) -> list[str]:
    """Sentences of plain text: split at line ends and at . ! ? before a capital, not after abbreviations or
    initials.
    """
    found: list[str] = []
    for line in text.splitlines():
        start = 0
        for match in _END.finditer(line):
            before = line[start : match.start() + 1]
            last = before.rsplit(None, 1)[-1] if before.split() else ""
            if match.group(1) == "." and _is_abbreviation(last.strip("\"'“”‘’()[]")):
                continue
            found.append(line[start : match.end(2)].strip())
            start = match.end()
        found.append(line[start:].strip())
    return [s for s in found if s]


_END = re.compile(r"([.!?…。！？])([\"'”’)\]]*)(?:\s+(?=[\"'“‘(\[]?[A-Z0-9À-ÞА-ЯΑ-Ω¿¡\u0590-\uffdc])|(?<=[。！？]))")
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        "mr mrs ms dr prof sen rep gov gen col lt sgt capt st jr sr vs inc ltd corp co no nos vol fig al etc "
        "eg ie e.g i.e"
        " u.s u.k u.n e.u a.m p.m d.c approx est dept jan feb mar apr jun jul aug sep sept oct nov dec mt "
        "ft rev hon",
    )
)


def _is_abbreviation(word: str) -> bool:
    bare = word.rstrip(".").lower()
    return bare in _ABBREVIATIONS or bool(re.fullmatch(r"(?:[A-Za-z]\.)*[A-Z]", word.rstrip(".")))
