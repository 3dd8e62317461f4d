"""A program's own work, told apart from a person's because the program says so.

Superset asks for connections and writes its own tables also where there is no request and nobody is logged in: a
download, for one, is written after its request has ended. That nobody is known must therefore never mean that
everything may be seen or changed. The bootstrap declares its work here; whoever has not, is a person.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# A thread that is started has a context of its own: the declaration reaches no other thread.
_DECLARED: ContextVar[bool] = ContextVar("watershed_own_work", default=False)


@contextmanager
def own_work() -> Iterator[None]:
    """What is done within is a program's own work."""
    token = _DECLARED.set(True)
    try:
        yield
    finally:
        _DECLARED.reset(token)


def is_own_work() -> bool:
    """Whether what is being done was declared to be a program's own work."""
    return _DECLARED.get()
