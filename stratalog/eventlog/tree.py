"""The root of the tree over commits, leaf by leaf, in memory that grows with the logarithm of their number."""

from __future__ import annotations

import hashlib


class TreeRoot:
    """RFC 9162's root over a growing list of leaf hashes; equal to `commit.tree_root` of the whole list."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Add one 32-byte leaf hash at the end."""
        # One peak for each bit that is set in the size; adding a leaf carries like adding 1 does.
        carry = self.size
        while carry & 1:
            leaf = _node(self._peaks.pop(), leaf)
            carry >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root as it stands, 32 bytes."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = _node(peak, root)
        return root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
