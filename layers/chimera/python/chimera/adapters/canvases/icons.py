"""Our own line icons on a 24-unit grid, and the words that call for each; drawn for this project, so the licence is ours."""

from __future__ import annotations

import re
from functools import lru_cache

# Stroked shapes; `f` marks a shape that also gets a pale fill (duotone).
_SHAPES: dict[str, str] = {
    "trend": "M3 17l6-6 4 4 8-9|M15.5 6H21v5.5|M3 21h18",
    "globe": "f:M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z|M3 12h18|M12 3c3 2.6 4.2 5.600 4.200 9s-1.200 6.400-4.200 9c-3-2.600-4.200-5.600-4.200-9s1.200-6.400 4.200-9z",
    "chip": "f:M7 7h10v10H7z|M10 10h4v4h-4z|M9.500 3.500V7|M14.500 3.500V7|M9.500 17v3.500|M14.500 17v3.500|M3.500 9.500H7|M3.500 14.500H7|M17 9.500h3.500|M17 14.500h3.500",
    "brain": "f:M12 5.200C10.800 3 7.200 3.200 6.700 6C4 6.400 3 9.400 4.600 11.300C3.200 13.400 4.300 16.500 6.900 16.900C7.500 19.900 11 20.300 12 18.200z|f:M12 5.200C13.200 3 16.800 3.200 17.300 6C20 6.400 21 9.400 19.400 11.300C20.800 13.400 19.700 16.500 17.100 16.900C16.500 19.900 13 20.300 12 18.200z|M12 5.200v13|M8.500 9.500c1.200 0 2 .7 2 1.800|M15.500 13.500c-1.200 0-2-.7-2-1.800",
    "rocket": "f:M12 2.500c3.600 2.700 5 6.300 4.600 10.500l-1.600 3H9l-1.600-3C7 8.800 8.400 5.200 12 2.500z|M12 8a1.700 1.700 0 1 0 0 3.400a1.700 1.700 0 1 0 0-3.400z|M7.400 12.500L4.500 15.500V19L9 16|M16.600 12.500l2.900 3V19L15 16|M10.500 19v2|M13.500 19v2",
    "heart": "f:M12 20.500C5 15.800 2.800 12 3.500 8.700C4.200 5.200 8.800 3.800 12 7.600C15.200 3.800 19.800 5.200 20.500 8.700C21.200 12 19 15.800 12 20.500z",
    "health": "f:M12 20.500C5 15.800 2.800 12 3.500 8.700C4.200 5.200 8.800 3.800 12 7.600C15.200 3.800 19.800 5.200 20.500 8.700C21.200 12 19 15.800 12 20.500z|M6 12.500h3l1.500-3l2.500 5.500l1.500-2.500h3.500",
    "money": "f:M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z|M15 8.800c-.6-1.100-1.700-1.600-3-1.600c-1.800 0-3 .9-3 2.300c0 3.300 6.200 1.500 6.200 4.900c0 1.500-1.400 2.400-3.200 2.400c-1.600 0-2.800-.7-3.300-1.900|M12 5.500v1.700|M12 16.800v1.700",
    "trophy": "f:M7 4h10v5.500c0 3.200-2 5.500-5 5.500s-5-2.300-5-5.500z|M7 6H3.800c0 3.400 1.300 5.300 3.600 5.700|M17 6h3.200c0 3.400-1.300 5.300-3.600 5.700|M12 15v3.500|M8 20.500h8|M9.500 18.500h5",
    "film": "f:M3.500 9.500h17V20h-17z|M3.500 9.500L4.300 5.300l16.200-1.800l.4 3.800L3.500 9.500z|M8 4.900l1.700 3.800|M13 4.300l1.700 3.800|M10.500 12.700v4.200l3.700-2.100z",
    "music": "M9 17.500V5.500l11-2.500v12|f:M6.500 15a2.600 2.600 0 1 0 0 5.200a2.600 2.600 0 1 0 0-5.200z|f:M17.500 12.500a2.600 2.600 0 1 0 0 5.200a2.600 2.600 0 1 0 0-5.200z",
    "phone": "f:M8 2.500h8a1.500 1.500 0 0 1 1.500 1.500v16a1.500 1.500 0 0 1-1.500 1.500H8a1.500 1.500 0 0 1-1.500-1.500V4A1.500 1.500 0 0 1 8 2.500z|M10.500 5h3|M11.500 18.500h1",
    "car": "f:M3 13.500L5 8.300C5.300 7.500 6 7 6.900 7h10.200c.9 0 1.600.5 1.900 1.300l2 5.200v4.500H3z|M3.500 13.500h17|M6 18v2|M18 18v2|M6.500 15.800h2|M15.500 15.800h2",
    "leaf": "f:M5 19C3 10 8.500 4 20.500 4C21 15 15 20.500 7 18.500z|M4 21c2-5.500 5.500-9 11-11.500",
    "sun": "f:M12 7.500a4.500 4.500 0 1 0 0 9a4.500 4.500 0 1 0 0-9z|M12 2v2.500|M12 19.500V22|M2 12h2.500|M19.500 12H22|M4.900 4.900l1.800 1.800|M17.300 17.300l1.800 1.800|M19.100 4.900l-1.800 1.800|M6.700 17.300l-1.800 1.800",
    "storm": "f:M6.500 14.500a4 4 0 0 1 .4-8a5.500 5.500 0 0 1 10.500 1.200a3.500 3.500 0 0 1 .3 6.800z|M12.500 11.500L10 16h4l-2.500 4.500",
    "bolt": "f:M13 2.500L4.500 13.500H11L10 21.500l9-11.500h-6.500z",
    "people": "f:M9 5a3.300 3.300 0 1 0 0 6.600a3.300 3.300 0 1 0 0-6.600z|f:M2.500 20c0-3.800 2.700-6 6.500-6s6.500 2.200 6.500 6z|M16 5.300a3.200 3.200 0 0 1 0 6.100|M17.500 14.300c2.500.6 4 2.700 4 5.700",
    "shield": "f:M12 2.800l7.500 2.700v5.700c0 4.800-3 8.200-7.500 10c-4.500-1.800-7.500-5.200-7.500-10V5.500z|M8.500 12l2.500 2.500l4.500-5",
    "lock": "f:M5 10.500h14V21H5z|M8 10.500V7.300a4 4 0 0 1 8 0v3.200|M12 14.500v2.500",
    "book": "f:M12 6c-2-1.500-4.800-2-8.500-2v14.500c3.700 0 6.500.5 8.500 2c2-1.500 4.800-2 8.500-2V4c-3.700 0-6.500.5-8.500 2z|M12 6v14.500",
    "building": "f:M5 21V4.500L14 3v18z|M14 9h5.500v12H14|M8 7.500h2.500|M8 11h2.500|M8 14.500h2.500|M3 21h18|M16.500 12.500h.500|M16.500 16h.500",
    "capitol": "f:M4 10h16L12 4z|M5.500 10v8|M9.800 10v8|M14.200 10v8|M18.500 10v8|M3.500 18h17|M3 21h18|M12 2v2",
    "scale": "M12 3v17|M7.500 20.500h9|M5 6.500h14|f:M2 14l3-7.500L8 14c-1.200 2-4.800 2-6 0z|f:M16 14l3-7.500l3 7.500c-1.200 2-4.800 2-6 0z",
    "search": "f:M10.500 3.500a7 7 0 1 0 0 14a7 7 0 1 0 0-14z|M15.800 15.800L21 21",
    "clock": "f:M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z|M12 7v5.300l3.500 2.200",
    "ball": "f:M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z|M12 8.200l3.700 2.700l-1.400 4.300H9.700l-1.400-4.300z|M12 3.200v5|M20.300 9.500l-4.600 1.400|M17.300 19l-3-3.800|M6.700 19l3-3.800|M3.700 9.500l4.600 1.400",
    "chart": "M3.500 3.500v17h17|f:M7 12.500h2.800v5H7z|f:M11.800 9h2.800v8.500h-2.800z|f:M16.600 5.500h2.800v12h-2.800z",
    "news": "f:M3.500 4.500h13.500v15H5.500a2 2 0 0 1-2-2z|M17 9h3.500v8.500a2 2 0 0 1-4 0|M6.500 8h7.500|M6.500 11.500h3|M6.500 14.500h7.500|M12 11.500h2",
    "megaphone": "f:M4 9.500h4.500L18 4.500v15l-9.500-5H4z|M8 14.500l1.200 5.500h2.600l-1-4.300|M20.800 9.500c1 1.500 1 3.500 0 5",
    "flask": "f:M9.500 3v6.500L4 18.800c-.8 1.300 0 2.700 1.500 2.700h13c1.500 0 2.300-1.400 1.500-2.700L14.500 9.500V3|M8 3h8|M6.800 15h10.400|M10.500 18h.500|M14 17.500h.500",
    "atom": "M12 10.600a1.400 1.400 0 1 0 0 2.800a1.400 1.400 0 1 0 0-2.800z|M12 8.200c5.200 0 9.500 1.700 9.500 3.800s-4.300 3.800-9.500 3.800s-9.500-1.700-9.500-3.800s4.300-3.800 9.500-3.800z|M8.700 10.100c2.600-4.500 6.200-7.400 8-6.300s1.200 5.600-1.400 10.100s-6.200 7.400-8 6.300s-1.200-5.600 1.400-10.100z|M15.300 10.100c2.600 4.500 3.200 9 1.400 10.100s-5.400-1.800-8-6.300s-3.200-9-1.400-10.100s5.400 1.800 8 6.300z",
    "game": "f:M7 7.500h10c3 0 4.500 3.500 4.500 7.500c0 3-2.800 3.700-4.300 1.800L15.500 15h-7l-1.700 1.800C5.300 18.700 2.500 18 2.500 15C2.500 11 4 7.500 7 7.500z|M8 9.800v3|M6.500 11.300h3|M15 10.500h.500|M17 12.500h.500",
    "cart": "M2.500 4h3l2.300 11.500h10.700|f:M6.200 7.500h14.500l-2 6H7.400z|M9 18.500a1.200 1.200 0 1 0 0 2.400a1.200 1.200 0 1 0 0-2.400z|M17 18.500a1.200 1.200 0 1 0 0 2.400a1.200 1.200 0 1 0 0-2.400z",
    "plane": "f:M10.300 13.700L3 11.500l1.500-1.500l7.300.6L16.500 6c1.200-1.200 3-2 4-1.500s-.3 2.800-1.500 4l-4.600 4.700l.6 7.300l-1.500 1.500l-2.200-7.300L8 18l.3 2.500l-1 1l-1.500-3.300L2.500 16.700l1-1L6 16z",
    "fire": "f:M12 2.500c.5 4 5.800 6 5.800 11.500c0 4-2.600 7-5.800 7s-5.800-2.800-5.800-6.500c0-2.500 1.300-4 2.300-5.500c.6 1.300 1.200 1.900 2 2.300C10 8 10.200 5 12 2.500z|M12 21c-1.700 0-2.800-1.300-2.800-3c0-1.900 1.700-2.700 2.800-4.500c1.100 1.800 2.800 2.600 2.800 4.500c0 1.700-1.100 3-2.800 3z",
    "code": "M8 7l-5 5l5 5|M16 7l5 5l-5 5|M13.800 4.500l-3.600 15",
    "cloud": "f:M6.500 18.500a4.300 4.300 0 0 1 .3-8.600a5.600 5.600 0 0 1 10.700 1a3.900 3.900 0 0 1 .2 7.600z",
    "database": "f:M12 3c4.400 0 7.500 1.300 7.500 3v12c0 1.700-3.100 3-7.500 3s-7.500-1.300-7.500-3V6c0-1.700 3.100-3 7.500-3z|M4.500 6c0 1.700 3.100 3 7.500 3s7.500-1.300 7.500-3|M4.500 12c0 1.700 3.100 3 7.500 3s7.500-1.300 7.500-3",
    "camera": "f:M3 7.500h4L8.500 5h7L17 7.500h4V19H3z|M12 9.500a3.600 3.600 0 1 0 0 7.200a3.600 3.600 0 1 0 0-7.200z",
    "play": "f:M4 4h16v16H4z|M10 8.500v7l5.800-3.500z",
    "star": "f:M12 3l2.700 5.800l6.300.8l-4.600 4.400l1.100 6.300L12 17.300l-5.500 3l1.100-6.300L3 9.600l6.300-.8z",
    "bulb": "f:M12 2.500a6.700 6.700 0 0 0-3.700 12.300c.7.500 1.100 1.300 1.100 2.200h5.200c0-.9.400-1.700 1.100-2.200A6.700 6.700 0 0 0 12 2.500z|M9.600 19.300h4.800|M10.800 21.500h2.400",
    "gear": "f:M12 4.500a7.500 7.500 0 1 0 0 15a7.500 7.500 0 1 0 0-15z|M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6z|M12 2v2.500|M12 19.500V22|M2 12h2.500|M19.500 12H22|M4.900 4.900l1.800 1.800|M17.300 17.300l1.800 1.800|M19.100 4.900l-1.800 1.800|M6.700 17.300l-1.800 1.800",
    "chat": "f:M3.500 4.500h17v12H11l-4.500 4v-4h-3z|M7.500 9h9|M7.500 12.500h5.500",
    "target": "f:M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z|M12 7.500a4.500 4.500 0 1 0 0 9a4.500 4.500 0 1 0 0-9z|M12 11.500a.5.5 0 1 0 0 1a.5.5 0 1 0 0-1z",
    "pin": "f:M12 21.500C7.500 16.500 5 13 5 9.500a7 7 0 0 1 14 0c0 3.500-2.500 7-7 12z|M12 7a2.600 2.600 0 1 0 0 5.200a2.600 2.600 0 1 0 0-5.200z",
    "food": "M7 3v7.500|M4.500 3v5c0 1.500 1 2.500 2.500 2.500s2.500-1 2.500-2.500V3|M7 10.500V21|f:M17 3c-2.300 1.500-3 4.500-3 9h3z|M17 12v9",
    "home": "f:M4 11.500L12 4l8 7.500V21h-5.500v-6h-5v6H4z",
    "fashion": "f:M8.500 3.500L3 6.500l1.700 4.500l2.800-1v10.500h9V10l2.800 1L21 6.500l-5.500-3c-.7 2-1.900 3-3.500 3s-2.800-1-3.500-3z",
    "wave": "M2.500 8c2.400 0 2.400 2 4.800 2s2.400-2 4.700-2s2.400 2 4.700 2s2.400-2 4.800-2|M2.500 13c2.400 0 2.400 2 4.800 2s2.400-2 4.700-2s2.400 2 4.700 2s2.400-2 4.800-2|M2.500 18c2.400 0 2.400 2 4.800 2s2.400-2 4.700-2s2.400 2 4.700 2s2.400-2 4.800-2",
    "planet": "f:M12 6a6 6 0 1 0 0 12a6 6 0 1 0 0-12z|M6.300 10.100C3.200 12.400 1.600 14.700 2.300 15.900c1.100 1.900 7.200.1 13.500-3.500s7.100-8 6-9.300c-.7-.9-3-.5-6 .8",
    "robot": "f:M5 8.500h14V19H5z|M12 4.500v4|M12 2.500a1 1 0 1 0 0 2a1 1 0 1 0 0-2z|M9 12.500v1.500|M15 12.500v1.500|M9.500 16.500h5|M2.500 12v3.500|M21.500 12v3.500",
    "question": "f:M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z|M9.300 9.300c.2-1.500 1.300-2.300 2.700-2.300c1.600 0 2.800 1 2.800 2.400c0 2-2.800 2.200-2.800 4.200|M12 16.800v.2",
}  # fmt: skip

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


def names() -> list[str]:
    """All icons."""
    return sorted(_SHAPES)


def svg(icon: str, *, stroke: str, width: float = 1.7, fill: float = 0.22) -> bytes:
    """The icon as an SVG file of 24 units; `fill` is the opacity of its pale shapes."""
    paths = []
    for shape in _SHAPES[icon].split("|"):
        filled = shape.startswith("f:")
        opacity = f' fill="{stroke}" fill-opacity="{fill}"' if filled and fill > 0 else ' fill="none"'
        paths.append(f'<path d="{shape.removeprefix("f:")}"{opacity}/>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24">'
        f'<g stroke="{stroke}" stroke-width="{width}" stroke-linecap="round" stroke-linejoin="round">'
        f"{''.join(paths)}</g></svg>"
    ).encode()
