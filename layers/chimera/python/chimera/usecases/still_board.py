"""Director: makes a template's storyboard into that of an image post: fewer scenes, room for words that nobody says."""

from __future__ import annotations

from collections.abc import Sequence

from chimera.domain.cards import CARD_COUNTS
from chimera.domain.folding import sentences
from chimera.domain.models import Format, Scene
from chimera.errors import ChimeraError
from chimera.media.figures import key_figure
from chimera.media.layers import Area, CaptionLook
from chimera.media.safe_areas import FRAMES, regions
from chimera.templates.storyboard import Storyboard, StoryScene
from chimera.usecases.threads import same_words

_EDGE = 84.0  # reference pixels that type keeps from the frame's foot
_ROOM_ENOUGH = 0.2  # of the frame's height: a template's own place for words is taken where it is that tall


def still_board(board: Storyboard, format: Format, scenes: Sequence[Scene]) -> tuple[Storyboard, tuple[str, ...]]:
    """The storyboard of an image post, and the keys of the scenes that were left out.

    `image`: the opening with the strongest line of the script. `carousel`: the opening, the next scenes by order, the
    sources: 2–10 cards. `thread`: the opening and each scene with a number, a chart or a picture of its own; its posts
    name the sources. Where captions would be, and from there to the foot, is the place for what nobody says. Raises
    `VALIDATION_FAILED` for a carousel of one card.
    """
    story = [scene for scene in board.scenes if not _closes(scene)]
    closing = [scene for scene in board.scenes if _closes(scene)][:1]
    if not story:
        story, closing = closing, []
    most = CARD_COUNTS[format][1]
    if format == "image":
        kept = [story[0].model_copy(update={"narration": strongest_line(scenes, board.title)})]
    elif format == "thread":
        kept = [story[0], *(scene for scene in story[1:] if shows_something(scene))][:most]
    else:
        reserved = len(closing) or int(bool(board.sources))  # without a scene for them, the renderer adds a card
        kept = [*story[: most - reserved], *closing]
        if len(kept) + (reserved - len(closing)) < CARD_COUNTS[format][0]:
            raise ChimeraError(
                "VALIDATION_FAILED",
                "carousel: got one card, expected 2–10; give the script another paragraph, or ask for --format image",
            )
    chosen = {scene.key for scene in kept}
    gone = tuple(scene.key for scene in board.scenes if scene.key not in chosen)
    look = board.captions.model_copy(update={"box": words_box(board), "style": _style(board), "soft": False})
    settled = tuple(_still(scene, number, kept, format) for number, scene in enumerate(kept))
    sources = board.sources if format != "thread" else ()
    return board.model_copy(update={"scenes": settled, "captions": look, "sources": sources, "music": "off"}), gone


def card_count(board: Storyboard) -> int:
    """How many cards a still storyboard becomes, the added closing card included."""
    added = bool(board.sources) and len(board.scenes) > 1 and not any(_closes(scene) for scene in board.scenes)
    return len(board.scenes) + int(added)


def strongest_line(scenes: Sequence[Scene], title: str = "") -> str:
    """The sentence that stands for the script: one with a telling number first, neither short nor long, the earlier one.

    One that only says the title again, which the card shows, is taken where there is no other.
    """
    every = [line for scene in scenes for line in sentences(scene.narration)]
    lines = [line for line in every if not (title and same_words(title, line))] or every

    def strength(place: int) -> tuple[float, int]:
        line = lines[place]
        score = 2.0 * (key_figure(line) is not None) + 1.0 * (40 <= len(line) <= 140) - 1.0 * line.endswith("?")
        return score - 1.0 * (len(line) > 200), -place

    return lines[max(range(len(lines)), key=strength)] if lines else ""


def shows_something(scene: StoryScene) -> bool:
    """Whether a scene has a number, a chart, or a picture of its own."""
    return any(layer.kind in ("number", "chart") for layer in scene.layers) or scene.picture.want in (
        "photo",
        "footage",
        "map",
    )


def words_box(board: Storyboard) -> Area:
    """Where a card's words stand: the template's own place for captions if it is a large one, else from where captions
    would be down to the foot, which no player's controls cover in an image post."""
    own = board.captions.box
    height = FRAMES[board.aspect][1]
    if own.height >= height * _ROOM_ENOUGH:
        return own
    found = regions(board.aspect, board.platform)
    headline = found["headline" if board.aspect != "16:9" else "body"]
    top = min(own.y, found["captions"].y)
    foot = height - (_EDGE if board.aspect == "9:16" else 60.0)
    return Area(x=headline.x, y=top, width=headline.width, height=max(foot - top, 60.0))


def _style(board: Storyboard) -> str:
    """`off` would tell the painter that no words are coming."""
    look: CaptionLook = board.captions
    return "minimal" if look.style == "off" else look.style


def _closes(scene: StoryScene) -> bool:
    return any(layer.kind == "sources" for layer in scene.layers)


def _still(scene: StoryScene, number: int, kept: Sequence[StoryScene], format: Format) -> StoryScene:
    """The scene with its progress counted anew, in a carousel; footage is shown as a picture."""
    layers = [layer for layer in scene.layers if layer.kind != "progress" or format == "carousel"]
    counted = [
        layer.model_copy(update={"number": number, "count": len(kept)}) if layer.kind == "progress" else layer
        for layer in layers
    ]
    picture = scene.picture
    if picture.want == "footage":
        picture = picture.model_copy(update={"want": "photo"})
    return scene.model_copy(update={"layers": tuple(counted), "picture": picture, "motion": "still", "seconds": 0.0})
