"""Makes short lines: what stands on a card, what a picture shows, tags; all from the words of a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable

from chimera.media.text import clean, without_emoji

CARD_LIMIT = 60
_QUALIFIER = re.compile(
    r"\b(?:not|no|never|if|unless|except|without|only|but|although|though|however|despite|den(?:y|ied"
    r"|ies)|alleged\w*|until|than|reportedly|may|might|could|falsely|wrongly|rumou?r\w*)\b|n't\b",
    re.I,
)
# Where a line may end: before these, what stands so far is mostly whole. First choice, then second.
_BREAKS = (
    re.compile(r"\s*[;:—–]\s+|,\s+|\s+[-|]\s+"),
    re.compile(
        r"\s+(?=(?:that|which|who|where|while|after|before|because|when|as|and|amid|following|during"
        r"|since|although|so)\b)"
    ),
    re.compile(r"\s+(?=(?:in|on|at|with|for|from|by|over|into|across|under|against|through|via|around|about|to)\b)"),
)
_BAD_END = frozenset(re.findall(
    r"\w+",
    "a an the of in on at to for with by from and or but as is are was were be been being has have had "
    "will would can could may"
    " might must shall should that which who this these those its his her their our my your it he she "
    "they we i not no more most"
    " very than said says told added based due according depends known called named born such also so if "
    "when while after before"
    " into over under about between some any each every both one two three new first last other another "
    "like many much few"
    " including make makes made put puts set get gets got use uses used let lets want wants need needs "
    "tries trying going able"
    " runs ran showed shows rests lies lay stands stood consists comes came goes went leads led turns "
    "turned travels"
    " moves him them what how why where there here us me myself itself themselves"
    " expected likely set seen found left kept responsible located used designed intended supposed "
    "allowed able ready",
))  # fmt: skip
_SMALL = frozenset(re.findall(r"\w+", "a an the of in on at to for with by from and or but as is"))
_FIGURE = re.compile(
    r"(?P<cur>[$€£¥])?(?P<num>\d[\d,]*(?:\.\d+)?)"
    r"(?:\s?(?P<scale>million|billion|trillion|thousand|percent|per cent|%|[kmb](?![a-z])))?",
    re.I,
)


def headline_of(text: str, limit: int = CARD_LIMIT) -> str:
    """The sentence's beginning as a whole line of at most `limit` characters; "" where none can be made
    without cutting a word, ending on a preposition, or losing what qualifies the statement.
    """
    line = without_emoji(clean(text)).strip().rstrip(".!…,;: ")
    line = re.sub(r"\s*(?:…|\.{3})\s*", " – ", line)
    if len(line) <= limit:
        return line
    for pattern in _BREAKS:
        candidates = []
        for match in pattern.finditer(line):
            head, tail = line[: match.start()].strip(), line[match.end() :]
            least = 4 if pattern is _BREAKS[2] else 3
            if (
                16 <= len(head) <= limit
                and len(head.split()) >= least
                and _ends_well(head)
                and not _QUALIFIER.search(tail)
            ):
                within_name = pattern is _BREAKS[2] and _splits_name(head, tail)
                candidates += [] if within_name else [head]
        if candidates:
            return max(candidates, key=len).rstrip(" ,;:")
    return ""


def _splits_name(head: str, tail: str) -> bool:
    """Whether a preposition joins two capitalised words (`Stairway to Heaven`)."""
    after = tail.split()[1:2]
    return head.split()[-1][:1].isupper() and bool(after) and after[0][:1].isupper()


def short_line(text: str, limit: int = CARD_LIMIT) -> str:
    """A line for a card from a text that may be too long: its beginning if that is whole, else its names,
    else as many words as fit and may stand at an end.
    """
    line = headline_of(text, limit)
    if line:
        return line
    named = " · ".join(names_of(text)[:2])
    if " · " in named and len(named) <= limit:
        return named
    words = text[: limit + 1].split(" ")
    if len(text) > limit:
        words = words[:-1] or [text[:limit]]
    # A number at the cut may have lost what it counts (`$7 | billion`).
    while len(words) > 1 and (
        words[-1].strip(",;:.–—-").casefold() in _BAD_END | {""}
        or (len(text) > limit and any(c.isdigit() for c in words[-1]))
    ):
        words.pop()
    return " ".join(words).rstrip(" ,;:-–—")


def _ends_well(head: str) -> bool:
    last = re.findall(r"[\w'’-]+", head)
    if not last or last[-1].casefold() in _BAD_END:
        return False
    first = last[0].casefold()
    opens_with_year = first == "in" and last[1:2] and last[1].isdigit() and len(last) >= 6
    if not opens_with_year and first in {
        "when",
        "as",
        "while",
        "after",
        "before",
        "if",
        "although",
        "since",
        "because",
        "with",
        "despite",
        "at",
        "once",
        "in",
        "by",
        "for",
    }:
        return False
    if first.endswith("ing") and (last[1].casefold() in _BAD_END or last[1][0].isupper()):
        return False  # a participle that waits for its sentence
    balanced = head.count("(") == head.count(")") and head.count('"') % 2 == 0 and head.count("“") == head.count("”")
    return balanced and not re.search(r"\b(?:and|or|of|the|a|an)\s+\w+$", head[-12:] if head.count(",") else "")


def figure_of(text: str) -> str:
    """The figure of a sentence with what it counts (`4,000 databases`, `$2.4 billion`); "" if there is none
    worth a card.
    """
    for match in _FIGURE.finditer(text):
        number = match.group("num")
        plain = number.replace(",", "")
        before = text[max(0, match.start() - 1) : match.start()]
        if (
            before.isalnum()
            or before in {"-", "–", ".", "/"}
            or (match.end() < len(text) and text[match.end()] in "-–/:")
        ):
            continue
        scale, currency = match.group("scale") or "", match.group("cur") or ""
        if re.fullmatch(r"(?:1[5-9]|20)\d\d", plain) and not scale and not currency:
            continue  # a year
        shown = f"{currency}{number}" + (
            "" if not scale else "%" if scale.startswith(("%", "per")) else f" {scale}" if len(scale) > 1 else scale
        )
        following = re.match(r"\s+((?:[A-Za-z][\w'’-]*)(?:\s+[A-Za-z][\w'’-]*)?)", text[match.end() :])
        noun = ""
        if following and not currency:
            words = following.group(1).split()
            if words[0].casefold() not in _BAD_END and not words[0][0].isupper():
                keep = (
                    words
                    if len(words) > 1 and words[1].casefold() not in _BAD_END and words[1].endswith("s")
                    else words[:1]
                )
                noun = " ".join(keep)
        if not (noun or scale or currency) or (noun and _is_dull(noun.split()[-1])):
            continue
        if noun and re.search(r"[A-Z][\w'’-]*\s$", text[: match.start()]):
            continue  # Voyager 1: the number belongs to a name
        line = f"{shown} {noun}".strip()
        if len(line) <= 40:
            return line
    return ""


_NAME = re.compile(
    r"\b[A-Z][\w'’&.-]*[\w](?:\s+(?:of|the|and|de|van|von)\s+[A-Z][\w'’-]+|\s+(?:[A-Z][\w'’&-]*|\d+(?:[.,]\d+)*(?![.,]?\w)))*"
)
_COMMON = re.compile(r"\b[a-z][a-z-]{4,}\b")
# What stands between an article, preposition or number and the next small word is mostly a thing.
_THING = re.compile(
    r"\b(?:the|an?|its|their|his|her|of|in|on|by|with|for|from|at|into|under|over|\d[\d,.]*)\s+"
    r"([a-z][a-z-]{2,}(?:\s+[a-z][a-z-]{2,})?(?:\s+of\s+[a-z][a-z-]{3,})?)"
    r"(?=[,.;:!?]|$|\s+(?:of|in|on|by|with|for|from|at|to|and|or|that|which|who|is|are|was|were|has|have"
    r"|had|will|can"
    r"|could|would|as|between|into|when|while|after|before|than)\b)"
)
_NOUN = re.compile(
    r"(?:tion|sion|ment|ness|ity|ism|ship|ure|ance|ence|age|base|ware|logy|graphy|phone|house|work"
    r"|line|ics)s?$"
)
_DULL = frozenset(re.findall(
    r"\w+",
    "about after again almost along already although always among another around because become before "
    "behind being below between"
    " called could during either every first found having headline however including known later least "
    "making might never number"
    " often other others people points place point quite rather really reported right several should "
    "since something source still"
    " story their there these thing things those though three through today together under until using "
    "which while whole whose"
    " within without would years month months weeks where said says comments views likes shares searches "
    "simply named make"
    " them him himself itself themselves each every percent per cent minutes minute hours hour days "
    "seconds instead seventy sixty fifty twenty thirty "
    "million billion loose away ago"
    " current currently recent recently different important large small great major early across toward "
    "towards above based",
))  # fmt: skip


def pictures_of(text: str, limit: int = 3) -> list[str]:
    """Concrete things that a sentence names: names first, then what stands where things stand."""
    found: dict[str, str] = {}
    things = things_of(text) or [m.group() for m in _COMMON.finditer(text) if not _is_dull(m.group())]
    names = names_of(text)
    for thing in [*names[:2], *things, *names[2:]]:
        if not any(thing.casefold() in known or known in thing.casefold() for known in found):
            found.setdefault(thing.casefold(), thing)
    return list(found.values())[:limit]


def names_of(text: str) -> list[str]:
    """Capitalised words inside a sentence, runs of them as one; a lone first word is no name as far as we
    know.
    """
    found = [
        m.group().removesuffix("'s").removesuffix("’s")
        for m in _NAME.finditer(text)
        if m.start() > 0 or " " in m.group()
    ]
    starters = "The|A|An|In|On|At|But|And|For|Why|How|What|When|Where|Who|With|By|Its|Their"
    months = "January|February|March|April|May|June|July|August|September|October|November|December"
    leading = rf"^(?:{starters})\s+(?=[A-Z0-9])"
    dated = rf"^(?:(?:{months})\s+)?"
    names = [re.sub(dated + r"(?:1[5-9]|20)\d\ds?\s+(?=[A-Z])", "", re.sub(leading, "", n)) for n in found]
    return [n for n in dict.fromkeys(names) if n.casefold() not in _BAD_END and len(n) > 2 and not n[0].isdigit()]


def things_of(text: str) -> list[str]:
    """Phrases of one or two common words that stand where a thing stands, and words that end as nouns do."""
    found = [m.group(1) for m in _THING.finditer(text)]
    found = [_whole(phrase) for phrase in found]
    found += [m.group() for m in _COMMON.finditer(text) if _NOUN.search(m.group())]
    return [t for t in dict.fromkeys(found) if t and not _is_dull(t.split()[-1])]


def _whole(phrase: str) -> str:
    phrase, of, tail = phrase.partition(" of ")
    if of and not _is_dull(tail) and (kept := _whole(phrase)):
        return f"{kept} of {tail}"
    words = [w for w in phrase.split() if w not in _SMALL and w not in _BAD_END]
    while words and _is_dull(words[-1]):
        words.pop()
    while words and _is_dull(words[0]):
        words.pop(0)
    return " ".join(words)


def _is_dull(word: str) -> bool:
    return word in _DULL or word in _BAD_END or word.endswith(("ing", "ed", "ly", "ous", "ive", "ful", "able", "ible"))


def listing(items: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    parts = list(items)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def hashtag(text: str) -> str:
    """`machine learning` → `#MachineLearning`; "" for what makes no tag of 3–30 characters."""
    parts = re.findall(r"[^\W_]+", text)
    joined = "".join(p if any(c.isupper() for c in p[1:]) else p.capitalize() for p in parts)
    return f"#{joined}" if 3 <= len(joined) <= 30 and not joined.isdigit() else ""
