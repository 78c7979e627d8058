"""Says how unknown words are pronounced: espeak-ng's phonemes as the recogniser's (ARPAbet, the CMU dictionary's 39)."""

from __future__ import annotations

from collections.abc import Sequence

from chimera.adapters.voices.workers import ask

_TIMEOUT_SECONDS = 60.0
MAX_WORDS = 2_000
# IPA as espeak-ng's en-us writes it -> ARPAbet; the longest first.
_ARPABET = {
    "aɪɚ": "AY ER", "aɪə": "AY AH", "ʊɹ": "UH R", "ɪɹ": "IH R", "ɛɹ": "EH R", "ɔːɹ": "AO R", "oːɹ": "AO R", "ɑːɹ": "AA R",
    "tʃ": "CH", "dʒ": "JH", "eɪ": "EY", "aɪ": "AY", "ɔɪ": "OY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW", "iə": "IY AH",
    "ɪə": "IH AH", "əl": "AH L", "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO", "oː": "OW", "ɜː": "ER", "ɚ": "ER", "ɝ": "ER",
    "i": "IY", "ɪ": "IH", "ᵻ": "IH", "y": "UW", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AA", "ɐ": "AH", "ɑ": "AA", "ɒ": "AA",
    "ɔ": "AO", "ʌ": "AH", "ʊ": "UH", "u": "UW", "o": "OW", "ə": "AH", "ø": "ER", "œ": "ER", "p": "P", "b": "B", "t": "T",
    "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH",
    "ʒ": "ZH", "h": "HH", "x": "K", "ç": "SH", "m": "M", "n": "N", "ɲ": "N Y", "ŋ": "NG", "l": "L", "ɫ": "L", "ʎ": "L Y",
    "r": "R", "ɹ": "R", "ʁ": "R", "j": "Y", "w": "W", "ɾ": "D", "ʔ": "T", "β": "B", "ɣ": "G", "ts": "T S",
}  # fmt: skip
_LONGEST = max(len(ipa) for ipa in _ARPABET)


def pronounce(words: Sequence[str]) -> dict[str, str]:
    """ARPAbet of English words, such as `{"larynx": "L AE R IH NG K S"}`; a word that says nothing is left out.

    At most 2,000 words, each of at most 60 characters. Raises as the worker does.
    """
    asked = [word for word in dict.fromkeys(words) if 0 < len(word) <= 60][:MAX_WORDS]
    if not asked:
        return {}
    answer = ask(
        "chimera.adapters.voices.espeak_worker", {"pronounce": asked, "voice": "en-us"},
        timeout=_TIMEOUT_SECONDS, what="espeak-ng",
    )  # fmt: skip
    found = {word: arpabet(ipa) for word, ipa in zip(asked, answer["ipa"], strict=True)}
    return {word: phones for word, phones in found.items() if phones}


def arpabet(ipa: str) -> str:
    """IPA as ARPAbet; stress marks and sounds that English lacks are left out."""
    out: list[str] = []
    at = 0
    while at < len(ipa):
        for size in range(_LONGEST, 0, -1):
            if (part := ipa[at : at + size]) in _ARPABET and len(part) == size:
                out.append(_ARPABET[part])
                at += size
                break
        else:
            at += 1
    return " ".join(out)
