"""Whether what a script says stands in its material: a lexical measure, sentence by sentence.

For each sentence the facts are taken out: numbers, names (capitalised words inside a sentence), quotations.
They are looked for in every window of three consecutive sentences of one text of the material; the trend's
title, the names of its platforms and sites, and its measured figures count in every window.

- support of the facts: share of the sentence's names in the window; 0 if any number or quotation is missing
- support of the words: share of the sentence's own content words (stemmed, without neutral ones) in the
  window,
  divided by 0.6 (a paraphrase keeps about that many), at most 1
- score = the smaller of both, best window; halved where the closest sentence of the material is a negation
  and this
  one is not, or the other way round

A sentence without facts is the writer's own (a greeting, a transition) and passes, unless three or more of
its content words are neither neutral nor in the material and less than a third of them are: then it claims
something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chimera.domain.folding import sentences, visible
from chimera.domain.models import Material
from chimera.domain.naming import platform_label, site_label

THRESHOLD = 0.7
_SCALE = {"k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9}
_SCALE |= {"trillion": 1e12, "tn": 1e12, "t": 1e12, "hundred": 1e2}
_NUMBER = re.compile(
    r"(?<![\w.])[$€£¥]?(\d[\d,]*(?:\.\d+)?)\s?(k|thousand|mn?|million|bn?|billion|tn?|trillion"
    r"|hundred)?(?![a-z])",
    re.I,
)
_ABOUT = re.compile(
    r"\b(?:about|around|nearly|almost|roughly|some|approximately|more than|over|close to)\s+[$€£¥]?$", re.I
)
_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*[\w])?")
_QUOTE = re.compile(r"[\"“«]([^\"”»]{8,400})[\"”»]")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|neither|nor|without|cannot|denie[sd]|deny|refuse[sd]?)\b|n't\b", re.I
)

_STOP_TEXT = """
a an the and or but nor so yet for of in on at to from by with about into over under after before between
through during above below up down out off again further then once here there when where why how all any
both each few more most other some such only own same than too very can will just should now is are was were
be been being am have has had having do does did doing would could may might must shall this that these
those it its he him his she her hers they them their theirs we us our ours you your yours i me my mine who
whom whose which what as if because while until against also not no still even
"""
# What a presenter says around the facts; none of it can make a claim about the world by itself.
_NEUTRAL_TEXT = """
story stories headline headlines line topic topics news detail details fact facts point points number
numbers figure figures source sources link links page pages site report reports reported reporting report
writes says say said told tell read reads reading look looks looking watch see seen seeing show shows
showing know knows known knowing think thing things people reader readers viewers everyone anyone somebody
someone today right now moment week day time far first second next last later soon one two three start
starts begin beginning end ends keep keeps mind make makes come comes coming goes going go get gets take
takes give gives leave leaves stay stays share shares sharing shared comment comments like likes view views
viewed search searches count counts counted counting scale speed pace rising rise rises climbing climb trend
trends trending attention interest interested curious question questions answer answers matter matters
original full whole part short long quick brief close closer closely worth yourself own check checked
checking check guess guessing add added adding confirm confirmed behind context background exactly simply
plain plainly clear clearly honest honestly really actually maybe perhaps much many lot lots little bit
piece pieces picture word words sentence sentences way ways reason reasons everything something nothing more
most less least good better best great new fresh open move moves moving change changes quickly fast faster
slow slowly measure measured measures data date dated scan scanned found find finds platform platforms place
places feed feeds stands stand standing puts put rate rates rated zero ten out along back around across
together same different thanks thank hello welcome follow bye let's let lets that's here's it's what's
there's don't doesn't isn't we're you're won't can't we'll true false real sure certain yet ever always
often remember note notice pause step move carry bring turn turns happen okay bundled sample material studio
our twice made english address came care treat topic author puts name lead truth proof soon calm quiet pace
core basics version step rather stop stops climbs minutes happens happened happening want wants need needs
use uses using used save simple short minute minutes seconds
"""


def _stem(word: str) -> str:
    word = word.casefold().replace("’", "'").removesuffix("'s").strip("'")
    for ending in (
        "ations",
        "ation",
        "ingly",
        "edly",
        "ings",
        "ing",
        "ies",
        "ied",
        "ers",
        "er",
        "est",
        "ed",
        "es",
        "ly",
        "s",
        "e",
    ):
        if len(word) - len(ending) >= 4 and word.endswith(ending):
            return word[: -len(ending)]
    return word


_IGNORED = frozenset(_stem(w) for w in (_STOP_TEXT + _NEUTRAL_TEXT).split())


@dataclass(frozen=True)
class Claim:
    """One sentence and how well the material supports it, 0–1; `reason` says what is missing."""

    sentence: str
    score: float
    reason: str = ""

    @property
    def is_supported(self) -> bool:
        """Whether the score reaches 0.7."""
        return self.score >= THRESHOLD


@dataclass
class _Window:
    words: set[str]
    numbers: list[float]
    text: str


@dataclass
class Ground:
    """The material, prepared for being looked up."""

    windows: list[_Window] = field(default_factory=list)
    everywhere: set[str] = field(default_factory=set)
    figures: list[float] = field(default_factory=list)
    lines: list[tuple[set[str], bool]] = field(default_factory=list)
    all_text: str = ""


def ground(material: Material, extra_names: Iterable[str] = ()) -> Ground:
    """Prepare a material: its texts in windows, its names and measured figures for every window."""
    trend = material.trend
    metrics = trend.engagement_metrics
    counted = (
        metrics.views,
        metrics.likes,
        metrics.comments,
        metrics.shares,
        trend.volume,
        trend.rising_velocity,
    )
    figures = [float(n) for n in counted if n is not None]
    figures += [
        float(v) for v in trend.metadata.extra.values() if isinstance(v, int | float) and not isinstance(v, bool)
    ]
    figures += [float(trend.timestamp.year), float(trend.timestamp.day), float(len(trend.platforms))]
    names = [
        trend.title,
        trend.topic,
        " ".join(trend.tags),
        material.profile.name,
        f"{trend.timestamp:%B %A}",
        *extra_names,
    ]
    names += [platform_label(p) for p in trend.platforms]
    addresses = [trend.url, *trend.metadata.top_posts, *(s.url for s in material.snippets)]
    names += [label for a in addresses if (label := site_label(a))] + [s.title for s in material.snippets]
    texts = [trend.title, trend.description, *_strings(trend.metadata.extra)]
    texts += [f"{s.title}\n{s.text}" for s in material.snippets]
    found = Ground(figures=figures, everywhere={_stem(w) for n in names for w in _WORD.findall(visible(n))})
    found.figures += [n for name in (trend.title, trend.topic) for n, _ in _numbers(visible(name))]
    for text in texts:
        split = sentences(visible(text[:100_000]))
        for index, line in enumerate(split):
            joined = " ".join(split[index : index + 3])
            stems = {_stem(w) for w in _WORD.findall(joined)}
            found.windows.append(_Window(stems, [n for n, _ in _numbers(joined)], joined))
            own = {_stem(w) for w in _WORD.findall(line)}
            found.lines.append((own - _IGNORED, bool(_NEGATION.search(line))))
    found.all_text = _plain(" ".join([*texts, *names]))
    if not found.windows:
        found.windows.append(_Window(set(), [], ""))
    return found


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for v in value.values() for s in _strings(v)]
    if isinstance(value, list):
        return [s for v in value for s in _strings(v)]
    return []


def assess(script: str, basis: Ground) -> list[Claim]:
    """Every sentence of a script with its support."""
    return [_assess(sentence, basis) for sentence in sentences(visible(script))]


def unsupported_numbers(text: str, basis: Ground) -> list[str]:
    """Numbers of a short text (a title, a card) that stand nowhere in the material."""
    known = [*basis.figures, *(n for w in basis.windows for n in w.numbers)]
    return [f"{n:g}" for n, about in _numbers(visible(text)) if not _has(known, n, about)]


def _assess(sentence: str, basis: Ground) -> Claim:
    numbers = _numbers(sentence)
    quotes = [q for q in _QUOTE.findall(sentence) if len(q.split()) >= 3]
    names = _names(sentence)
    own = {s for w in _WORD.findall(sentence) if len(w) > 2 and (s := _stem(w)) not in _IGNORED}
    if not numbers and not quotes and not names:
        everything = basis.everywhere.union(*(w.words for w in basis.windows))
        share = len(own & everything) / len(own) if own else 1.0
        if len(own - everything) >= 3 and share < 1 / 3:
            return Claim(sentence, round(share, 4), f"says what the material does not: {', '.join(sorted(own)[:5])}")
        return Claim(sentence, 1.0)
    for quote in quotes:
        if _plain(quote) not in basis.all_text:
            return Claim(sentence, 0.0, f"quotation not in the material: {quote[:60]!r}")
    best, reason = 0.0, "nothing in the material speaks of it"
    for window in basis.windows:
        missing = [n for n, about in numbers if not _has([*window.numbers, *basis.figures], n, about)]
        words = window.words | basis.everywhere
        unknown = [n for n in names if _stem(n) not in words]
        facts = 0.0 if missing else 1 - len(unknown) / max(1, len(names))
        cover = min(1.0, len(own & words) / len(own) / 0.6) if own else 1.0
        score = min(facts, cover)
        if score > best:
            best, reason = score, ""
            if score < THRESHOLD:
                lacking = [*unknown, *sorted(own - words)]
                reason = f"not in the material: {', '.join(lacking[:5])}"
        elif best == 0.0 and missing:
            reason = f"number not in the material: {', '.join(f'{n:g}' for n in missing[:3])}"
        if best >= 1.0:
            break
    if best >= THRESHOLD and _is_turned_round(own, sentence, basis.lines):
        return Claim(sentence, round(best / 2, 4), "the material says the opposite")
    return Claim(sentence, round(best, 4), reason)


def _is_turned_round(own: set[str], sentence: str, lines: Sequence[tuple[set[str], bool]]) -> bool:
    """Whether the sentence that shares nearly all its words differs in being a negation."""
    if len(own) < 3:
        return False
    negative = bool(_NEGATION.search(sentence))
    near = [(len(own & words) / len(own | words), n) for words, n in lines if words]
    closest = max(near, default=(0.0, negative), key=lambda pair: (pair[0], pair[1] == negative))
    return closest[0] >= 0.6 and closest[1] != negative


def _numbers(text: str) -> list[tuple[float, bool]]:
    """Values and whether they are said to be approximate."""
    found = []
    for match in _NUMBER.finditer(text):
        try:
            value = float(match.group(1).replace(",", ""))
        except ValueError:
            continue
        value *= _SCALE.get((match.group(2) or "").lower(), 1)
        found.append((value, bool(_ABOUT.search(text[: match.start()][-20:]))))
    return found


def _has(known: Sequence[float], value: float, about: bool) -> bool:
    room = 0.05 if about else 0.0005
    return any(abs(value - k) <= room * max(abs(k), 1e-9) for k in known)


def _names(sentence: str) -> list[str]:
    words = list(_WORD.finditer(sentence))
    found = []
    for index, match in enumerate(words):
        word = match.group()
        if index == 0 or not word[0].isupper() or _stem(word) in _IGNORED:
            continue
        before = sentence[: match.start()].rstrip()
        if before.endswith((".", "!", "?", ":", "“", '"')) and not (len(word) > 1 and word[1:2].isupper()):
            continue  # a capital because something begins here
        found.append(word)
    return found


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", visible(text).casefold()))
