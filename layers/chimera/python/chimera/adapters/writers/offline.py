"""The writer that needs nothing: picks sentences from the material and says them in order, with neutral words
between.

Every statement is a sentence of the material or a figure that was measured; what is written around them
states nothing. So it cannot invent, and when there is little to say it says so.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from chimera.adapters.writers import phrases
from chimera.adapters.writers.facts import Fact, choose, gather, topic_words
from chimera.adapters.writers.figures import measured
from chimera.adapters.writers.headline import (
    figure_of,
    hashtag,
    headline_of,
    listing,
    names_of,
    pictures_of,
    short_line,
    things_of,
)
from chimera.domain import injection, personal_data, policy_words
from chimera.domain.brand import avoided
from chimera.domain.cards import is_still
from chimera.domain.models import Draft, Material, Scene, WriterInfo
from chimera.domain.naming import platform_label, site_label
from chimera.errors import ChimeraError
from chimera.media.text import clean, shorten, without_emoji

PROMPT_VERSION = "offline-1"
WORDS_PER_SECOND = 2.5
MIN_WORDS, MAX_WORDS = 100, 500
LEAST_PARTS = 2
"""Of what is read: a carousel has two cards at least."""
_HN = re.compile(r"^(?:show|ask|tell|launch) hn\s*[:–—-]\s*", re.I)
_TRAILER = re.compile(r"\s*(?:\[(?:pdf|video|audio|\d{4})\]|\((?:19|20)\d\d\)|\[\w+\])\s*$", re.I)
_SITE_SUFFIX = re.compile(r"\s+[|–—-]\s+(?:[A-Z][\w.&']*\s?){1,4}$")


@dataclass
class _Part:
    """A scene in the making."""

    text: str
    card: str = ""
    about: str = ""


@dataclass
class _Script:
    """What is known about the subject, and the phrases not used yet."""

    material: Material
    rng: random.Random
    title: str
    topic: str  # a short name of the subject, or "" when the title is a headline
    mood: phrases.Mood
    foreign: bool
    spoken: bool
    used: set[str] = field(default_factory=set)

    def pick(self, options: Sequence[str], **values: str) -> str:
        """A phrase not used yet that the persona may say; "" when there is none."""
        avoid = self.material.profile.brand_guidelines.avoid
        free = [o for o in options if o not in self.used and not avoided(o.format(**{**_BLANK, **values}), avoid)]
        if not free:
            return ""
        chosen = self.rng.choice(free)
        self.used.add(chosen)
        return chosen.format(**{**_BLANK, **values})


_BLANK = {"title": "", "topic": "", "sites": ""}


class OfflineWriter:
    """Writer by extraction and templates; the same material and seed give the same draft."""

    name = "offline"
    priority = 100

    def write(self, material: Material) -> Draft:
        """A draft of 100–500 words at about 2.5 words a second of the asked duration.

        With little material it stays near 100 words and says what is not known. For cards and threads it is the text
        proper, of at most as many words: no greeting, no words between, no goodbye. Raises `VALIDATION_FAILED` when the
        trend has no text, `POLICY_VIOLATION` when it cannot be told without a word that the persona avoids.
        """
        script = _begin(material)
        target = min(MAX_WORDS, max(MIN_WORDS + 8, round(material.duration_seconds * WORDS_PER_SECOND)))
        facts = [] if script.foreign else gather(material)
        parts, chosen = (_told if script.spoken else _shown)(script, facts, target)
        scenes = _scenes(script, parts)
        draft = Draft(
            title=_draft_title(script),
            description=_description(script, chosen),
            scenes=scenes,
            hashtags=_hashtags(script),
            sources=_sources(material, chosen),
            writer=WriterInfo(provider=self.name, model="extractive", prompt_version=PROMPT_VERSION),
        )
        return _held(draft, material)


def _told(script: _Script, facts: Sequence[Fact], target: int) -> tuple[list[_Part], list[Fact]]:
    """What is spoken, and the facts in it: of about `target` words."""
    opening = _opening(script)
    why = _why(script, rich=sum(f.words for f in facts) > target - 50)
    closing = _closing(script, facts)
    fixed = _count([opening, *why, *closing])
    chosen = choose(facts, max(0, round((target - fixed) * 0.9)))
    parts = [opening, *_body(script, chosen), *why]
    missing = min(target, MIN_WORDS + 12) - _count([*parts, *closing])
    if missing > 12 or _count([*parts, *closing]) < MIN_WORDS:
        parts += _thin(script, missing, read=bool(chosen))
    return [*parts, *(closing if len(parts) > 3 else _split(closing))], chosen


def _shown(script: _Script, facts: Sequence[Fact], target: int) -> tuple[list[_Part], list[Fact]]:
    """What is read, and the facts in it: headline, facts, counts. The sources have a card or post of their own."""
    opening, why = _opening(script), _why(script, rich=False)
    chosen = choose(facts, max(0, target - _count([opening, *why])))
    parts = [opening, *_body(script, chosen), *why]
    if len(parts) < LEAST_PARTS:
        parts += _thin(script, 1, read=bool(chosen))
    return parts, chosen


def _begin(material: Material) -> _Script:
    trend = material.trend
    title = _clean_title(trend.title)
    topic = _clean_title(trend.topic)
    if not any(c.isalnum() for c in title):
        title = topic
    if not any(c.isalnum() for c in title):
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"trend.title: got {trend.title[:60]!r}, expected text with at least one letter or digit",
            {"trend.title": "no readable text"},
        )
    avoid = material.profile.brand_guidelines.avoid
    for name in (title, topic):
        bad = max(policy_words.scores(policy_words.find(name)).values(), default=0.0) >= policy_words.REJECT
        if injection.scan(name).is_hit or personal_data.find(name) or avoided(name, avoid) or bad:
            if name == title and topic != title and not avoided(topic, avoid):
                title = topic
                continue
            raise ChimeraError(
                "POLICY_VIOLATION",
                "the trend's title holds an instruction, personal data, or a word that the persona "
                "avoids or that"
                " no content may carry",
                {"title": title[:120], "avoid": avoided(name, avoid)},
            )
    key = hashlib.sha256(f"{material.seed}\x1f{trend.trend_id}\x1f{title}".encode()).digest()
    rng = random.Random(int.from_bytes(key[:8], "big"))  # noqa: S311 - variety, not secrecy
    latin = sum(c.isalpha() and c < "\u0250" for c in title)
    foreign = latin < 0.6 * sum(c.isalpha() for c in title)
    return _Script(
        material=material,
        rng=rng,
        title=title,
        topic="" if foreign else _subject(material, title, topic),
        mood=_mood(material),
        foreign=foreign,
        spoken=not is_still(material.format),
    )


_LOOKED_UP = frozenset(("google_trends", "wikipedia"))
_SAYS = re.compile(
    r"\b(?:is|are|was|were|has|have|will|can|says?|wins?|beats?|dies|died|gets?|goes|how|why|what|who|i"
    r"|we|you)\b",
    re.I,
)


def _subject(material: Material, title: str, topic: str) -> str:
    """The short name to speak of the subject by; "" where the title is a headline."""
    if topic.casefold() != title.casefold():
        return ""
    name = re.sub(r"\s*\([^()]*\)$", "", topic) or topic  # Wikipedia: The Martian (film)
    platforms = set(material.trend.platforms)
    if platforms & _LOOKED_UP and len(name) <= 60:
        return name
    short = len(name.split()) <= 5 and len(name) <= 48 and not re.search(r"[:?!.,;–—\"“]", name)
    return name if short and "hackernews" not in platforms and not _SAYS.search(name) else ""


def _clean_title(text: str) -> str:
    line = without_emoji(clean(text, limit=600)).strip(" \"“”'…")
    line = _TRAILER.sub("", _TRAILER.sub("", _HN.sub("", line)))
    line = re.sub(r"\s*(?:…|\.{3,})\s*", " – ", line).strip(" –")
    shortened = _SITE_SUFFIX.sub("", line)
    return (shortened if len(shortened.split()) >= 4 else line).strip(' "“”…')


def _mood(material: Material) -> phrases.Mood:
    style = f"{material.profile.tone} {material.profile.brand_guidelines.voice}".casefold()
    if re.search(r"energ|playful|fun|bold|excit|punchy|lively|upbeat|hype", style):
        return "lively"
    return "calm" if re.search(r"calm|quiet|gentle|serious|sober|formal|measured|soft", style) else "plain"


def _sentence(text: str) -> str:
    """The text as a sentence: ends with a mark."""
    return text if text[-1:] in ".!?" or (text[-1:] in '”"’' and text[-2:-1] in ".!?") else f"{text.rstrip(' ,;:-–—')}."


def _spoken_title(script: _Script) -> str:
    """The title, short enough to be said in one breath."""
    title = script.title
    if len(title.split()) > 26 or len(title) > 180:
        title = headline_of(title, 160) or _at_word(title, 160)
    return _sentence(title)


def _at_word(text: str, limit: int) -> str:
    return (
        text
        if len(text) <= limit
        else (text[:limit].rsplit(" ", 1)[0] if " " in text[:limit] else text[:limit]).rstrip(" ,;:-–—")
    )


def _opening(script: _Script) -> _Part:
    trend = script.material.trend
    title = _spoken_title(script)
    sample = trend.metadata.extra.get("sample")
    if not script.spoken and not _is_personal(script.title):
        text = title
    elif script.foreign:
        text = script.pick(phrases.HOOK_FOREIGN, title=title)
    elif script.topic:
        looked_up = _LOOKED_UP & set(trend.platforms) and trend.engagement_metrics.views
        options = phrases.HOOK_SAMPLE if trend.metadata.extra.get("sample") else phrases.HOOK_TOPIC[script.mood]
        text = script.pick([*options, *phrases.HOOK_LOOKED_UP] if looked_up else options, topic=script.topic)
    elif _is_personal(script.title):
        text = script.pick(phrases.HOOK_OWN_WORDS, title=title)
    else:
        options = phrases.HOOK_SAMPLE if sample else phrases.HOOK_HEADLINE[script.mood]
        text = script.pick(options, title=title)
    shown = script.topic or script.title
    return _Part(_capital(text or title), _capital(short_line(shown)), shown)


def _is_personal(title: str) -> bool:
    return bool(re.search(r"\b(?:I|I'm|I’m|I've|I’ve|we|we're|we’re|my|our)\b", title, re.I)) and '"' not in title


def _capital(text: str) -> str:
    return text if re.match(r"[a-z]+[A-Z]", text) else text[:1].upper() + text[1:]


def _body(script: _Script, facts: Sequence[Fact]) -> list[_Part]:
    parts: list[_Part] = []
    seconds = script.material.duration_seconds
    most = max(4, round(seconds / 7))  # scenes that a viewer can follow
    per_scene = 1 if len(facts) <= most else -(-len(facts) // most)
    index = 0
    while index < len(facts):
        group = [facts[index]]
        index += 1
        while index < len(facts) and (
            facts[index].leans_on == group[-1].order
            or len(group) < per_scene
            or (sum(f.words for f in group) < 9 and facts[index].words < 12 and not group[0].headline)
        ):
            group.append(facts[index])
            index += 1
            if len(group) >= 3:
                break
        lead = _lead_in(script, group[0], first=not parts, last=index >= len(facts) and len(parts) >= 2)
        said = " ".join(f.text for f in group)
        if lead.endswith(":"):
            lead = f"{lead} "
        parts.append(_Part(f"{lead} {said}".strip().replace("  ", " "), _card(group, script), said))
    return parts


def _lead_in(script: _Script, fact: Fact, *, first: bool, last: bool) -> str:
    if not script.spoken:
        return ""
    if fact.headline:
        pool = phrases.HEADLINES
        free = [p for p in pool if p not in script.used]
        if not free:
            return ""
        script.used.add(free[0])  # in their order: one, another, a third
        return free[0] if not avoided(free[0], script.material.profile.brand_guidelines.avoid) else ""
    if first:
        return script.pick(phrases.FIRST)
    if fact.leans_on is not None:
        return ""
    if fact.has_figure and figure_of(fact.text) and script.rng.random() < 0.6:
        figure = script.pick(phrases.FIGURE) if not any(p in script.used for p in phrases.FIGURE) else ""
        if figure:
            return figure
    if last:
        return script.pick(phrases.LAST)
    return script.pick(phrases.NEXT) if script.rng.random() < 0.6 else ""


def _card(group: Sequence[Fact], script: _Script) -> str:
    for fact in group:
        line = headline_of(fact.text)
        if line:
            return line
    for fact in group:
        figure = figure_of(fact.text)
        if figure:
            return figure
    names = [n for f in group for n in names_of(f.text)]
    line = " · ".join(dict.fromkeys(names[:2]))
    if " " in line and len(line) <= 60:
        return line
    things = [t for f in group for t in things_of(f.text) if 4 <= len(t) <= 60]
    things = [t for t in things if " " in t] or [n for n in names if 3 < len(n) <= 60]
    return _capital(things[0]) if things else _capital(short_line(script.topic or script.title))


def _why(script: _Script, *, rich: bool) -> list[_Part]:
    trend = script.material.trend
    if trend.metadata.extra.get("sample"):
        return []  # nothing in it was measured; the description says what it is
    found = measured(trend, script.rng)
    avoid = script.material.profile.brand_guidelines.avoid
    counts = [s for s in found.counts if not avoided(s, avoid)]
    speed = found.speed if not avoided(found.speed, avoid) else ""
    if counts:
        said = counts if rich or not speed else [*counts, speed]
        return [_Part(_join([_asked(script, phrases.WHY_OPEN), *said]), found.card)]
    return [_Part(_join([_asked(script, phrases.SPEED_OPEN), speed]), found.card)] if speed else []


def _asked(script: _Script, questions: Sequence[str]) -> str:
    return script.pick(questions) if script.spoken else ""


def _thin(script: _Script, missing: int, *, read: bool) -> list[_Part]:
    """What is honestly left to say, in its order, until the words suffice."""
    parts: list[_Part] = []
    left = missing
    avoid = script.material.profile.brand_guidelines.avoid
    unread = phrases.UNREAD_TOPIC if script.topic else phrases.UNREAD_HEADLINE
    rest = [t for t in phrases.THIN if not (read and t[0].startswith("Short lines"))]
    if not measured(script.material.trend, script.rng).counts:
        rest = [t for t in rest if not t[0].startswith("Counts")]
    script.rng.shuffle(rest)
    if not script.material.trend.url:
        unread = [t for t in unread if "link" not in t[0]]
        rest = [t for t in rest if "original" not in t[0]]
    for text, card in [*(phrases.READ_LITTLE if read else unread), *rest]:
        if left <= 0:
            break
        if not avoided(f"{text} {card}", avoid):
            parts.append(_Part(text, card))
            left -= len(text.split())
    return parts


def _closing(script: _Script, facts: Sequence[Fact]) -> list[_Part]:
    labels = _labels(script.material, facts)
    if labels and not facts:
        labels = labels[:1]
    if labels:
        pool = phrases.SOURCES if facts else phrases.SOURCES_UNREAD
        named = script.pick(pool, sites=listing(labels[:3]))
    elif script.material.trend.metadata.extra.get("sample"):
        named = ""
    else:
        named = script.pick(phrases.NO_SOURCE)
    words = [named, script.pick(phrases.CLOSE[script.mood]), script.pick(phrases.FOLLOW)]
    card = f"Sources: {', '.join(labels[:3])}" if labels else "Thanks for watching"
    while len(card) > 60 and "," in card:
        card = card.rsplit(",", 1)[0]
    avoid = script.material.profile.brand_guidelines.avoid
    if len(card) > 60 or avoided(card, avoid):
        card = next(
            (c for c in (", ".join(labels[:1]), "Links below", "Thanks") if len(c) <= 60 and not avoided(c, avoid)),
            "",
        )
    return [_Part(_join(words), card)]


def _split(closing: Sequence[_Part]) -> list[_Part]:
    """Sources and goodbye as two scenes, where there are few."""
    said = closing[0].text.split(". ", 1)
    return [_Part(f"{said[0]}.", closing[0].card), _Part(said[1])] if len(said) == 2 else list(closing)


def _join(parts: Sequence[str]) -> str:
    return " ".join(_capital(p) for p in parts if p)


def _labels(material: Material, facts: Sequence[Fact]) -> list[str]:
    addresses = [material.trend.url, *(f.source for f in facts), *(s.url for s in material.snippets)]
    avoid = material.profile.brand_guidelines.avoid
    names = [site_label(a) for a in addresses if a]
    names += [platform_label(p) for p in material.trend.platforms if p in {"hackernews", "wikipedia", "google_trends"}]
    return [n for n in dict.fromkeys(names) if n and not avoided(n, avoid)]


def _count(parts: Sequence[_Part]) -> int:
    return sum(len(p.text.split()) for p in parts)


def _scenes(script: _Script, parts: Sequence[_Part]) -> list[Scene]:
    scenes: list[Scene] = []
    seen: set[str] = set()
    styles = list(phrases.PICTURES)
    script.rng.shuffle(styles)
    subject = pictures_of(script.title) or sorted(topic_words(script.title))[:2] or ["a plain card"]
    for index, part in enumerate(p for p in parts if p.text):
        card = part.card if part.card.casefold() not in seen else ""
        seen.add(card.casefold())
        things = pictures_of(part.about) or subject
        picture = styles[index % len(styles)].format(things=listing(things))
        scenes.append(Scene(narration=part.text, visual_prompt=shorten(picture, 500), on_screen_text=card))
    return scenes


def _draft_title(script: _Script) -> str:
    if script.topic:
        title = script.pick(phrases.TITLES_TOPIC, topic=script.topic)
        if title and len(title) <= 100:
            return _capital(title)
    title = script.title.rstrip(".")
    if not script.topic and _is_personal(title) and len(title) <= 98:
        return f"“{title}”"
    return _capital(title if len(title) <= 100 else headline_of(title, 100) or _at_word(title, 100))


def _description(script: _Script, facts: Sequence[Fact]) -> str:
    lead = _sentence(script.title)
    body = " ".join([lead, *(f.text for f in facts[:2])])
    links = _sources(script.material, facts)
    listed = "\n".join(f"- {u}" for u in links)
    avoid = script.material.profile.brand_guidelines.avoid
    heading = next((h for h in ("Sources:", "Links:", "Web:") if not avoided(h, avoid)), "")
    note = next((n for n in phrases.NOTES if not avoided(n, avoid)), "")
    sample = ""
    if script.material.trend.metadata.extra.get("sample"):
        sample = next((n for n in phrases.SAMPLE_NOTE if not avoided(n, avoid)), "")
    return "\n\n".join(p for p in (body, f"{heading}\n{listed}" if links else "", sample, note) if p)[:5000]


def _sources(material: Material, facts: Sequence[Fact]) -> list[str]:
    used = [material.trend.url, *(f.source for f in facts)]
    used += material.trend.metadata.top_posts[:1] if "hackernews" in material.trend.platforms else []
    return [u for u in dict.fromkeys(used) if u.startswith(("http://", "https://"))][:10]


def _hashtags(script: _Script) -> list[str]:
    trend = script.material.trend
    source_tags = {"show_hn", "ask_hn", "poll", "job"}
    named = "google_trends" in trend.platforms  # its tags are the names of news sites
    tags = [] if named else [t for t in trend.tags if t not in source_tags]
    topic = _clean_title(trend.topic)
    things = [script.topic or (topic if len(topic.split()) <= 3 else "")]
    things += [t for t in names_of(script.title) if len(t.split()) <= 3][:3]
    things += [t for t in things_of(script.title) if " " not in t and len(t) >= 6][:1] if len(tags) < 2 else []
    candidates = [*tags[:4], *things, "Explained", "Trending", "InBrief"]
    avoid = script.material.profile.brand_guidelines.avoid
    found: dict[str, str] = {}
    for text in candidates:
        tag = hashtag(text)
        bad = tag and (avoided(text, avoid) or avoided(tag, avoid) or policy_words.find(text))
        if tag and not bad:
            found.setdefault(tag.casefold(), tag)
    return list(found.values())[: max(3, min(6, len(found)))][:5]


def _held(draft: Draft, material: Material) -> Draft:
    """The promises, checked on the result; a draft that breaks one is not given out."""
    words = len(draft.script.split())
    avoid = material.profile.brand_guidelines.avoid
    texts = [draft.title, draft.script, *draft.hashtags, *(s.on_screen_text for s in draft.scenes)]
    shown = [*texts, re.sub(r"https?://\S+", "", draft.description)]
    hits = [term for text in shown for term in avoided(text, avoid)]
    if hits:
        raise ChimeraError(
            "POLICY_VIOLATION",
            "the trend cannot be told without a word that the persona avoids",
            {"avoid": hits},
        )
    least = 1 if is_still(material.format) else MIN_WORDS
    if not least <= words <= MAX_WORDS or len(draft.script) > 5000:
        raise ChimeraError(
            "QUALITY_FAILED", f"script: got {words} words, expected {least}–{MAX_WORDS}", {"words": words}
        )
    return draft
