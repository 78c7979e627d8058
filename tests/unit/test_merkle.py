"""RFC 6962 trees: against the RFC's own recursive definition, and whatever does not belong is refused."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.merkle import inclusion_path, merkle_root, verify_inclusion

HASHES = st.binary(min_size=32, max_size=32)
TREES = st.lists(HASHES, min_size=1, max_size=70, unique=True)


def split(count: int) -> int:
    """The largest power of two below `count`."""
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1: MTH, over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1: PATH."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def leaves_of(count: int) -> list[bytes]:
    return [sha256(b"\0" + bytes([n])).digest() for n in range(count)]


def test_golden_roots_by_hand() -> None:
    a, b, c, d, e = leaves_of(5)

    def h(left: bytes, right: bytes) -> bytes:
        return sha256(b"\x01" + left + right).digest()

    assert merkle_root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle_root([a]) == a
    assert merkle_root([a, b]) == h(a, b)
    assert merkle_root([a, b, c]) == h(h(a, b), c)
    assert merkle_root([a, b, c, d]) == h(h(a, b), h(c, d))
    assert merkle_root([a, b, c, d, e]) == h(h(h(a, b), h(c, d)), e)
    assert inclusion_path([a, b, c, d, e], 4) == [h(h(a, b), h(c, d))]
    assert inclusion_path([a, b, c, d, e], 2) == [d, h(a, b), e]


@pytest.mark.parametrize("size", [*range(1, 66), 999, 1000])
def test_root_and_paths_are_the_rfcs(size: int) -> None:
    leaves = leaves_of(256) * 4
    leaves = [sha256(leaf + bytes([n // 256])).digest() for n, leaf in enumerate(leaves)][:size]
    root = merkle_root(leaves)
    assert root == naive_root(leaves)
    for index in range(0, size, max(1, size // 20)):
        path = inclusion_path(leaves, index)
        assert path == naive_path(index, leaves)
        assert verify_inclusion(leaves[index], index, size, path, root)


@given(TREES, st.data())
def test_a_proof_holds_for_its_leaf_index_size_and_root_only(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    root, path = merkle_root(leaves), inclusion_path(leaves, index)
    assert verify_inclusion(leaves[index], index, size, path, root)
    other = data.draw(st.integers(-2, 2 * size).filter(lambda n: n != index))
    assert not verify_inclusion(leaves[index], other, size, path, root)
    strange = data.draw(HASHES.filter(lambda leaf: leaf != leaves[index]))
    assert not verify_inclusion(strange, index, size, path, root)
    assert not verify_inclusion(leaves[index], index, size, path, data.draw(HASHES.filter(lambda r: r != root)))
    assert not verify_inclusion(leaves[index], index, size, [*path, strange], root)
    if path:
        spot = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:spot], data.draw(HASHES.filter(lambda step: step != path[spot])), *path[spot + 1 :]]
        assert not verify_inclusion(leaves[index], index, size, changed, root)
        assert not verify_inclusion(leaves[index], index, size, path[:spot] + path[spot + 1 :], root)


@given(TREES, st.data())
def test_a_proof_does_not_hold_for_a_size_whose_tree_has_another_shape_there(
    leaves: list[bytes], data: st.DataObject
) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    root, path = merkle_root(leaves), inclusion_path(leaves, index)
    for wrong in range(1, 2 * size + 2):
        if wrong <= index or len(naive_path(index, [bytes(32)] * wrong)) != len(path):
            assert not verify_inclusion(leaves[index], index, wrong, path, root)


@given(TREES)
def test_no_leaf_is_doubled(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) != merkle_root([*leaves, leaves[-1]])


@given(TREES, st.data())
def test_any_change_of_the_leaves_changes_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    root = merkle_root(leaves)
    spot = data.draw(st.integers(0, len(leaves) - 1))
    assert (
        merkle_root([*leaves[:spot], data.draw(HASHES.filter(lambda x: x != leaves[spot])), *leaves[spot + 1 :]])
        != root
    )
    assert merkle_root(leaves[:spot] + leaves[spot + 1 :]) != root
    if len(leaves) > 1:
        assert merkle_root(leaves[::-1]) != root


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_place_outside_the_tree_is_refused(index: int, size: int) -> None:
    leaves = leaves_of(size)
    with pytest.raises(ValueError, match="is not in a tree of"):
        inclusion_path(leaves, index)
    assert not verify_inclusion(bytes(32), index, size, [], bytes(32))


def test_what_is_no_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        merkle_root([b"short"])
    leaf = leaves_of(1)[0]
    assert not verify_inclusion(leaf, 0, 2, [b"short"], leaf)
    assert not verify_inclusion(leaf, 0, 2**70, [leaf] * 65, leaf)
