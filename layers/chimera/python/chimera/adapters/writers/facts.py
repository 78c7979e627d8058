"""Chooses what may be said: whole sentences of the material, cleaned, without instructions, boilerplate and
repeats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from rapidfuzz import fuzz

from chimera.domain import injection, personal_data, policy_words
from chimera.domain.brand import avoided
from chimera.domain.folding import sentences, visible
from chimera.domain.models import Material
from chimera.domain.naming import site_label
from chimera.media.text import clean, without_emoji

MAX_WORDS = 34
MIN_WORDS = 5
_DESCRIPTION_SENTENCES = 60
_PAGE_SENTENCES = 80


@dataclass(frozen=True)
class Fact:
    """One sentence that may be said. `order` is its place in the material; `leans_on` the order of one it
    refers back to.
    """

    text: str
    source: str
    order: int
    score: float = 0.0
    leans_on: int | None = None
    headline: bool = False

    @property
    def words(self) -> int:
        """Spoken words."""
        return len(self.text.split())

    @property
    def has_figure(self) -> bool:
        """Whether a number that is not just a year stands in it."""
        return any(not re.fullmatch(r"(?:19|20)\d\d", n) for n in re.findall(r"\d[\d,.]*\d|\d", self.text))


_BOILERPLATE = re.compile(
    r"\bdisambiguation\b|^for (?:other uses|the (?:novel|film|song|album|book)\b.*\bsee\b)|"
    r"\bcookies?\b|privacy policy|terms of (?:service|use)|all rights reserved|©|\bjavascript\b"
    r"|getty images|photo(?:graph)? by"
    r"|image (?:credit|source|caption)|\bmin(?:ute)? read\b|appeared first on|newsletter|advertis"
    r"|sponsored|affiliate"
    r"|listen to this article|sign up|log in|subscri|your (?:email|inbox|browser|account|password)"
    r"|share (?:this|on)|skip to"
    r"|read (?:more|also|the full)|click|\bscroll\b|loading\b|tap to|related (?:articles|stories)"
    r"|this article (?:is|was|needs|has)"
    r"|learn how and when|from wikipedia|may refer to|citation needed|cite (?:this|error)|jump to"
    r"|table of contents"
    r"|\bhide this\b|permission|reprint|copyright|e-?mail (?:us|me)|contact us|follow us"
    r"|comments? (?:are|section)|register\b.*\bfree"
    r"|\b(?:isbn|doi|issn)\b|retrieved|archived from|updated? (?:on|at)|published (?:on|at|:)"
    r"|last (?:updated|modified)",
    re.I,
)
_CODE = re.compile(r"[{}<>|\\`^~]|=>|==|::|\(\)|\bfunction\b\s*\w*\(|#include|import \w+|/\w+/\w+/|[;=]{2}|\$\w+|_{2}")
_ADDRESS = re.compile(
    r"https?://\S+|www\.\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|ly|gg|tv|be|co)/\S*|\S+@\S+\.\w+",
    re.I,
)
_DATELINE = re.compile(
    r"^(?:[A-Z][A-Za-z.,' ]{2,40}\s*)?\((?:Reuters|AP|AFP|CNN|UPI|Bloomberg)\)\s*[-–—]+\s*"
    r"|^[A-Z]{3,}(?:[ ,][A-Za-z.]+){0,4}\s+[—–-]\s+"
)
_OPENERS = re.compile(
    r"^(?:However|But|And|So|Meanwhile|Moreover|Furthermore|In addition|Additionally|Also|Still|Yet|Then"
    r"|Thus|Therefore|Indeed|Now"
    r"|Of course|On the other hand|In fact|For example|For instance|Instead|Nevertheless|Besides|Finally"
    r"|As a result|Plus)\b,?\s+"
)  # fmt: skip
_LEANS = re.compile(
    r"^(?:He|She|They|It|This|That|These|Those|His|Her|Hers|Their|Its|Him|Them|Such|Both|Neither|Either"
    r"|Here|There"
    r"|The (?:latter|former|same|other|others|two|three|four|five|six|trio|move|decision|news|company|pair|team|group|study"
    r"|report|result|incident|new))\b"
)
_LEANS_INSIDE = re.compile(r"^(?:\S+\s+){1,4}(?:them|they|him|he|she|this|these|those)\b|^(?:\S+\s+){1,6}old then\b")
_PERSONAL = re.compile(
    r"\b(?:I|I'm|I've|I'd|I'll|we|we're|we've|we'll|our|ours|us|my|mine|me|you|your|you're|yours|let's)\b",
    re.I,
)
_PARENTHESES = re.compile(r"\s*[(\[][^()\[\]]{0,90}[)\]]")
_ENGLISH = frozenset(re.findall(
    r"\w+",
    "the of and to in a is was for on that with as by at from are were be it its has have had an this "
    "which or not but his her"
    " their they he she will can would could than more about into over after before when who been said "
    "up out new all also",
))  # fmt: skip
_STOP = _ENGLISH | frozenset(
    re.findall(r"\w+", "how why what where says say i you we our your my show hn ask tell pdf video")
)


def topic_words(*texts: str) -> set[str]:
    """The words that say what it is about, lower case."""
    return {w for t in texts for w in re.findall(r"[^\W_]{3,}", t.casefold()) if w not in _STOP}


def gather(material: Material) -> list[Fact]:
    """Every usable sentence of the material, scored, in its order; none repeats the title or another."""
    trend = material.trend
    about = topic_words(trend.title, trend.topic)
    texts: list[tuple[str, str, bool]] = []
    is_list = "google_trends" in trend.platforms or "gdelt" in trend.platforms
    if trend.description:
        texts.append((trend.description, trend.url, is_list))
    texts += [(s.text, s.url, False) for s in material.snippets if not _is_discussion(s.url)]
    found: list[Fact] = []
    for number, (text, url, headlines) in enumerate(texts):
        limit = _DESCRIPTION_SENTENCES if number == 0 else _PAGE_SENTENCES
        found += _of_one(text, url, number * 1000, material, about, limit=limit, headlines=headlines)
    return _distinct(found, material)


def _is_discussion(url: str) -> bool:
    """What passers-by wrote below a story is opinion, not a source."""
    try:
        host = (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return True  # what no one can look up is no source either
    return host in {"news.ycombinator.com", "lobste.rs"} or host.endswith(("reddit.com", "twitter.com", "x.com"))


def _of_one(
    text: str, url: str, first: int, material: Material, about: set[str], *, limit: int, headlines: bool
) -> list[Fact]:
    facts: list[Fact] = []
    previous: Fact | None = None
    for index, raw in enumerate(_sentences(text)[:limit]):
        usable = _usable(raw, material)
        if usable is None:
            previous = None
            continue
        leans = index > 0 and bool(_LEANS.match(usable) or _LEANS_INSIDE.match(usable))
        if leans and previous is None:
            continue  # what it refers to may not be said, so neither may it
        fact = Fact(
            text=usable,
            source=url,
            order=first + index,
            score=_score(usable, about, index),
            leans_on=previous.order if leans and previous else None,
            headline=headlines,
        )
        facts.append(fact)
        previous = fact
    return facts


def _sentences(text: str) -> list[str]:
    text = re.sub(r"\[(?:\d{1,3}|[a-z]|citation needed|note \d+)\]", "", text[:100_000])  # Wikipedia's references
    lines = [clean(line, limit=5000) for line in text.splitlines()]
    return [s for line in lines for s in sentences(line)]


def _usable(raw: str, material: Material) -> str | None:
    """The sentence as it may be said, or None. Only what stands around it is taken away, nothing in it is
    changed.
    """
    if injection.scan(raw).is_hit or injection.is_call_to_reader(raw) or _BOILERPLATE.search(raw):
        return None
    text = without_emoji(visible(raw))
    if _ADDRESS.search(text) or _CODE.search(text) or "…" in text or "..." in text or text.count("#") > 1:
        return None
    text = _DATELINE.sub("", text)
    text = re.sub(r"\[\w{1,20}\]", "", text)
    text = re.sub(r"(?<!\.)\.\.(?!\.)", ".", _PARENTHESES.sub("", text))
    text = _OPENERS.sub("", text).strip(' -–—•*·\t"“”')
    text = re.sub(r"\s+([,.;:!?])", r"\1", re.sub(r"\s{2,}", " ", text))
    if not text or text.endswith(":") or "?" in text or text.count('"') % 2 or text.count("“") != text.count("”"):
        return None
    text = text[0].upper() + text[1:] if not re.match(r"[a-z]+[A-Z]", text) else text  # iPhone stays iPhone
    text = _shortened(text)
    words = text.split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS or max(map(len, words)) > 32:
        return None
    if _PERSONAL.search(_unquoted(text)) or not _is_prose(words) or text.count(",") > 6:
        return None
    avoid = material.profile.brand_guidelines.avoid
    if avoided(text, avoid) or personal_data.find(text):
        return None
    if max(policy_words.scores(policy_words.find(text)).values(), default=0.0) >= policy_words.REVIEW:
        return None
    return text if text[-1] in ".!" or (text[-1] in '”"' and text[-2:-1] in ".!") else text.rstrip(".,;:-–— ") + "."


def _unquoted(text: str) -> str:
    return re.sub(r"[\"“][^\"”]*[\"”]", "", text)


def _is_prose(words: Sequence[str]) -> bool:
    """English running text: not a list of names, not shouting, not another language."""
    plain = [w.strip(".,;:!?\"'“”‘’()").casefold() for w in words]
    letters = [w for w in plain if w]
    latin = sum(bool(re.fullmatch(r"[a-zà-öø-ÿ0-9'’$€£%.,&+/-]+", w)) for w in letters)
    if not letters or latin < 0.9 * len(letters):
        return False
    if len(words) >= 8 and sum(w in _ENGLISH for w in plain) < 0.12 * len(words):
        return False
    capitals = sum(w.isupper() and len(w) > 3 for w in words)
    if capitals > max(2, 0.3 * len(words)):
        return False
    numbers = sum(w[:1].isdigit() for w in words)
    return numbers <= max(3, 0.25 * len(words))


_QUALIFIER = re.compile(
    r"\b(?:not|no|never|if|unless|except|without|only|but|although|though|however|despite|den(?:y|ied"
    r"|ies)|alleged\w*|claim\w*|until|than|reportedly|may|might|could)\b|n't\b",
    re.I,
)
_CLAUSE = re.compile(r"\s*;\s+|\s+[—–]\s+|,\s+(?=(?:which|who|where|while|and|with|as|after|including|according)\b)")


def _shortened(text: str) -> str:
    """A long sentence cut where a clause ends, when nothing that qualifies it is lost; else as it was."""
    if len(text.split()) <= 26:
        return text
    best = text
    for match in _CLAUSE.finditer(text):
        head, tail = text[: match.start()], text[match.end() :]
        count = len(head.split())
        comma_pair = "," in head.split(" ")[-1]
        if 9 <= count <= 26 and not _QUALIFIER.search(tail) and not comma_pair and not _opens_more(head):
            best = head.rstrip(" ,;.") + "."
    return best


def _opens_more(head: str) -> bool:
    """Whether what was kept still waits for its end: an aside, a list, a quotation, a clause that opens with
    When or As.
    """
    if re.match(
        r"(?:When|As|While|After|Before|If|Although|Though|Since|Because|By|With|In|For|To|Despite|Once)\b",
        head,
    ):
        return "," not in head
    return head.count("“") != head.count("”") or head.count('"') % 2 == 1 or (head.count(",") == 1 and " which" in head)


def _score(text: str, about: set[str], position: int) -> float:
    """Relevance to the topic, information, and how early it stands; a useful length; 0 to about 4."""
    words = text.split()
    own = topic_words(text)
    relevance = min(1.0, len(own & about) / max(1, min(4, len(about))))
    figures = min(1.0, 0.5 * len(re.findall(r"\d[\d,.]*", text)))
    names = min(1.0, 0.25 * sum(w[:1].isupper() for w in words[1:]))
    early = 1.0 / (1 + position / 3)
    length = 1.0 if 9 <= len(words) <= 24 else 0.5 if len(words) > 6 else -1.0
    return round(1.4 * relevance + 0.5 * figures + 0.4 * names + 1.2 * early + 0.4 * length, 4)


def _distinct(facts: Sequence[Fact], material: Material) -> list[Fact]:
    kept: list[Fact] = []
    title = material.trend.title
    gone: set[int] = set()
    for fact in facts:
        repeats_title = (
            fuzz.token_set_ratio(fact.text.lower(), title.lower()) >= 90 and fact.words <= len(title.split()) + 4
        )
        repeats = any(_same(fact.text, k.text) for k in kept)
        if (repeats_title and len(title.split()) > 4) or repeats or fact.leans_on in gone:
            gone.add(fact.order)
            continue
        kept.append(fact)
    return kept


def _same(a: str, b: str) -> bool:
    low, high = a.lower(), b.lower()
    if fuzz.token_sort_ratio(low, high) >= 78:
        return True
    return fuzz.token_set_ratio(low, high) >= 92


def choose(facts: Sequence[Fact], words: int) -> list[Fact]:
    """The best facts that fit into so many words, in their order; what a fact leans on comes along."""
    by_order = {f.order: f for f in facts}
    chosen: dict[int, Fact] = {}
    left = words
    ranked = sorted(facts, key=lambda f: (-f.score, f.order))
    sources: dict[str, int] = {}
    for fact in ranked:
        needed = [fact]
        while needed[-1].leans_on is not None and needed[-1].leans_on in by_order and len(needed) < 4:
            needed.append(by_order[needed[-1].leans_on])
        if needed[-1].leans_on is not None:
            continue
        new = [f for f in needed if f.order not in chosen]
        cost = sum(f.words for f in new)
        if new and cost <= left and len(new) <= 2:
            for f in new:
                chosen[f.order] = f
                sources[f.source] = sources.get(f.source, 0) + 1
            left -= cost
    return [replace(f) for _, f in sorted(chosen.items())]


def site_of(fact: Fact) -> str:
    """The name of the site that a fact is from; "" if it has none."""
    return site_label(fact.source)
