"""Artist: from what the steps before left (brief, storyboard, voice, pictures) to the job that is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chimera.domain.models import BrandGuidelines, BrandTheme, Brief, Scene
from chimera.domain.options import RunOptions
from chimera.errors import ChimeraError
from chimera.media.layers import Area, CaptionLook
from chimera.media.layout import layout_of
from chimera.media.models import RenderJob, RenderScene, Theme
from chimera.media.safe_areas import regions
from chimera.templates.storyboard import Storyboard, StoryScene
from chimera.usecases.production import MadeContent

MOODS = ("auto", "off", "calm", "curious", "upbeat", "tense", "warm", "newsroom")


def job_of(made: MadeContent) -> RenderJob:
    """The job of a production. Its files are fetched into the working folder.

    With a storyboard its scenes are rendered, each with its entry of voice.json and pictures.json; without one the brief's
    scenes in the plain layout. Raises `CONFLICT` where the steps do not fit together, `VALIDATION_FAILED` for a logo or
    font that cannot be used, `FORBIDDEN` for a key of another tenant.
    """
    brief, ask, board = made.brief(), made.read("brief", "material.json"), made.storyboard()
    voice, pictures = made.read("audio", "voice.json"), made.read("pictures", "pictures.json")
    options = RunOptions.model_validate(ask["options"])
    guidelines = BrandGuidelines.model_validate(ask["persona"]["brand_guidelines"])
    asked: list[StoryScene | Scene] = [*(board.scenes if board else brief.scenes)]
    counts = {"scenes": len(asked), "voices": len(voice["scenes"]), "pictures": len(pictures["scenes"])}
    if len(set(counts.values())) != 1:
        raise ChimeraError(
            "CONFLICT", f"voice and pictures were made for another storyboard: {counts}; make them again", counts
        )
    scenes = tuple(
        _scene(made, brief, scene, spoken, picture)
        for scene, spoken, picture in zip(asked, voice["scenes"], pictures["scenes"], strict=True)
    )
    aspect = board.aspect if board else brief.aspect
    platform = board.platform if board else options.platform
    theme = _theme(made, board, pictures)
    brand = guidelines.theme or BrandTheme()
    logo = _logo(made, brand)
    outro = (pictures.get("outro") or {}).get("image")
    return RenderJob(
        title=board.title if board else brief.title,
        outro_image=_fetched(made, "pictures", outro),
        scenes=scenes,
        sources=tuple(board.sources if board else brief.sources),
        aspect=aspect,
        platform=platform,
        height=options.resolution,
        fps=options.fps,
        quality_preset=options.quality_preset,
        seed=int(pictures["seed"]),
        theme=theme,
        language=board.language if board else brief.language,
        tone=brief.tone_guidelines,
        captions=_captions(board, options, guidelines, layout_of(aspect, platform).caption_look()),
        logo=logo,
        logo_box=(board.logo_box if board and board.logo_box else _logo_box(aspect, platform)) if logo else None,
        template=board.template if board else "",
        **music_of(ask, board.music if board else ""),
    )


def _scene(
    made: MadeContent, brief: Brief, scene: StoryScene | Scene, spoken: dict[str, Any], picture: dict[str, Any]
) -> RenderScene:
    sound = _fetched(made, "audio", spoken.get("audio"))
    shared = {
        "narration": scene.narration,
        "on_screen_text": scene.on_screen_text,
        "image": _fetched(made, "pictures", picture.get("image")),
        "footage": _fetched(made, "pictures", picture.get("footage")),
        "footage_start": picture.get("footage_start") or 0.0,
        "scrim": picture.get("scrim") or 0.0,  # what the pictures' step says: a card in place of a photograph has none
        "audio": sound,
        "words": tuple(spoken["words"]) if sound else (),
    }
    if isinstance(scene, Scene):
        return RenderScene(**shared, visual_prompt=scene.visual_prompt)
    at = scene.brief_scene
    prompt = brief.scenes[at].visual_prompt if at is not None and at < len(brief.scenes) else ""
    return RenderScene(
        **shared,
        visual_prompt=scene.picture.prompt or prompt,
        key=scene.key,
        marker=scene.marker,
        layers=scene.layers,
        motion=scene.motion,
        transition=scene.transition,
        seconds=scene.seconds,
    )


def _fetched(made: MadeContent, kind: str, name: str | None) -> Path | None:
    """A file of this production in the working folder; None where there is none (a silent scene, a plain ground)."""
    if not name:
        return None
    return made.media.fetch(made.scope.key(kind, name), Path(name))


def _theme(made: MadeContent, board: Storyboard | None, pictures: dict[str, Any]) -> Theme | None:
    """The storyboard's, else the one that the pictures were painted in (none said: the palette of the seed)."""
    theme = board.theme if board else None
    if theme is None and pictures.get("theme"):
        theme = Theme.model_validate(pictures["theme"])
    if theme is None:
        return None
    fonts = {name: _font(made, getattr(theme, name), name) for name in ("display", "text")}
    return theme.model_copy(update=fonts)


