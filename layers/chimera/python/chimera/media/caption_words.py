"""Small closed word lists by language for captions: what leads a noun, what joins clauses, what deserves emphasis."""

from __future__ import annotations

import re

LEADERS: dict[str, frozenset[str]] = {
    "en": frozenset(
        ["a", "an", "the", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our", "their", "some", "any", "no", "every", "each", "of", "to", "in", "on", "at", "by", "for", "from", "with", "into", "about", "over", "under", "between", "is", "are", "was", "were", "be", "been", "has", "have", "had", "will", "would", "can", "could", "should", "may", "might", "must", "not", "very", "more", "most", "less", "than", "as", "i", "you", "he", "she", "we", "they", "it's", "i'm", "don't", "doesn't", "didn't", "isn't"]
    ),
    "de": frozenset(
        ["der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "eines", "mein", "dein", "sein", "ihr", "unser", "euer", "kein", "keine", "zu", "im", "in", "am", "an", "auf", "von", "vom", "für", "mit", "bei", "nach", "aus", "über", "unter", "zwischen", "ist", "sind", "war", "waren", "hat", "haben", "wird", "werden", "kann", "sehr"]
    ),
    "fr": frozenset(
        ["le", "la", "les", "un", "une", "des", "du", "de", "d'", "l'", "au", "aux", "ce", "cet", "cette", "ces", "mon", "ma", "mes", "ton", "ta", "tes", "son", "sa", "ses", "notre", "nos", "votre", "leur", "à", "en", "dans", "sur", "sous", "par", "pour", "avec", "sans", "chez", "est", "sont", "a", "ont", "ne", "pas", "très", "plus"]
    ),
    "es": frozenset(
        ["el", "la", "los", "las", "un", "una", "unos", "unas", "de", "del", "al", "a", "en", "con", "por", "para", "sin", "sobre", "entre", "mi", "tu", "su", "sus", "este", "esta", "estos", "estas", "es", "son", "ha", "han", "no", "muy", "más"]
    ),
    "pt": frozenset(
        ["o", "a", "os", "as", "um", "uma", "uns", "umas", "de", "do", "da", "dos", "das", "no", "na", "nos", "nas", "em", "ao", "à", "por", "para", "com", "sem", "sobre", "meu", "minha", "seu", "sua", "é", "são", "não", "muito", "mais"]
    ),
    "it": frozenset(
        ["il", "lo", "la", "i", "gli", "le", "un", "uno", "una", "di", "del", "della", "dei", "delle", "a", "al", "alla", "da", "dal", "in", "nel", "nella", "con", "su", "per", "tra", "fra", "mio", "tuo", "suo", "è", "sono", "ha", "non", "molto", "più"]
    ),
    "nl": frozenset(["de", "het", "een", "van", "in", "op", "aan", "bij", "voor", "met", "naar", "uit", "over", "onder", "is", "zijn", "was", "heeft", "niet", "zeer"]),
    "pl": frozenset(["w", "we", "z", "ze", "na", "do", "od", "o", "u", "i", "a", "po", "za", "przez", "dla", "jest", "są", "nie", "bardzo"]),
}  # fmt: skip
CONJUNCTIONS: dict[str, frozenset[str]] = {
    "en": frozenset(["and", "but", "or", "nor", "so", "because", "although", "though", "while", "when", "if", "unless", "until", "since", "which", "who", "where", "whereas"]),
    "de": frozenset(["und", "aber", "oder", "denn", "weil", "obwohl", "während", "wenn", "ob", "bis", "seit", "dass", "sondern"]),
    "fr": frozenset(["et", "mais", "ou", "donc", "car", "parce", "quand", "lorsque", "si", "que", "qui", "où", "tandis"]),
    "es": frozenset(["y", "e", "o", "u", "pero", "porque", "cuando", "si", "que", "aunque", "mientras", "donde", "sino"]),
    "pt": frozenset(["e", "ou", "mas", "porque", "quando", "se", "que", "embora", "enquanto", "onde"]),
    "it": frozenset(["e", "ed", "o", "ma", "perché", "quando", "se", "che", "mentre", "dove", "anche"]),
    "nl": frozenset(["en", "of", "maar", "want", "omdat", "wanneer", "als", "dat", "terwijl", "waar"]),
    "pl": frozenset(["i", "oraz", "ale", "lub", "bo", "ponieważ", "gdy", "kiedy", "jeśli", "że", "który", "gdzie"]),
    "ar": frozenset(["أو", "لكن", "ثم", "لأن", "عندما", "إذا", "بينما"]),
    "he": frozenset(["או", "אבל", "כי", "כאשר", "אם", "בזמן"]),
    "hi": frozenset(["और", "या", "लेकिन", "क्योंकि", "जब", "अगर"]),
}  # fmt: skip
TITLES = frozenset(
    {"Mr", "Mrs", "Ms", "Dr", "Prof", "Sir", "St", "Herr", "Frau", "Señor", "Señora", "Monsieur", "Madame"}
)
UNITS = frozenset(
    [
        "%",
        "percent",
        "per",
        "prozent",
        "pour",
        "por",
        "percento",
        "million",
        "millions",
        "billion",
        "billions",
        "trillion",
        "thousand",
        "hundred",
        "millionen",
        "milliarden",
        "million",
        "milliards",
        "millones",
        "km",
        "m",
        "cm",
        "mm",
        "kg",
        "g",
        "mg",
        "l",
        "ml",
        "°c",
        "°f",
        "c",
        "f",
        "mph",
        "km/h",
        "kwh",
        "mwh",
        "gwh",
        "twh",
        "mw",
        "gw",
        "tw",
        "watts",
        "hours",
        "minutes",
        "seconds",
        "days",
        "weeks",
        "months",
        "years",
        "dollars",
        "euros",
        "pounds",
        "usd",
        "eur",
        "gb",
        "mb",
        "tb",
        "am",
        "pm",
    ]
)
_NEGATIONS = {
    "en": "not no never none nobody nothing nowhere neither without cannot",
    "de": "nicht kein keine keinen nie niemals niemand nichts ohne",
    "fr": "pas jamais rien personne aucun aucune sans",
    "es": "no nunca nadie nada ningún ninguna sin jamás",
    "pt": "não nunca ninguém nada nenhum nenhuma sem jamais",
    "it": "non mai nessuno niente nulla senza",
    "nl": "niet geen nooit niemand niets zonder",
    "pl": "nie nigdy nikt nic żaden bez",
    "ar": "لا لم لن ليس بدون", "he": "לא אין אף בלי", "hi": "नहीं कभी बिना",
}  # fmt: skip
_SUPERLATIVES = {
    "en": "best worst most least biggest largest smallest fastest slowest highest lowest longest shortest oldest youngest "
    "newest latest greatest cheapest richest poorest strongest weakest hottest coldest hardest easiest deepest safest "
    "deadliest rarest wealthiest closest farthest heaviest lightest brightest darkest earliest only first record",
    "de": "beste besten größte größten kleinste höchste höchsten niedrigste schnellste längste älteste neueste meisten "
    "wenigsten billigste teuerste stärkste einzige erste rekord",
    "fr": "meilleur meilleure pire premier première seul seule record", "es": "mejor peor mayor menor primer primera único récord",
    "pt": "melhor pior maior menor primeiro primeira único recorde", "it": "migliore peggiore maggiore minore primo prima unico record",
    "nl": "beste slechtste grootste kleinste hoogste laagste snelste eerste enige record",
    "pl": "najlepszy najgorszy największy najmniejszy pierwszy jedyny rekord",
}  # fmt: skip
_STRONG = {
    language: frozenset(f"{_NEGATIONS[language]} {_SUPERLATIVES.get(language, '')}".split()) for language in _NEGATIONS
}
_CORE = re.compile(r"^\W+|\W+$")


def primary(language: str) -> str:
    """The primary subtag in lower case: `en` of `en-GB`."""
    return re.split(r"[-_]", language.strip().lower(), maxsplit=1)[0]


def emphatic(text: str, language: str) -> bool:
    """Whether a word deserves emphasis by itself: a number, a negation, a superlative."""
    if any(c.isdigit() for c in text):
        return True
    core = _CORE.sub("", text).lower().replace("’", "'")
    return core in _STRONG.get(primary(language), ()) or (primary(language) == "en" and core.endswith("n't"))
