"""How many bytes of bodies are held at once, over all requests: from the first byte to the answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from collector.answers import Unavailable

Hold = Callable[[int], None]
"""Count so many bytes more; raises :class:`Unavailable` when there is no room for them."""


class Bodies:
    """At most ``most`` bytes, and of one write key half of that: a key that anybody can read in a page's source is not
    to take the room of all others.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0
        self._of: dict[str, int] = {}

    @contextmanager
    def held_by(self, key_id: str) -> Iterator[Hold]:
        """Count for one request of this key; given back when it is left."""
        mine = 0

        def hold(size: int) -> None:
            nonlocal mine
            if self.held + size > self._most or self._of.get(key_id, 0) + size > self._most // 2:
                raise Unavailable("too many bytes are being received at once")
            mine += size
            self.held += size
            self._of[key_id] = self._of.get(key_id, 0) + size

        try:
            yield hold
        finally:
            self.held -= mine
            left = self._of.pop(key_id, 0) - mine
            if left:
                self._of[key_id] = left
