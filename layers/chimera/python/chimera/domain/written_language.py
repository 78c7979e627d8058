"""Which language a person's own words are written in, as far as their letters tell: a voice must be able to read them."""

from __future__ import annotations

import unicodedata
from collections import Counter

_BY_SCRIPT = {
    "ARABIC": "ar",
    "ARMENIAN": "hy",
    "BENGALI": "bn",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "DEVANAGARI": "hi",
    "ETHIOPIC": "am",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "LATIN": "en",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
}
"""The most spoken language of each script."""
_SCRIPTS_OF = {
    **{language: script for script, language in _BY_SCRIPT.items() if language not in {"ja", "zh"}},
    **dict.fromkeys(("fa", "ur", "ps", "ckb", "sd", "ug"), "ARABIC"),
    **dict.fromkeys(("uk", "bg", "sr", "mk", "be", "kk", "ky", "tt", "mn", "ba", "cv"), "CYRILLIC"),
    **dict.fromkeys(("mr", "ne", "kok", "sa"), "DEVANAGARI"),
    **dict.fromkeys(("zh", "cmn", "yue", "hak"), "CJK"),
    "ja": "HIRAGANA",
    "yi": "HEBREW",
    "as": "BENGALI",
    "ti": "ETHIOPIC",
}
_TELLING = (("ARABIC", "پچژگ", "fa"), ("ARABIC", "ٹڈڑے", "ur"), ("CYRILLIC", "іїєґ", "uk"))
"""Letters that a script's most spoken language does not have."""


def written_language(text: str, usual: str) -> str:
    """The language of `text` as a tag; `usual` (a tag too) where that is written with the same letters.

    More than half of the letters decide. Languages that share their letters are not told apart: Latin text keeps
    `usual` unless that is written otherwise, then it counts as English.
    """
    scripts = Counter(_script(c) for c in text if c.isalpha())
    if not scripts:
        return usual
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if kana and kana * 12 >= scripts["CJK"]:  # Japanese is mostly written with Chinese characters
        scripts["HIRAGANA"] += scripts.pop("CJK", 0) + scripts.pop("KATAKANA", 0)
    script, count = scripts.most_common(1)[0]
    # every character of these says as much as several letters of an alphabet
    dense = scripts["CJK"] + scripts["HIRAGANA"]
    if script == "LATIN" and dense * 3 > count:
        script, count = ("CJK" if scripts["CJK"] >= scripts["HIRAGANA"] else "HIRAGANA"), dense * 3
    if count * 2 <= scripts.total() and script != "CJK":
        return usual
    if script == _SCRIPTS_OF.get(usual.lower().partition("-")[0], "LATIN"):
        return usual
    for one, letters, language in _TELLING:
        if script == one and sum(text.count(c) for c in letters) * 200 > count:
            return language
    return _BY_SCRIPT.get(script, usual)


def _script(character: str) -> str:
    if character < "\u0250":
        return "LATIN"
    return unicodedata.name(character, "").partition(" ")[0]
