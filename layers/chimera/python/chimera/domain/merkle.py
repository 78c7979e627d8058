"""RFC 6962 Merkle trees over leaf hashes: one root stands for up to 1000 ledger rows, and a short path proves a row is in it.

Inner nodes are SHA-256(0x01 ‖ left ‖ right); a tree whose size is no power of two is split at the largest power of two
below its size (RFC 6962, 2.1), so no leaf is ever doubled and no two lists of leaves of one length share a root.
Leaves come as hashes: a ledger row's hash is SHA-256(0x00 ‖ previous hash ‖ body), the RFC's leaf hash of `prev ‖ body`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32
MAX_PATH = 64
"""A longer path than any tree of up to 2^64 leaves has is refused before it is walked."""


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The tree's root hash; of no leaves SHA-256 of nothing (RFC 6962, 2.1). `ValueError` for a leaf that is no hash."""
    if any(len(leaf) != HASH_BYTES for leaf in leaves):
        raise ValueError("a leaf is a SHA-256 hash of 32 bytes")
    if not leaves:
        return sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        # pairs from the left; an odd one out goes up as it is: the same tree as the RFC's recursive split
        above = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes from leaf `index` (from 0) up to the root (RFC 6962, 2.1.1). `ValueError` outside the tree."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"leaf {index} is not in a tree of {len(leaves)} leaves")
    path: list[bytes] = []
    level, at = list(leaves), index
    while len(level) > 1:
        sibling = at ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        above = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level, at = above, at // 2
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is number `index` (from 0) of the `size` leaves under `root` (RFC 9162, 2.1.3.2).

    False for anything that does not fit; never raises for bad input.
    """
    if not 0 <= index < size or len(path) > MAX_PATH or any(len(h) != HASH_BYTES for h in (leaf, root, *path)):
        return False
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node(sibling, found)
            while at and not at & 1:  # levels at which this subtree had no sibling
                at, last = at >> 1, last >> 1
        else:
            found = node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root
