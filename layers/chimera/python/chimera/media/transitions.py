"""How one picture gives way to the next: two finished frames and how far the change is become one. Type is not in them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from chimera.media.models import Transition
from chimera.media.planes import Plane, Planes, colour, planes_of
from chimera.media.theme import rgb

_SOFT = 0.06  # of the width: the soft edge of a wipe
_ZOOM = 0.22

# into, from, share (0–1, eased), size, ground
_Change = Callable[[Plane, Plane, float, tuple[int, int], tuple[int, int, int]], None]


def change(
    kind: Transition, new: Plane, old: Plane, number: int, frames: int, *, size: tuple[int, int], ground: str
) -> None:
    """Writes frame `number` of `frames` of a transition into `new`, which holds the coming picture as `old` the going.

    Both are flat I420 buffers; `old` may be written to as well. `ground` is the colour (`#rrggbb`) of `dip`.
    """
    share = (number + 1) / (frames + 1)
    _CHANGES[kind](new, old, share * share * (3 - 2 * share), size, colour(rgb(ground)))


def _dissolve(new: Plane, old: Plane, share: float, _size: tuple[int, int], _ground: tuple[int, int, int]) -> None:
    cv2.addWeighted(new, share, old, 1.0 - share, 0.0, dst=new)


def _cut(_new: Plane, _old: Plane, _share: float, _size: tuple[int, int], _ground: tuple[int, int, int]) -> None:
    """The coming picture as it is."""


def _edge(share: float, size: tuple[int, int]) -> int:
    """How many columns of the coming picture are seen; even, for the sake of chroma."""
    return min(max(round(share * size[0] / 2) * 2, 0), size[0])


def _slide(new: Plane, old: Plane, share: float, size: tuple[int, int], _ground: tuple[int, int, int]) -> None:
    """The coming picture slides over the going one, which stays."""
    _shift(planes_of(new, size), planes_of(old, size), _edge(share, size), moves=False)


def _push(new: Plane, old: Plane, share: float, size: tuple[int, int], _ground: tuple[int, int, int]) -> None:
    """The coming picture pushes the going one out on the left."""
    _shift(planes_of(new, size), planes_of(old, size), _edge(share, size), moves=True)


def _shift(new: Planes, old: Planes, seen: int, *, moves: bool) -> None:
    for number, (coming, going) in enumerate(zip(new, old, strict=True)):
        width = coming.shape[1]
        take = seen // 2 if number else seen
        come = coming[:, :take].copy()
        coming[:, : width - take] = going[:, take:] if moves else going[:, : width - take]
        coming[:, width - take :] = come


def _wipe(new: Plane, old: Plane, share: float, size: tuple[int, int], _ground: tuple[int, int, int]) -> None:
    """An edge, a little soft, runs from left to right."""
    for coming, going in zip(planes_of(new, size), planes_of(old, size), strict=True):
        width = coming.shape[1]
        soft = max(round(width * _SOFT), 2)
        edge = share * (width + soft) - soft
        columns = np.arange(width, dtype=np.float32)
        weight = np.clip((columns - edge) / soft, 0, 1)
        first, last = max(int(edge), 0), min(max(int(edge) + soft + 1, 0), width)
        coming[:, last:] = going[:, last:]
        if last > first:
            band = weight[first:last]
            mixed = coming[:, first:last] * (1 - band) + going[:, first:last] * band
            coming[:, first:last] = np.round(mixed).astype(np.uint8)


def _zoom(new: Plane, old: Plane, share: float, size: tuple[int, int], ground: tuple[int, int, int]) -> None:
    """The going picture comes nearer and dissolves into the coming one, which settles from nearer too."""
    for coming, going in zip(planes_of(new, size), planes_of(old, size), strict=True):
        going[:] = _nearer(going, 1 + _ZOOM * share)
        coming[:] = _nearer(coming, 1 + _ZOOM / 2 * (1 - share))
    _dissolve(new, old, share, size, ground)


def _nearer(plane: Plane, by: float) -> Plane:
    height, width = plane.shape
    inverse = 1 / by
    matrix = np.array([[inverse, 0, (width - 1) / 2 * (1 - inverse)], [0, inverse, (height - 1) / 2 * (1 - inverse)]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def _dip(new: Plane, old: Plane, share: float, size: tuple[int, int], ground: tuple[int, int, int]) -> None:
    """Down to the ground colour, and up again from it."""
    if share < 0.5:
        new[:] = old
    kept = abs(2 * share - 1)
    for plane, tone in zip(planes_of(new, size), ground, strict=True):
        cv2.addWeighted(plane, kept, plane, 0.0, tone * (1 - kept), dst=plane)


_CHANGES: dict[Transition, _Change] = {
    "cut": _cut, "dissolve": _dissolve, "slide": _slide, "push": _push, "wipe": _wipe, "zoom": _zoom, "dip": _dip,
}  # fmt: skip
