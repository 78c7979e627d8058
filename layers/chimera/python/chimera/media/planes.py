"""A frame as planar YUV 4:2:0 (BT.709, limited range): one flat buffer, and its three planes as views of it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

Plane = np.ndarray[Any, np.dtype[np.uint8]]
Planes = tuple[Plane, Plane, Plane]

# RGB → Y'CbCr, ITU-R BT.709, limited range (Y 16–235, C 16–240)
TO_YUV = np.array(
    [[0.2126, 0.7152, 0.0722], [-0.114572, -0.385428, 0.5], [0.5, -0.454153, -0.045847]], dtype=np.float32
) * np.array([[219.0], [224.0], [224.0]], dtype=np.float32) / 255.0  # fmt: skip
OFFSET = np.array([16.0, 128.0, 128.0], dtype=np.float32)


def frame_bytes(size: tuple[int, int]) -> int:
    """Bytes of a frame of (width, height), both even."""
    return size[0] * size[1] * 3 // 2


def planes_of(buffer: Plane, size: tuple[int, int]) -> Planes:
    """The planes of a flat I420 buffer, as views."""
    width, height = size
    luma, chroma = width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        buffer[:luma].reshape(height, width),
        buffer[luma : luma + chroma].reshape(half),
        buffer[luma + chroma : luma + 2 * chroma].reshape(half),
    )


def from_bgr(picture: Plane) -> Planes:
    """A BGR picture with even sides as planes; chroma averaged over 2 x 2 pixels."""
    matrix = np.hstack([TO_YUV[:, ::-1], OFFSET[:, None]])  # OpenCV's pictures are BGR
    yuv = cv2.transform(picture, matrix.astype(np.float32))
    y, u, v = (np.ascontiguousarray(yuv[:, :, i], dtype=np.uint8) for i in range(3))
    half = (picture.shape[1] // 2, picture.shape[0] // 2)
    small = [np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), dtype=np.uint8) for plane in (u, v)]
    return y, small[0], small[1]


def colour(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """A colour (8-bit RGB) as Y, U, V."""
    y, u, v = (round(float(value)) for value in TO_YUV @ np.array(rgb, dtype=np.float32) + OFFSET)
    return y, u, v
