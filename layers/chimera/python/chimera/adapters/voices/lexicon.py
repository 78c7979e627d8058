"""A persona's pronunciation lexicon: how its voice says names, as a respelling, as IPA or as espeak phonemes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chimera.errors import ChimeraError

MAX_ENTRIES, MAX_WORD, MAX_SAID = 500, 60, 120
_PHONEMES = re.compile(r"\[\[([A-Za-z0-9@&'%,_:;?!~#*+^<>={}|/. -]+)\]\]")
_IPA = re.compile(r"/([^/\s][^/]*)/")
_RESPELLING = re.compile(r"[\w'’ -]+")
# IPA -> espeak-ng's mnemonics for English, the longest first (docs/phonemes.md of espeak-ng).
_MNEMONICS = {
    "tʃ": "tS", "dʒ": "dZ", "eɪ": "eI", "aɪ": "aI", "ɔɪ": "OI", "aʊ": "aU", "oʊ": "oU", "əʊ": "oU", "ɪə": "i@", "ɛə": "e@",
    "eə": "e@", "ʊə": "U@", "iː": "i:", "uː": "u:", "ɑː": "A:", "ɔː": "O:", "ɜː": "3:", "ɝ": "3:", "ɚ": "3", "i": "i",
    "ɪ": "I", "e": "E", "ɛ": "E", "æ": "a", "a": "a", "ɑ": "A:", "ɒ": "0", "ɔ": "O:", "ʌ": "V", "ʊ": "U", "u": "u:", "o": "oU",
    "ə": "@", "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "ɡ": "g", "g": "g", "f": "f", "v": "v", "θ": "T", "ð": "D",
    "s": "s", "z": "z", "ʃ": "S", "ʒ": "Z", "h": "h", "x": "x", "m": "m", "n": "n", "ŋ": "N", "l": "l", "ɫ": "l", "r": "r",
    "ɹ": "r", "j": "j", "w": "w", "ɾ": "t#", "ˈ": "'", "ˌ": ",", ".": "", " ": "_:", "ː": "", "ʰ": "", "̩": "",
}  # fmt: skip
_LONGEST = 2


class Lexicon:
    """Validated entries; looked up as written, then without regard to case.

    A value is a respelling (`nuh VID ee uh`), IPA between slashes (`/ɛnˈvɪdiə/`) or espeak-ng phonemes in double
    brackets (`[[EnvI2di@]]`). Raises `VALIDATION_FAILED` naming the entry that does not fit.
    """

    def __init__(self, entries: Mapping[str, str] | None = None) -> None:
        entries = entries or {}
        if len(entries) > MAX_ENTRIES:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"the lexicon has {len(entries)} entries; at most {MAX_ENTRIES}",
                {"entries": len(entries)},
            )
        self._said = {word: _checked(word, said) for word, said in entries.items()}
        self._folded = {word.casefold(): said for word, said in self._said.items()}

    def __bool__(self) -> bool:
        return bool(self._said)

    @property
    def has_phonemes(self) -> bool:
        """Whether an engine must be told to read phonemes."""
        return any(said.startswith("[[") for said in self._said.values())

    def look_up(self, word: str) -> str | None:
        """What to say for a word without its punctuation; phonemes are `[[…]]`. A possessive `'s` is kept."""
        for ending in ("", "'s", "’s"):
            if ending and not word.endswith(ending):
                continue
            bare = word[: len(word) - len(ending)]
            said = self._said.get(bare) or self._folded.get(bare.casefold())
            if said is not None:
                return f"{said[:-2]}z]]" if ending and said.startswith("[[") else said + ("'s" if ending else "")
        return None


def _checked(word: str, said: str) -> str:
    if not word or len(word) > MAX_WORD or any(c.isspace() for c in word) or not any(c.isalnum() for c in word):
        raise _wrong(word, said, f"a word is 1–{MAX_WORD} characters without a space")
    said = said.strip()
    if not said or len(said) > MAX_SAID:
        raise _wrong(word, said, f"what is said is 1–{MAX_SAID} characters")
    if said.startswith("[["):
        if not _PHONEMES.fullmatch(said):
            raise _wrong(word, said, "expected espeak-ng phonemes in one pair of double brackets, such as [[EnvI2di@]]")
        return said
    if said.startswith("/"):
        ipa = _IPA.fullmatch(said)
        if ipa is None:
            raise _wrong(word, said, "expected IPA between two slashes, such as /ɛnˈvɪdiə/")
        return f"[[{_from_ipa(word, said, ipa[1])}]]"
    if not _RESPELLING.fullmatch(said) or not any(c.isalpha() for c in said):
        raise _wrong(word, said, "expected letters, spaces, hyphens and apostrophes, /IPA/ or [[espeak phonemes]]")
    return said


def _from_ipa(word: str, said: str, ipa: str) -> str:
    out, at = "", 0
    while at < len(ipa):
        for size in range(_LONGEST, 0, -1):
            if (part := ipa[at : at + size]) in _MNEMONICS and len(part) == size:
                out, at = out + _MNEMONICS[part], at + size
                break
        else:
            raise _wrong(word, said, f"the sound {ipa[at]!r} is not one of English; use [[espeak phonemes]]")
    return out


def _wrong(word: str, said: str, expected: str) -> ChimeraError:
    return ChimeraError(
        "VALIDATION_FAILED", f"lexicon entry {word[:80]!r} -> {said[:140]!r}: {expected}", {"word": word[:80]}
    )
