"""Joins segments and sound to the finished file, without encoding again: chapters, soft captions, index in front."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chimera.media import process

# ISO 639-1 → ISO 639-2/T: what an MP4's track says its language is.
_LANGUAGES = {
    "ar": "ara", "bg": "bul", "bn": "ben", "ca": "cat", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng",
    "es": "spa", "et": "est", "fa": "fas", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun",
    "id": "ind", "it": "ita", "ja": "jpn", "ko": "kor", "lt": "lit", "lv": "lav", "ms": "msa", "nb": "nob", "nl": "nld",
    "no": "nor", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus", "sk": "slk", "sl": "slv", "sr": "srp", "sv": "swe",
    "ta": "tam", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "zho",
}  # fmt: skip


@dataclass(frozen=True)
class Extras:
    """What is in the file besides picture and sound: captions as a track (SRT), chapters as (seconds, title)."""

    language: str = "en"
    captions: Path | None = None
    chapters: tuple[tuple[float, str], ...] = ()


def track_language(tag: str) -> str:
    """A BCP 47 tag's language as MP4 names it; `und` for one that is not known."""
    return _LANGUAGES.get(tag.split("-")[0].lower(), "und")


def chapters_file(chapters: Sequence[tuple[float, str]], seconds: float) -> str:
    """Chapters as FFmpeg's metadata format, each until the next one; what is special there is escaped."""
    lines = [";FFMETADATA1"]
    ends = [start for start, _ in chapters[1:]] + [seconds]
    for (start, title), end in zip(chapters, ends, strict=True):
        times = f"TIMEBASE=1/1000\nSTART={round(start * 1000)}\nEND={max(round(end * 1000), round(start * 1000) + 1)}"
        lines.append(f"[CHAPTER]\n{times}\ntitle={_escaped(title)}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    flat = " ".join(text.split())
    # FFmpeg takes a line feed behind any backslash, an escaped one too, for a part of the text; a NUL ends the line as well
    end = "\0" if flat.endswith("\\") else ""
    return "".join(f"\\{c}" if c in "=;#\\" else c for c in flat) + end


def join(
    segments: Sequence[Path],
    seconds: Sequence[float],
    sound: Path,
    *,
    folder: Path,
    out: Path,
    extras: Extras | None = None,
) -> None:
    """Joins segments and sound, index in front (faststart), atomically; `folder` is for lists and notes.

    Segments are named by us, so the list holds no text from outside. Their exact `seconds` are given: an MP4's own
    duration is rounded to milliseconds, which would shift the frames behind each join.
    """
    more = extras or Extras()
    (folder / "segments.ffconcat").write_text(
        "ffconcat version 1.0\n"
        + "".join(
            f"file {_relative(path, folder)}\nduration {length:.6f}\n"
            for path, length in zip(segments, seconds, strict=True)
        ),
        "ascii",
    )
    options = ["-f", "concat", "-safe", "0", "-i", "segments.ffconcat", "-i", _relative(sound, folder)]
    maps = ["-map", "0:v", "-map", "1:a"]
    tags: list[str] = []
    count = 2
    if more.captions is not None:
        options += ["-f", "srt", "-i", _relative(more.captions, folder)]
        maps += ["-map", f"{count}:s"]
        tags += ["-c:s", "mov_text", "-metadata:s:s:0", f"language={track_language(more.language)}",
                 "-disposition:s:0", "default"]  # fmt: skip
        count += 1
    chapters = "-1"
    if more.chapters:
        (folder / "chapters.txt").write_text(chapters_file(more.chapters, sum(seconds)), "utf-8")
        options += ["-f", "ffmetadata", "-i", "chapters.txt"]
        chapters = str(count)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp.mp4")
    command = [
        process.executable(), "-y", "-hide_banner", "-nostats", "-loglevel", "error", *options, *maps, "-c:v", "copy",
        "-c:a", "copy", *tags, "-map_metadata:g", "-1", "-map_chapters", chapters, "-movflags", "+faststart", "-fflags",
        "+bitexact", _relative(temporary, folder),
    ]  # fmt: skip
    try:
        process.run(command, cwd=folder)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)