def _font(made: MadeContent, family: str, role: str) -> str:
    from chimera.media.fonts import BUNDLED  # typefaces are loaded only where something is rendered

    if family in BUNDLED:
        return family
    return str(own_file(made, family, f"{role}-font"))


def _logo(made: MadeContent, brand: BrandTheme) -> Path | None:
    if not brand.logo:
        return None
    from chimera.media.own.logo import prepare_logo

    # whoever brought it: what is rendered is its pixels, decoded apart and within limits
    return prepare_logo(own_file(made, brand.logo, "logo"), out=Path("logo-plain.png").resolve())


def _logo_box(aspect: Any, platform: str) -> Area:
    return regions(aspect, platform)["logo"]


def own_file(made: MadeContent, name: str, what: str) -> Path:
    """A file of the brand's own: `file:PATH` (or a bare path) of this machine, `key:KEY` of the tenant's media store."""
    kind, _, rest = name.partition(":")
    if kind == "key" and rest:
        own = f"tenants/{made.scope.tenant_id}/"
        key = rest if rest.startswith("tenants/") else own + rest.lstrip("/")
        if not key.startswith(own) or ".." in key.split("/"):
            raise ChimeraError("FORBIDDEN", f"{what}: key:{rest[:120]} is not in this tenant's part of the media store")
        # under a name of ours: the key's own could be anything but its kind
        return made.media.fetch(key, Path(what + Path(key).suffix.lower()[:6]))
    path = Path(rest if kind == "file" and rest else name).expanduser()
    if "\0" in name or not path.is_file():
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"{what}: got {name[:120]!r}, which is not there; expected file:PATH or key:KEY of a file"
            + (", or a bundled family's name" if "font" in what else ""),
        )
    return path.resolve()


def _captions(
    board: Storyboard | None, options: RunOptions, guidelines: BrandGuidelines, plain: CaptionLook
) -> CaptionLook:
    """How captions are shown: as the run asks, else as the persona has it, else as the template does."""
    look = board.captions if board else plain
    changes: dict[str, Any] = {}
    if style := options.captions or guidelines.captions:
        changes["style"] = style
    if options.soft_captions:
        changes["soft"] = True
    if options.mask_profanity:
        changes["mask_profanity"] = True
    return look.model_copy(update=changes)


def music_of(ask: dict[str, Any], template: str = "") -> dict[str, Any]:
    """What was asked for: by the run, else by the persona, else by the template."""
    said = str(ask["options"].get("music") or "")
    persona = str(ask["persona"]["brand_guidelines"].get("music") or "auto")
    asked = said or (persona if persona != "auto" else "") or (template if template in MOODS else "") or "auto"
    return {"music_file": Path(asked.removeprefix("file:"))} if asked.startswith("file:") else {"music": asked}
