"""Since when somebody is asked for something, who may not answer at all: that must be said while it is waited for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

SLOW_SECONDS = 8.0
"""Most seconds that a lake may take over one commit and be said to work: on Linux, S3's client in Arrow waits for ever
for an answer."""


class Asking:
    """One question at a time. ``whom``: as it is said; ``patience``: seconds for an answer that nobody calls late."""

    def __init__(self, whom: str, patience: float) -> None:
        self._whom, self._patience = whom, patience
        self._since: float | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """The block is what is asked for."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    @property
    def too_long(self) -> str | None:
        """Why it is no longer to be called work in progress."""
        since = self._since  # another thread's
        seconds = 0.0 if since is None else time.monotonic() - since
        return f"{self._whom} has not answered for {seconds:.0f} s" if seconds > self._patience else None
