"""How much of a stranger's file is looked at: one place for every limit, named after what it limits."""

from __future__ import annotations

MAX_PICTURE_PIXELS = 64_000_000
MAX_PICTURE_BYTES = 100_000_000
MAX_SIDE = 32_767
"""Pixels of a side; OpenCV's own limit for what it resamples."""
MIN_SIDE = 64
"""Pixels; less than this cannot fill a part of a frame without being a blur."""
MIN_LOGO_SIDE, MAX_LOGO_SIDE = 8, 1024
"""Pixels; a larger logo is made smaller, for it stands in a corner."""
MAX_FOOTAGE_SECONDS = 2 * 3600
MAX_FOOTAGE_BYTES = 4_000_000_000
MAX_FOOTAGE_PIXELS = 8192 * 4320
MAX_STREAMS = 32
MAX_TILES = 300
"""Streams of a HEIC or AVIF: a phone's picture of 48 million pixels is 192 tiles, a small picture and one of the light."""
MAX_PREPARED_SECONDS = 600.0
MAX_PREPARED_BYTES = 6_000_000_000
"""Of an intermediate: ten minutes of all-intra 1080p stay well below."""

PROBE_SECONDS = 60.0
"""Wall time of reading headers and one frame, also of a 4 GB file."""
PICTURE_SECONDS = 60.0
FOOTAGE_SECONDS = 1800.0
"""Wall time of one decode of footage."""
WORKER_MEMORY_BYTES = 2_500_000_000
FFMPEG_MEMORY_BYTES = 6_000_000_000
"""Address space, most of it never touched: a 4k decoder with its threads reserves over 2 GB."""
OPEN_FILES = 64

DEMUXERS = {
    "mp4": "mov", "mov": "mov", "matroska": "matroska", "avi": "avi", "mpegts": "mpegts", "mpeg": "mpeg",
    "wav": "wav", "mp3": "mp3", "flac": "flac", "ogg": "ogg", "aac": "aac", "gif": "gif", "heif": "mov",
}  # fmt: skip
"""Container -> the only demuxer that gets to see it. None of them opens another file (mov: `enable_drefs` is off)."""

VIDEO_CODECS = (
    "h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg2video", "mpeg1video", "h263", "prores", "dnxhd",
    "mjpeg", "dvvideo", "theora", "gif", "ffv1", "rawvideo", "msmpeg4v3", "wmv2",
)  # fmt: skip
AUDIO_CODECS = (
    "aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "vorbis", "flac", "alac", "ac3", "eac3", "amrnb", "amrwb",
    "amr_nb", "amr_wb", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le",
    "pcm_f64le", "pcm_u8", "pcm_alaw", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav",
)  # fmt: skip
CODECS = (*VIDEO_CODECS, *AUDIO_CODECS)
"""Decoders that may run."""
