"""The mood of a short text. Advisory only: the word list was made for English tweets and is little better
than chance elsewhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

_CHARACTERS = 2000


@lru_cache(maxsize=1)
def _analyzer() -> SentimentIntensityAnalyzer:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def sentiment(text: str) -> float:
    """−1.00 (bad) to 1.00 (good), VADER's compound score (Hutto & Gilbert 2014); 0 for text without a known
    word.
    """
    if not text.strip():
        return 0.0
    score = float(_analyzer().polarity_scores(text[:_CHARACTERS])["compound"])
    return round(max(-1.0, min(1.0, score)), 2)
