"""Keys made ready for use: parsed once, kept as long as the record they came from is current."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from kmsd.store.interfaces import Record

T = TypeVar("T")


class KeyCache:
    """Remembers what was made of a record's key: a parsed private key, a prepared cipher.

    An entry belongs to one `Record` object, which never changes: after any write the store hands
    out another, so a revoked or replaced key is never found here. Least recently used entries go
    first when there are more than `capacity`.
    """

    def __init__(self, capacity: int = 4_096) -> None:
        """Start empty."""
        self._capacity = capacity
        self._ready: OrderedDict[tuple[int, Hashable], tuple[Record, Any]] = OrderedDict()

    def get(self, record: Record, purpose: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` makes of the record's key for `purpose`, made at most once."""
        key = (id(record), purpose)
        entry = self._ready.get(key)
        if entry is not None and entry[0] is record:
            self._ready.move_to_end(key)
            return entry[1]  # type: ignore[no-any-return] # made for this purpose by `make`
        ready = make()
        self._ready[key] = (record, ready)
        while len(self._ready) > self._capacity:
            self._ready.popitem(last=False)
        return ready
