"""The words that call for each of our icons (media/icons.py), and the icon as an SVG file for the cards."""

from __future__ import annotations

import re
from functools import lru_cache

from chimera.media.icons import names, shapes_of

__all__ = ["icons_for", "names", "svg"]

# The first icon with a matching word wins within a text, earlier words weigh more than later ones.
_WORDS: dict[str, str] = {
    "robot": "robot robots humanoid android bot bots automation",
    "brain": "ai intelligence brain neural mind llm gpt chatgpt learning model models openai anthropic gemini claude deepmind",
    "chip": "chip chips semiconductor processor gpu cpu nvidia hardware silicon computing computer quantum intel device devices",
    "code": "code coding software developer developers programming github opensource programmer bug api linux python rust javascript compiler framework language library open-source app apps",
    "database": "data database storage dataset server servers postgres sql archive",
    "cloud": "cloud aws azure hosting saas",
    "lock": "lock security password hack hacked hackers breach privacy encryption cyber cyberattack malware vulnerability leak",
    "shield": "safety protect protection defense defence safe guard police military army war security-forces conflict troops",
    "rocket": "rocket launch launches spacecraft spacex nasa startup startups mission satellite",
    "planet": "planet space mars moon saturn jupiter astronomy galaxy telescope orbit stars universe asteroid comet",
    "atom": "atom nuclear physics particle fusion energy-physics science scientific",
    "flask": "lab laboratory experiment chemistry research study researchers scientist scientists drug vaccine discovery biology dna gene",
    "health": "health hospital medical medicine doctor doctors patient patients disease cancer virus covid heart-rate wellness fitness",
    "money": "money dollar dollars cash price prices bank banks inflation funding invest investors investment billion million cost costs revenue bitcoin crypto salary wage tax taxes fee economy budget loan",
    "trend": "trend trending rise rises rising growth grow growing surge record increase gain gains climbing viral popular spike momentum views pageviews",
    "chart": "chart graph statistics stats market markets stock stocks shares numbers percent figures poll polls survey rate ranking analytics trade",
    "trophy": "trophy win wins winner winning champion champions championship cup medal award awards olympic prize victory final finals title-race",
    "ball": "football soccer league match goal goals team teams player players coach sport sports basketball nba nfl baseball tennis cricket game-day fifa uefa athlete race",
    "game": "gaming videogame videogames console playstation xbox nintendo gamer gamers esports steam minecraft fortnite",
    "film": "film movie movies cinema actor actress director hollywood netflix series season episode trailer marvel disney drama tv television show",
    "music": "music song songs album singer band concert tour rapper pop spotify artist grammy",
    "play": "video videos youtube tiktok stream streaming streamer creator creators clip",
    "camera": "camera photo photos photograph picture instagram image images lens",
    "phone": "phone smartphone iphone android-phone mobile samsung call",
    "car": "car cars vehicle vehicles tesla driving driver traffic automotive ev road motor f1 formula",
    "plane": "plane flight flights airline airport aircraft travel tourism boeing airbus pilot trip holiday",
    "storm": "storm hurricane weather rain flood floods tornado cyclone typhoon snow thunder",
    "sun": "sun solar heat heatwave summer hot temperature desert",
    "wave": "ocean sea water wave waves river tsunami beach marine fish swim lake ice",
    "leaf": "leaf climate green environment nature plant plants forest tree trees carbon sustainable animal animals garden farm species wildlife",
    "bolt": "energy electricity electric power battery grid voltage charge fast speed",
    "fire": "fire wildfire burning blaze hot-topic explosion volcano",
    "capitol": "government president election elections vote votes senate congress parliament minister political politics policy party candidate campaign state king royal prime-minister democracy trump",
    "scale": "court law legal judge lawsuit trial justice ruling supreme rights ban regulation regulators sued verdict crime",
    "building": "company companies business corporate office firm factory industry city cities skyline enterprise merger acquisition ceo urban",
    "home": "home house housing rent mortgage family property",
    "people": "people crowd users community population workers jobs employees team-members fans protest protesters citizens public audience society social women men children human humans person born died life",
    "book": "book books reading education school university students student teacher history library-book novel author wikipedia encyclopedia article page literature guide documentation learn",
    "news": "news newspaper headline headlines press journalist media report reports story stories announcement announced",
    "megaphone": "announce marketing advertising ad ads brand promotion speech statement speaks says warns warning alert",
    "cart": "shopping retail store stores amazon shop sale sales buy consumer customers ecommerce product products deal deals black-friday",
    "food": "food restaurant cooking recipe eat meal chef kitchen drink coffee diet breakfast dinner",
    "fashion": "fashion clothes dress designer wear shirt beauty model-runway",
    "heart": "love wedding dating relationship valentine romance like likes favourite charity",
    "clock": "time clock deadline hours minutes days years schedule date anniversary wait timeline soon future yesterday today tomorrow",
    "globe": "world global international country countries map earth internet web europe asia africa america china india nation nations language-world online website browser",
    "pin": "location place local street travel-map map-pin where neighbourhood near",
    "search": "search google find look investigate investigation detective discover explore evidence clues",
    "gear": "gear gears cog machine engine engineering mechanical tool tools settings system systems mechanism build works",
    "chat": "chat message messages conversation comment comments discussion talk forum reddit twitter debate quote interview reaction reactions hacker",
    "bulb": "idea ideas innovation invention insight creative solution lesson takeaway",
    "target": "target goal-setting focus aim strategy plan priority why matters",
    "star": "star celebrity famous fame hollywood-star best review rating favorite",
    "question": "why how what question questions unknown mystery explain explained",
}  # fmt: skip


@lru_cache(maxsize=1)
def _index() -> dict[str, str]:
    index: dict[str, str] = {}
    for icon, words in _WORDS.items():
        for word in words.split():
            index.setdefault(word, icon)
    return index


def icons_for(*texts: str) -> list[str]:
    """Icons that the texts call for, the best first; earlier texts weigh more, then how often a word comes."""
    index = _index()
    scores: dict[str, float] = {}
    for rank, text in enumerate(texts):
        for place, word in enumerate(re.findall(r"[a-z][a-z0-9'-]*", text.lower())[:200]):
            stem = word if word in index else word.removesuffix("'s").removesuffix("s")
            icon = index.get(word) or index.get(stem)
            if icon is not None:
                weight = 0.3 if icon in {"question", "clock", "target"} else 1.0
                scores[icon] = scores.get(icon, 0.0) + weight / (1 + rank * 2) / (1 + place * 0.05)
    return sorted(scores, key=lambda icon: (-scores[icon], icon))


def svg(icon: str, *, stroke: str, width: float = 1.7, fill: float = 0.22) -> bytes:
    """The icon as an SVG file of 24 units; `fill` is the opacity of its pale shapes."""
    paths = []
    for shape, filled in shapes_of(icon):
        opacity = f' fill="{stroke}" fill-opacity="{fill}"' if filled and fill > 0 else ' fill="none"'
        paths.append(f'<path d="{shape}"{opacity}/>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24">'
        f'<g stroke="{stroke}" stroke-width="{width}" stroke-linecap="round" stroke-linejoin="round">'
        f"{''.join(paths)}</g></svg>"
    ).encode()
