"""Rejected events of who was forgotten: what is kept of them, and how they are found. Pure."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_ERASED = "erased"
_APART = re.compile(r"""[\s"'`{}\[\](),;=&?#/<>|\\]+""")
_LONGEST = 256
"""No id is longer than half of this (contracts/common.json), so longer pieces of a text are none."""
_REDACTED_LONGEST = 100
"""Characters of what is left of a body, at most."""


def words(body: str, encoding: str) -> Iterator[str]:
    """Everything in a rejected body that may be somebody's id: its texts and numbers, and the pieces of its texts.

    A body that is no JSON is cut into pieces as it is.
    """
    text = _decoded(body) if encoding == "base64" else body
    try:
        leaves = list(_leaves(json.loads(text)))
    except (ValueError, RecursionError):
        leaves = [text]
    for leaf in leaves:
        if len(leaf) <= _LONGEST:
            yield leaf
        for piece in _APART.split(leaf):
            if 0 < len(piece) <= _LONGEST:
                yield piece
                if ":" in piece:
                    yield from filter(None, piece.split(":"))


def redacted(row: Mapping[str, Any], is_theirs: Callable[[str], bool]) -> dict[str, Any]:
    """The columns ``body``, ``body_encoding``, ``reasons`` and ``event_type`` of a rejection, without what they sent.

    Left are which fields were wrong and by which rule: that is what rejections are counted by. Of what a lander set
    aside the time of receipt stays too, by which the books know its hour.
    """
    kept: dict[str, Any] = {_ERASED: True}
    if row["stage"] == "lander" and (received := _received(row["body"])) is not None:
        kept["received_at"] = received
    type_ = row["event_type"]
    return {
        "body": json.dumps(kept),
        "body_encoding": "utf-8",
        "reasons": json.dumps([_reason(one, is_theirs) for one in json.loads(row["reasons"])]),
        "event_type": None if type_ is not None and is_theirs(type_) else type_,
    }


def is_redacted(body: str) -> bool:
    """Whether a body is what :func:`redacted` left."""
    if len(body) > _REDACTED_LONGEST:  # nor is it nested so deeply then that nothing reads it
        return False
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get(_ERASED) is True and found.keys() <= {_ERASED, "received_at"}


def _reason(reason: Mapping[str, str], is_theirs: Callable[[str], bool]) -> dict[str, str]:
    pointer = reason.get("pointer", "")
    named = any(is_theirs(part) for part in pointer.split("/") if part)
    return {"pointer": "" if named else pointer, "keyword": reason.get("keyword", ""), "message": _ERASED}


def _received(body: str) -> str | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = found.get("received_at") if isinstance(found, dict) else None
    return value if isinstance(value, str) and len(value) < 40 else None


def _leaves(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            stack += one
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield str(one)


def _decoded(body: str) -> str:
    try:
        return base64.b64decode(body).decode("latin-1")
    except (binascii.Error, ValueError):
        return body
