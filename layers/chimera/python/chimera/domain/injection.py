"""Finds instructions that address a system instead of telling a reader something.

Rules, not a model: each has a weight 0–1, and a text's score is `1 − Π(1 − weight)` over the rules that fire.
Text from outside is only ever data here; this score decides what a writer may quote and what a person must
look at.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from chimera.domain.folding import hidden_characters, sentences, tag_message, visible

THRESHOLD = 0.5
# Looked at in one go; a longer text is cut into windows of this size.
_WINDOW = 20_000

_OBJECT = (
    r"(?:instructions?|prompts?|directions?|directives?|rules|guidelines|commands?|constraints|"
    r"(?:previous|above|prior|preceding|earlier)\s+(?:text|content|context|input|messages?|conversation"
    r"|sentences?))"
)
_MODEL = r"(?:chat\s?gpt|gpt-?\d|openai|claude|gemini|llama|copilot|the (?:ai|llm|language model|assistant|model))"

_RULES: list[tuple[str, float, str]] = [
    (
        "override",
        0.9,
        r"\b(?:ignor|disregard|forget|overrid|bypass|neglect|overlook|discard|cancel|stop following"
        r"|do(?: not|n't) follow)\w*"
        r"[^.!?\n]{0,40}?\b(?:previous|above|prior|preceding|earlier|all|any|your|these|those|every"
        r"|system|initial|original|the)"
        rf"\b[^.!?\n]{{0,30}}?{_OBJECT}",
    ),
    ("override", 0.8, r"\b(?:ignore|disregard|forget)\s+(?:everything|all"
                      r"|anything)\b[^.!?\n]{0,30}\b(?:above|before|previous|prior|said|told)"),
    ("override", 0.6, r"\bignore (?:the )?(?:above|previous|preceding)\b"),
    ("override", 0.8, r"\bnew (?:system )?(?:instructions?|prompt|directive)s?\s*:"),
    ("override", 0.7, r"\bstop everything\b[^\n]{0,40}\b(?:print|say|output|now)\b"
                      r"|\bnevermind\b[^\n]{0,30}\bprint\b"),
    ("marker", 0.9, r"<\|?(?:im_start|im_end|system|endoftext|assistant|user)\|?>|\[/?inst\]|<</?sys>>"
                    r"|\[insert (?:your )?prompt"),
    ("marker", 0.55, r"(?:^|\n)\s*(?:#{1,4}\s*)?(?:system|assistant|instructions?)\s*(?:prompt|message"
                     r"|note|override)?\s*:\s*\S"),
    ("marker", 0.6, r"\b(?:begin|end|start) (?:of )?(?:system|hidden|secret|new) (?:prompt|instructions?"
                    r"|message)"),
    ("role", 0.6, r"\byou are (?:now |going to (?:be|act as|pretend to be) )(?:a|an|the|in|my|dan"
                  r"|no longer|free|un\w+)\b"),
    ("role", 0.5, r"\b(?:act|respond|answer|behave|pretend|roleplay|simulate)\s+(?:as|like|to be"
                  r"|that you are|you are|being)\s+(?:if you|an? |the |my |dan\b|you)"),
    ("role", 0.45, r"\bfrom (?:now|this point) on(?:ward)?s?,?\s+(?:you|your|act|we|i want|answer"
                   r"|respond|every)"),
    ("role", 0.6, r"\b(?:jailbr(?:eak|oken)|developer mode|do anything now|dan mode|stay in character"
                  r"|unfiltered (?:ai|response)|no restrictions)\b"),
    ("role", 0.45, r"\b(?:as|being) an? (?:ai|artificial intelligence|language model"
                   r"|large language model)\b"),
    ("role", 0.35, r"\b(?:you|it) (?:will|must|should|can|cannot|can't|are to|may) (?:never |always "
                   r"|not |only |now )?(?:refuse|respond|answer|reply|comply|obey|say|output|write"
                   r"|pretend|act|generate)\b"),
    ("model", 0.35, rf"\b(?:hi|hello|hey|dear|attention)?,?\s*{_MODEL}[\s,:]+(?:you|please|must|should"
                    rf"|will|respond|ignore|answer)\b"),
    ("model", 0.5, r"\b(?:system prompt|prompt injection payload|hidden prompt|initial prompt"
                   r"|your (?:pre-?)?prompt|ai language model)\b"),
    ("output", 0.6, r"\b(?:in|of|to|with|from|modify|change|begin|start|end|add|append|include|format"
                    r"|translate|rewrite|encode|encrypt|write|give|limit|provide|reverse|base|structure"
                    r"|generate|make)\b[^.!?\n]{0,25}\byour (?:answers?|responses?|repl(?:y|ies)"
                    r"|outputs?|completion|summary|generation)\b"),
    ("output", 0.55, r"\b(?:respond|reply|answer)\s+(?:only|simply|just|exclusively|exactly|(?:with|in"
                     r"|using|as) (?:a|an|one|the|only|json|all|english|\w+ese|\w+ish|french|german"
                     r"|emojis?|base64)|to (?:all|every|any) (?:questions?|prompts?|messages?|requests?))\b"),
    ("output", 0.6, r"\b(?:just|only|simply|must|now|instead|immediately|then|and)[,!]*\s+(?:print"
                    r"|output|say|repeat|echo|type)\b[^\n]{0,20}[\"“'‘:]"),
    ("output", 0.6, r"\b(?:print|output|repeat|say|echo)\s+(?:exactly|verbatim|only|the following"
                    r"|the words?|the phrase|\"[^\"]{2,}\")"),
    ("output", 0.45, r"\b(?:spell[- ]?check|translate|summari[sz]e|rewrite|repeat|print) (?:the |this "
                     r"|that |your )?(?:previous|above|preceding|following|instructions?|prompt"
                     r"|sentence|text)\b"),
    ("output", 0.4, r"(?:^|[\n.!?]\s*)(?:provide|compose|translate|encode|encrypt|respond|calculate"
                    r"|convert|rewrite|paraphrase|classify|append|insert|categorize|interpret"
                    r"|output)\s+(?:a|an|the|this|these|your|my|all|every|any|in|to|with|me|some)\b"),
    ("reveal", 0.8, r"\b(?:reveal|show|print|repeat|leak|tell me|give me|send|output|expose|disclose"
                    r"|dump)\b[^.!?\n]{0,40}\b(?:system prompt|your (?:instructions|prompt|rules"
                    r"|guidelines|api keys?|credentials|secrets)|api[_ ]keys?|environment variables"
                    r"|access tokens?)\b"),
    ("action", 0.7, r"\b(?:run|execute|call|invoke|use)\b[^.!?\n]{0,25}\b(?:the following (?:command"
                    r"|code|script|function|tool)|this (?:command|script|tool)|shell command|system\()"),
    ("action", 0.7, r"\bsystem\s*\(\s*[\"']|\brm -rf\b|\bcurl\s+(?:-\w+\s+)*https?:|\bos\.system\b"
                    r"|\bsubprocess\.|\beval\(|\bimport os\b|\bdrop table\b"),
    ("action", 0.75, r"\b(?:approve|authori[sz]e|mark|rate|classify|publish|post"
                     r"|accept)\b[^.!?\n]{0,30}\b(?:(?:as|is) (?:safe|approved|clean|allowed)"
                     r"|without (?:review|approval|checking|asking)|(?:this|the|all) (?:payment"
                     r"|transaction|request|budget)s?)\b"),
    ("action", 0.6, r"\b(?:send|forward|e-?mail|post|upload|transmit"
                    r"|exfiltrate)\b[^.!?\n]{0,40}\b(?:to (?:https?:|\S+@\S+|attacker|this (?:address"
                    r"|url|server))|(?:user|chat|conversation) (?:data|history))"),
    ("action", 0.5, r"!\[[^\]]*\]\(https?://[^)]*[?&][^)]*=|\bdata:text/html"),
    ("latent", 0.6, r"\b(?:do(?: not|n't)|never) (?:evaluate|mention|tell|inform|reveal|disclose"
                    r"|translate|summari[sz]e|follow|deviate|answer)\b[^.!?\n]{0,40}\b(?:candidate|user"
                    r"|instructions?|this|above|rules|it|them|anyone|human|reader)\b"),
    ("latent", 0.55, r"\bif (?:asked (?:how|about|to|why|what|for|if|whether)|you are asked|anyone asks"
                     r"|the user asks|the question)\b|\byou may not deviate\b|\bthis is a test\b"),
    ("latent", 0.45, r"\b(?:the user|the reader|the human"
                     r"|the person reading)\b[^.!?\n]{0,40}\b(?:needs? to|should|must|wants?|has to"
                     r"|is asking)\b|\bprovide it to the user\b"),
    ("latent", 0.5, r"\bfocus only on the following\b|\bimportant (?:note|message|instructions?) (?:to"
                    r"|for) (?:the )?(?:ai|assistant|model|system|bot|llm|chatbot|reader)"),
]  # fmt: skip
_COMPILED = [(name, weight, re.compile(pattern, re.I)) for name, weight, pattern in _RULES]
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/=])(?:[A-Za-z0-9+/]{4}){6,400}(?:[A-Za-z0-9+/]{2}=="
    r"|[A-Za-z0-9+/]{3}=)?(?![A-Za-z0-9+/=])"
)
# A page that asks its reader for something is no attack, but nothing to read aloud either.
_CALLS = re.compile(
    r"\b(?:click (?:here|below|on|the)|tap (?:here|below)|subscribe\w*|sign[- ]?up|log[- ]?in|sign in"
    r"|follow (?:us|me)|"
    r"like and (?:share|subscribe)|hit the bell|smash (?:that|the)|swipe up|link in (?:the )?(?:bio"
    r"|description)|"
    r"use (?:my |the )?(?:promo |discount )?code|download (?:the|our) app|read more|continue reading"
    r"|learn more|"
    r"share this|enable javascript|ad ?blocker|check out (?:our|my)|buy now|order now|free trial"
    r"|promo code)\b",
    re.I,
)


@dataclass(frozen=True)
class Finding:
    """What a text holds: score 0–1, the kinds of rules that fired, and the piece that weighed most (≤ 120
    characters).
    """

    score: float
    kinds: tuple[str, ...]
    excerpt: str

    @property
    def is_hit(self) -> bool:
        """Whether the score reaches the threshold of 0.5."""
        return self.score >= THRESHOLD


def scan(text: str) -> Finding:
    """Instructions in a text, also those written invisibly, in look-alike letters or in base64."""
    best = Finding(0.0, (), "")
    for start in range(0, max(1, len(text)), _WINDOW):
        found = _scan(text[start : start + _WINDOW + 500], depth=0)
        best = found if found.score > best.score else best
    return best


def _scan(text: str, *, depth: int) -> Finding:
    plain = visible(text).replace("’", "'")
    clean = 1.0
    kinds: list[str] = []
    heaviest, excerpt = 0.0, ""
    for name, weight, pattern in _COMPILED:
        match = pattern.search(plain)
        if match:
            clean *= 1 - weight
            kinds.append(name)
            if weight > heaviest:
                heaviest, excerpt = weight, match.group().strip()[:120]
    hidden = hidden_characters(text)
    if hidden >= 3:
        clean *= 0.6 if hidden < 12 else 0.45
        kinds.append("hidden")
    spelt = tag_message(text)
    if len(spelt) >= 8:
        clean *= 0.1
        kinds.append("hidden")
        excerpt = excerpt or spelt[:120]
    if depth == 0:
        for message in _decoded(plain):
            inner = _scan(message, depth=1)
            if inner.is_hit:
                clean *= 0.2
                kinds.append("encoded")
                excerpt = excerpt or message[:120]
    return Finding(round(1 - clean, 4), tuple(dict.fromkeys(kinds)), excerpt)


def _decoded(text: str) -> list[str]:
    found = []
    for match in list(_BASE64.finditer(text))[:20]:
        try:
            found.append(base64.b64decode(match.group(), validate=True).decode("utf-8"))
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found


def is_call_to_reader(sentence: str) -> bool:
    """Whether a sentence asks the reader to click, subscribe, buy …: boilerplate, never a fact."""
    return bool(_CALLS.search(visible(sentence)))


def without_instructions(text: str) -> list[str]:
    """The sentences of a text that carry no instruction; a paragraph's hidden characters condemn the sentence
    they are in.
    """
    return [s for s in sentences(text) if not scan(s).is_hit]
