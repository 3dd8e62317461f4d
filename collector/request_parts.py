"""What a request says beside its body."""

import re
from typing import Any, Protocol

from collector.parse import Refused

_KEY_SHOWN = 255
_LINE = re.compile(r"[0-9]{1,18}")


class Headers(Protocol):
    """A request's headers, names in lower case."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def get_all(self, key: str) -> list[str]: ...
    def __contains__(self, key: str) -> bool: ...


def parameter(query: str, name: str) -> str | None:
    """One parameter of a query string. A write key needs no percent-decoding."""
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key == name:
            return value
    return None


def header(headers: Headers, name: str) -> str | None:
    """A header that may be there once.

    :raises Refused: 400 when it is there twice, or not in ASCII: a proxy may have believed the other one.
    """
    found = headers.get_all(name)
    if len(found) == 1:
        return found[0]
    if name in headers:
        raise Refused(400, "bad_header", f"{name} is given twice, or is not in ASCII")
    return None


def line(given: str | None) -> int | None:
    """Where a rejected line stood in the file that is imported; what is no such number is nobody's line."""
    return int(given) if given is not None and _LINE.fullmatch(given) else None


def idempotency_key(given: str | None) -> str | None:
    """The Idempotency-Key, where there is one.

    :raises Refused: 400 when it is none.
    """
    if given is None:
        return None
    if not 1 <= len(given) <= _KEY_SHOWN or not given.isascii() or not given.isprintable():
        raise Refused(400, "bad_idempotency_key", f"Idempotency-Key is 1 to {_KEY_SHOWN} printable ASCII characters")
    return given
