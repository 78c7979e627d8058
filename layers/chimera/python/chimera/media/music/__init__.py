"""Music made here: notes by rules, sounds by arithmetic, no samples from anywhere, so its licence is ours."""

from chimera.media.music.samples import RATE, Samples

__all__ = ["RATE", "Samples"]
