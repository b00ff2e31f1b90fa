"""Names that are taken, a million of them in a few megabytes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from hashlib import blake2b


class Taken:
    """A set of texts that keeps 8 bytes of each one's hash, and knows each again.

    A text that was not added is taken for one that was in one of 10^13 cases where a million are kept,
    the same in every process; a name that is found taken without need is only passed over.

    Args:
        texts: the first ones.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._slots = array("Q", bytes(8 * 1024))  # 0 is free
        self._count = 0
        self.update(texts)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, text: str) -> bool:
        key = _key(text)
        return self._slots[self._find(key)] == key

    def update(self, texts: Iterable[str]) -> None:
        """Add texts."""
        for text in texts:
            if self._put(_key(text)):
                self._count += 1
                if 3 * self._count > 2 * len(self._slots):
                    self._grow()

    def _put(self, key: int) -> bool:
        place = self._find(key)
        new = self._slots[place] != key
        self._slots[place] = key
        return new

    def _find(self, key: int) -> int:
        """Return the slot of a key, or the free one that it would get: the next from where its bits point."""
        slots, mask = self._slots, len(self._slots) - 1
        place = key & mask
        while slots[place] and slots[place] != key:
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(8 * 2 * len(old)))
        for key in filter(None, old):
            self._put(key)


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1
