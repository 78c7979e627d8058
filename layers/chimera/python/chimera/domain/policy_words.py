"""Words and phrases that content must not carry, by category and weight, and how a text scores against them.

Levels: `explicit` (0.9: no context makes it publishable, the judge rejects), `strong` (0.6: a person looks),
`weak` (0.2: ordinary in news, only several different ones together count). A score is `1 − Π(1 − weight)`
over the different terms found in a category. Terms match whole words, in text freed of invisible characters,
look-alikes, accents, spaced-out letters and digits for letters. Inside quotation marks, or in a sentence that
reports (`police said`, `was charged`), an explicit term of violence or hate weighs as a strong one: news
quotes what it reports, and a person decides.

The lists are written in ROT13, so that this file can be opened at work; `terms()` gives them in clear.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from chimera.domain.folding import fold, unleet

Level = Literal["explicit", "strong", "weak"]
Category = Literal["hate", "sexual", "minors", "self_harm", "violence", "harassment", "crime"]
WEIGHTS: dict[Level, float] = {"explicit": 0.9, "strong": 0.6, "weak": 0.2}
REVIEW = 0.5
REJECT = 0.85

# (category, level, comma-separated terms in ROT13)
_LISTS: list[tuple[Category, Level, str]] = [
    ("self_harm", "weak", "chetvat,bireqbfvat,phggvat zl,naberkvp"),
    ("harassment", "weak", "ubr,ubrf,cevpx,jnaxre,wnpxnff"),
    ("sexual", "weak", "anxrq,nebhfrq,obaqntr,cravf,intvan,srgvfu,frqhpr,xvaxl,cnagvrf,pbpx,chffl,vaprfg"),
    (
        "hate",
        "weak",
        "irezva,cnenfvgrf,pbpxebnpurf,zbaxrlf,fnintrf,pbba,tebbzref,zbatbybvq,v pna'g fgnaq,v qrfcvfr",
    ),
    (
        "hate",
        "explicit",
        "avttre,avttn,snttbg,snt,genaal,xvxr,fcvp,jrgonpx,cnxv,enturnq,gbjryurnq,fnaqavttre,fnaq "
        "avttre,wvtnobb,cbepu zbaxrl,ornare,furznyr,enpr genvgbe,zhqfunex,zhmmvr,tbyyvjbt,tnf gur "
        "wrjf,fvrt urvy,urvy uvgyre,whatyr ohaal,mvccreurnq,pnzry wbpxrl,hagrezrafpu,fhouhzna "
        "fphz,zhmeng,wrjobl,pnecrg zhapure,zhqfyvzr,yvogneq,srzvanmv,xvyy nyy wrjf,xvyy nyy "
        "zhfyvzf,uvgyre jnf evtug,uvgyre qvq abguvat jebat,juvgr cevqr,zbatery enpr,vasrevbe "
        "enpr,fubhyq tb rkgvapg,fuvc gurz onpx",
    ),
    (
        "hate",
        "strong",
        "terng ercynprzrag,juvgr trabpvqr,fhouhzna,fhouhznaf,ergneq,ergneqrq,wrjf pbageby,wrjf "
        "ner,zhfyvzf ner,oynpxf ner,vzzvtenagf ner,tnlf ner,genaf crbcyr ner,jbzra ner,ershtrrf "
        "ner,qvfnoyrq crbcyr ner,oynpx crbcyr ner,qrcbeg gurz nyy,tb onpx gb lbhe pbhagel,enpr "
        "zvkvat,juvgr enpr,znfgre enpr,wrjvfu pbafcvenpl,juvgr genfu,juvgr cbjre,v ungr zhfyvzf,v "
        "ungr wrjf,v ungr jbzra,v ungr oynpxf,v ungr vzzvtenagf,v ungr tnlf,v ungr genaf,qvfthfgvat "
        "crbcyr,qlxr,puvax,xnssve,mbt,cvxrl,tbbx,urro",
    ),
    (
        "sexual",
        "explicit",
        "oybjwbo,oybj wbo,unaqwbo,unaq wbo,phzfubg,pernzcvr,tnatonat,tnat "
        "onat,qrrcguebng,phaavyvathf,sryyngvb,evzwbo,ohxxnxr,cbea ivqrb,kkk ivqrb,nany "
        "frk,znfgheongr,znfgheongvat,znfgheongvba,wrex bss,wrexvat bss,uragnv,zl pbpx,uvf pbpx,uneq "
        "pbpx,lbhe pbpx,ure chffl,jrg chffl,zl chffl,lbhe chffl,gvgf bhg,ovt gvgf,shpxvat ure,phz "
        "vafvqr,phzzvat,fraq ahqrf,rerpg cravf,qvpx cvp,fhpx zl qvpx,fhpx uvf,fcernq ure yrtf,ure "
        "avccyrf,guerrfbzr,pyvgbevf,guehfgvat vagb,zbnarq nf,ure oernfgf,orgjrra ure yrtf,uvf "
        "rerpgvba,frk fynir,znxvat ybir gb,ubg onor,ure nff,uvf qvpx,zl qvpx,lbhe qvpx",
    ),
    (
        "sexual",
        "strong",
        "cbea,cbeabtencuvp,rebgvp,rebgvpn,frkhnyyl rkcyvpvg,obbof,gvgf,frk gncr,rfpbeg "
        "freivpr,oqfz,frkhny vagrepbhefr,unir frk,univat "
        "frk,juber,fyhg,ubbxre,betnfz,ubeal,travgnyf,ahqrf,ync qnapr,afsj,qvyqb,zvys",
    ),
    (
        "minors",
        "explicit",
        "puvyq cbea,puvyq cbeabtencul,haqrentr tvey anxrq,haqrentr frk,frk jvgu n zvabe,frkhnyvmrq "
        "puvyq,cergrra ahqr,ybyvpba,wnvyonvg,frk jvgu puvyqera,zbyrfg n puvyq,frkl fpubbytvey,anxrq "
        "puvyq,ahqr puvyq",
    ),
    (
        "self_harm",
        "explicit",
        "xvyy lbhefrys,xvyyvat zlfrys,xvyy zlfrys,raq zl yvsr,raqvat zl yvsr,raq vg nyy,gnxr zl bja "
        "yvsr,jnag gb qvr,jnaan qvr,phg zlfrys,phggvat zlfrys,unat zlfrys,unatvat zlfrys,ubj gb "
        "pbzzvg fhvpvqr,jnlf gb pbzzvg fhvpvqr,pbzzvg fhvpvqr cnvayrffyl,orfg jnl gb qvr,fyvg zl "
        "jevfgf,fyvg lbhe jevfgf,xlf,bireqbfr ba checbfr,qevax oyrnpu,fgneir zlfrys,ceb nan,guvafcb,v"
        " jnag gb or qrnq,fhvpvqr zrgubq,fhvpvqr zrgubqf,qba'g jnag gb yvir,qb abg jnag gb yvir,uheg "
        "zlfrys,unez zlfrys,ungr zl yvsr,orggre bss qrnq,ab ernfba gb yvir",
    ),
    ("self_harm", "strong", "fhvpvqr,fhvpvqny,frys unez,frys-unez,frys vawhel"),
    (
        "violence",
        "explicit",
        "xvyy gurz nyy,xvyy nyy,v jvyy xvyy lbh,v'yy xvyy lbh,tbaan xvyy lbh,tbvat gb xvyy "
        "lbh,qrfreir gb qvr,qrfreirf gb qvr,fubhyq or xvyyrq,fubhyq or fubg,fubhyq or unatrq,fubhyq "
        "or ylapurq,fubhyq or rkgrezvangrq,zhfg or rkgrezvangrq,orurnq gurz,ohea gurz nyvir,encr "
        "lbh,encr ure,ubj gb znxr n obzo,ubj gb ohvyq n obzo,cvcr obzo vafgehpgvbaf,znff fubbgvat "
        "cyna,fubbg hc gur fpubby,fubbg hc n fpubby,fynhtugre gurz,rkrphgr gurz nyy,unat gurz "
        "nyy,fgno uvz gb qrngu,onfu lbhe urnq,fznfu lbhe fxhyy,pheo fgbzc,qvfzrzore ure,fubhyq nyy "
        "qvr,arrq gb qvr,qrfreir gb or encrq,arrqf gb or chg qbja,v jvyy svaq lbh naq,ubcr lbh "
        "qvr,orng gur fuvg bhg bs,chg n ohyyrg va",
    ),
    (
        "violence",
        "strong",
        "znffnperq,orurnqrq,orurnqvat,qrpncvgngrq,qrpncvgngvba,qvfzrzorerq,zhgvyngrq,zhgvyngvba,gbegh"
        "erq,encrq,encvfg,ylapurq,qvfrzobjry,oybbqongu,znff fubbgvat,fhvpvqr obzore,fhvpvqr "
        "obzovat,fgnoorq gb qrngu,fubg qrnq,fahss svyz,frirerq urnq,znatyrq obql,oenvaf "
        "fcynggrerq,thaarq qbja,guebng fyvg,oybbq fcynggrerq,unpxrq gb qrngu,orngra gb qrngu",
    ),
    (
        "violence",
        "weak",
        "zheqre,zheqrerq,zheqrere,xvyyrq,xvyyvat,xvyy,fgnoorq,fgnoovat,fubbgvat,thazna,greebevfg,gbeg"
        "her,encr,rkrphgvba,pbecfr,tber,pbecfrf,rkgrezvangrq,rkgrezvangr,tbhtrq,ragenvyf,fynhtugrerq,"
        "znffnper,trabpvqr",
    ),
    (
        "harassment",
        "explicit",
        "zbgureshpxre,zbgure shpxre,phag,shpx lbh,tb qvr,qvr ovgpu,fghcvq ovgpu,qhzo ovgpu,jbeguyrff "
        "cvrpr bs fuvg,rng fuvg,xvyy hefrys,lbh juber,lbh fyhg,htyl ovgpu,lbh qvfthfgvat,svygul "
        "juber,cvrpr bs fuvg,lbh ner jbeguyrff,lbh'er jbeguyrff,abobql yvxrf lbh,lbh ner "
        "cngurgvp,lbh'er cngurgvp",
    ),
    (
        "harassment",
        "strong",
        "ovgpu,ovgpurf,nffubyr,onfgneq,qvpxurnq,qbhpuront,fuvgurnq,shpx,shpxvat,shpxrq,shpxre,ohyyfuv"
        "g,fuvg,vzorpvyr,fphzont,qhzonff,gjng,lbh vqvbg,lbh zbeba,fgsh,fuhg gur uryy hc,htyl nff",
    ),
    (
        "crime",
        "explicit",
        "ubj gb znxr zrgu,pbbx zrgu,znxr n obzo,ohvyq n obzo,tubfg tha vafgehpgvbaf,ohl pbpnvar "
        "bayvar,ohl sragnaly,ynhaqre zbarl sbe lbh,uver n uvgzna,fgbyra perqvg pneqf,pneqvat "
        "ghgbevny,znxr evpva,znxr fneva,areir ntrag flagurfvf,znxr rkcybfvirf,hagenprnoyr tha,ohvyq n"
        " cvcr obzo,ubj gb ynhaqre zbarl,ubj gb ubgjver,ubj gb sbetr,snxr cnffcbeg,pbhagresrvg zbarl",
    ),
]
_REPORTED = re.compile(
    r"\b(?:police|court|judge|prosecutors?|officials?|authorities|investigators?|jury|witness(?:es)?"
    r"|reporters?"
    r"|charged|convicted|sentenced|arrested|accused|alleged(?:ly)?|guilty|trial|lawsuit|sued"
    r"|according to|reported"
    r"|condemn(?:ed|s)?|banned|study|researchers?|documentary|film|novel|museum|memorial|survivors?"
    r"|victims?)\b"
)
_QUOTED = re.compile(r"[\"“«][^\"”»]{3,300}[\"”»]")


@dataclass(frozen=True)
class PolicyHit:
    """A term that was found: where it counts, how much (0–1), and its place in the folded text."""

    category: Category
    level: Level
    term: str
    weight: float


@lru_cache(maxsize=1)
def terms() -> dict[tuple[Category, Level], tuple[str, ...]]:
    """The lists in clear."""
    return {(c, level): tuple(codecs.decode(text, "rot13").split(",")) for c, level, text in _LISTS}


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[Category, Level, re.Pattern[str]]]:
    compiled = []
    for (category, level), words in terms().items():
        longest_first = sorted({fold(w) for w in words}, key=len, reverse=True)
        body = "|".join(re.escape(w).replace(r"\ ", r"[\s_-]+") for w in longest_first)
        compiled.append((category, level, re.compile(rf"(?<![a-z0-9])(?:{body})(?:e?s)?(?![a-z0-9])")))
    return compiled


def find(text: str) -> list[PolicyHit]:
    """Every different term in a text, each once."""
    folded = fold(text)
    variants = {folded, unleet(folded)}
    found: dict[tuple[str, str], PolicyHit] = {}
    for variant in variants:
        quoted = [m.span() for m in _QUOTED.finditer(variant)]
        for category, level, pattern in _patterns():
            for match in pattern.finditer(variant):
                weight = WEIGHTS[level]
                reported = any(a <= match.start() and match.end() <= b for a, b in quoted) or _in_report(variant, match)
                if level == "explicit" and reported and category in {"hate", "violence", "harassment", "crime"}:
                    weight = WEIGHTS["strong"]
                elif level == "strong" and reported and category in {"violence", "self_harm"}:
                    weight = 0.45  # a plain report: passes alone, not with a second one
                hit = PolicyHit(category, level, match.group(), weight)
                known = found.get((category, hit.term))
                if known is None or known.weight < weight:
                    found[category, hit.term] = hit
    return list(found.values())


def _in_report(text: str, match: re.Match[str]) -> bool:
    start = max(text.rfind(c, 0, match.start()) for c in ".!?\n") + 1
    ends = [i for i in (text.find(c, match.end()) for c in ".!?\n") if i >= 0]
    return bool(_REPORTED.search(text[start : min(ends, default=len(text))]))


def scores(hits: list[PolicyHit]) -> dict[Category, float]:
    """Score 0–1 for each category that was hit."""
    clean: dict[Category, float] = {}
    for hit in hits:
        clean[hit.category] = clean.get(hit.category, 1.0) * (1 - hit.weight)
    return {category: round(1 - value, 4) for category, value in clean.items()}
