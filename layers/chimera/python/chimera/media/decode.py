"""The technical gate's single decoding pass: ffmpeg's own detectors, and small copies of picture and sound for ours."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from chimera.errors import ChimeraError
from chimera.media import process
from chimera.media.audio import parse_ebur128

# Calibrated on our own renders (docs/gate.md). Freeze: a slow zoom differs by −55 dB within 1.2 s at the latest, a still
# card, encoded, not even across its key frames. Silence: a spoken pause over the music bed stays above −50 dB. Clipping:
# sound cut at full scale keeps over 0.1 % of its samples there after AAC; a limited master has none.
FREEZE_NOISE_DB = -55
BLACK_PIXEL, BLACK_PICTURE = 0.06, 0.985
SILENCE_DB = -50
FULL_SCALE = 0.985
SHORTEST_SEEN = 0.25

SHORT_SIDE = 360
"""The picture's shorter side as the detectors see it, in pixels; nothing is enlarged."""
CELLS = (28, 16)
"""Rows and columns of the picture's cells in which flashes are looked for (swapped for a wide picture)."""
MOST_SAMPLES = 60
"""Pictures that are kept for the measures of quality."""
SOUND_RATE = 8_000
_DAMAGE = re.compile(
    r"error while decoding|Invalid NAL|concealing|non-existing PPS|no frame!|Error submitting packet|"
    r"Invalid data found when processing|corrupt|decode_slice_header error|channel element .* is not allocated|"
    r"Error decoding|missing picture",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Decoded:
    """What one pass gave. `cells`: RGB means, `(frames, rows, columns, 3)`; `samples`: luma of pictures spread evenly
    over the video, `(n, height, width)`; `sound`: 16-bit stereo at `SOUND_RATE`, `(n, 2)`. Empty where there is none.
    """

    found: dict[str, Any]
    cells: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, *CELLS, 3), np.uint8))
    samples: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 2, 2), np.uint8))
    sound: NDArray[np.int16] = field(default_factory=lambda: np.zeros((0, 2), np.int16))


def small_size(width: int, height: int) -> tuple[int, int]:
    """Even width and height with the shorter side at `SHORT_SIDE` at the most."""
    scale = min(1.0, SHORT_SIDE / min(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def decode(video: Path, *, has_audio: bool, seconds: float, size: tuple[int, int]) -> Decoded:
    """Decodes the file once. Damaged frames are counted; what cannot be decoded at all gives `decode_error`.

    The picture is made small once and all detectors work on that. One decoder thread: two cost 15 % more CPU. Frames that
    nothing else is predicted from are not deblocked, which no detector can see.
    """
    small = small_size(*size)
    rows, columns = CELLS if small[1] >= small[0] else CELLS[::-1]
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        command = _command(video, Path(folder), small, (columns, rows), seconds, has_audio=has_audio)
        try:
            heard, text = process.run(command, cwd=video.resolve().parent)
        except ChimeraError as error:
            if error.details.get("reason") != "ffmpeg":
                raise
            return Decoded({"decode_error": str(error.details.get("stderr", ""))[-300:]})
        cells = np.fromfile(Path(folder) / "cells", np.uint8)
        samples = np.fromfile(Path(folder) / "samples", np.uint8)
    count = len(cells) // (rows * columns * 3)
    pixels = small[0] * small[1] * 3 // 2
    kept = len(samples) // pixels
    luma = samples[: kept * pixels].reshape(kept, -1)[:, : small[0] * small[1]]
    sound = np.frombuffer(heard, np.int16)
    return Decoded(
        _found(text, seconds, has_audio=has_audio)
        | {"decoded_frames": count, "damage_reports": len(_DAMAGE.findall(text))},
        cells[: count * rows * columns * 3].reshape(count, rows, columns, 3),
        luma.reshape(kept, small[1], small[0]),
        sound[: len(sound) // 2 * 2].reshape(-1, 2),
    )


def _command(
    video: Path, folder: Path, small: tuple[int, int], cells: tuple[int, int], seconds: float, *, has_audio: bool
) -> list[str]:
    source = ffmpeg.input(f"file:{video.name}", threads=1, skip_loop_filter="noref")
    pictures = source.video.filter("scale", *small, flags="area").filter("format", "yuv420p").split()
    seen = pictures[0].filter("blackdetect", d=SHORTEST_SEEN, pix_th=BLACK_PIXEL, pic_th=BLACK_PICTURE)
    seen = seen.filter("freezedetect", n=f"{FREEZE_NOISE_DB}dB", d=1.0)
    grid = pictures[1].filter("scale", *cells, flags="area").filter("format", "rgb24")
    every = max(0.25, seconds / MOST_SAMPLES)
    chosen = pictures[2].filter("select", f"isnan(prev_selected_t)+gte(t-prev_selected_t,{every:.3f})")
    raw = {"format": "rawvideo", "fps_mode": "passthrough"}
    measured = [seen]
    outputs = [ffmpeg.output(grid, str(folder / "cells"), **raw), ffmpeg.output(chosen, str(folder / "samples"), **raw)]
    if has_audio:
        sound = source.audio.asplit()
        heard = sound[0].filter("silencedetect", n=f"{SILENCE_DB}dB", d=SHORTEST_SEEN)
        heard = heard.filter("ebur128", peak="true", framelog="quiet")
        # 1 for a sample at full scale, else 0: the mean square of that is their share
        at_full_scale = f"gte(max(abs(val(0)),abs(val(1))),{FULL_SCALE})"
        heard = heard.filter("aeval", at_full_scale, channel_layout="mono")
        measured.append(heard.filter("astats", measure_perchannel="none", measure_overall="RMS_level"))
        copy = sound[1].filter("aresample", SOUND_RATE).filter("aformat", channel_layouts="stereo")
        outputs.append(ffmpeg.output(copy, "-", format="s16le"))
    outputs.append(ffmpeg.output(*measured, "-", format="null"))
    return process.command(ffmpeg.merge_outputs(*outputs), options=("-filter_complex_threads", "1"))


def _found(text: str, seconds: float, *, has_audio: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "longest_black_seconds": _longest(text, "black_start:", "black_duration:", seconds),
        "longest_freeze_seconds": _longest(text, "freeze_start: ", "freeze_duration: ", seconds),
    }
    if has_audio:
        loudness = parse_ebur128(text)
        share = re.search(r"RMS level dB: (-?[\d.]+|-inf)", text)
        found |= {
            "longest_silence_seconds": _longest(text, "silence_start: ", "silence_duration: ", seconds),
            "silent_seconds": round(sum(_stretches(text, "silence_start: ", "silence_duration: ", seconds)), 3),
            "loudness_lufs": loudness.integrated, "true_peak_dbtp": loudness.true_peak, "loudness_range_lu": loudness.range_lu,
            "clipped_share": None if share is None else round(10 ** (float(share[1]) / 10), 6),
        }  # fmt: skip
    return found


def _stretches(text: str, start: str, duration: str, seconds: float) -> list[float]:
    """The stretches that a detector reported; one that had not ended when the file did counts to the file's end."""
    number = r"(-?[\d.]+)"
    durations = [float(value) for value in re.findall(re.escape(duration) + number, text)]
    starts = [float(value) for value in re.findall(re.escape(start) + number, text)]
    if len(starts) > len(durations):
        durations.append(max(seconds - starts[-1], 0.0))
    return durations


def _longest(text: str, start: str, duration: str, seconds: float) -> float:
    return round(max(_stretches(text, start, duration, seconds), default=0.0), 3)
