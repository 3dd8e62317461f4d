"""From a rejection to the event that it was meant to be, under its own id and time. Pure.

What is missing follows from the rejection alone, so that mending it again gives the very same event: what is sent twice
counts once.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.page_view import TYPE as PAGE_VIEW
from collector.page_view import long_form
from collector.parse import Unparseable, decode
from collector.receipts import rfc3339
from contracts.tenant import TENANT
from contracts.validate import Violation
from rejects.recipe import NotApplicable, Recipe
from rejects.reject import ERASED, Reject

REPAIRED_IDS = uuid.UUID("0f7a5c6e-3c1d-5b52-9d7e-6a4f1e0c8b21")
"""Namespace of the ids of events whose client gave none: the name in it is the rejection's id."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAMPS = ("tenant", "received_at", "collector_id", "sequence", "minted")
"""What the collector adds to an event, and a lander's rejection still has: no repair changes any of it."""


class Unrestorable(Exception):
    """No event can be made of it; ``reasons`` say why."""

    def __init__(self, *reasons: Violation) -> None:
        super().__init__(str(reasons))
        self.reasons = reasons


def whose(reject: Reject) -> str:
    """The tenant that a rejection belongs to, and its repaired event with it.

    :raises Unrestorable: nothing says so.
    """
    if reject.tenant is None or TENANT.fullmatch(reject.tenant) is None:
        raise Unrestorable(Violation("", "tenant", "nothing says whose event it is"))
    return reject.tenant


def restore(reject: Reject, recipe: Recipe) -> Any:
    """The event: as it was sent, mended by ``recipe``, with an id and a time. It may still be one no contract takes.

    The patch sees the text as the client sent it, so the short form of a page view too. It may change an id or a time
    only if that was what the event was refused for: whoever sends the event again himself sends it under the old ones.

    :raises Unrestorable: the text is no JSON, or the patch is not for it; or it was erased.
    """
    if reject.erased:  # and no patch makes an event of what is left
        raise Unrestorable(ERASED)
    try:
        value = decode(reject.body)
    except Unparseable as error:
        raise Unrestorable(Violation("", "json", str(error))) from error
    if reject.stage == "lander" and isinstance(value, dict):
        value = {name: given for name, given in value.items() if name not in STAMPS}
    # A client who names no type, whose event has one all the same: the collector took it for the short form.
    short = isinstance(value, dict) and "event_type" not in value and reject.event_type == PAGE_VIEW
    sent = value
    try:
        value = recipe.apply(sent)
    except NotApplicable as error:
        raise Unrestorable(Violation("", "patch", str(error))) from error
    if short and isinstance(value, dict) and "event_type" not in value:
        value, reasons = long_form(value)
        if reasons:
            raise Unrestorable(*reasons)
    if not isinstance(value, dict):
        return value
    if isinstance(sent, dict):
        _same_identity(sent, value, reject, short=short)
    return _with_identity(value, reject, recipe)


def _same_identity(sent: dict[str, Any], event: dict[str, Any], reject: Reject, *, short: bool) -> None:
    """Hold a patch to what the sender said of identity and time, where nothing was wrong with it."""
    for name, short_name, read in (("event_id", "eventId", _id), ("occurred_at", "timestamp", _instant)):
        said = short_name if short else name
        was = read(sent.get(said))
        if was is None or any(reason.pointer == f"/{said}" for reason in reject.reasons):
            continue
        if read(event.get(name)) != was:
            message = f"the patch changes the event's own {said}, with which nothing was wrong"
            raise Unrestorable(Violation(f"/{said}", "patch", message))


def _id(value: Any) -> str | None:
    """The id, if it is one."""
    try:
        found = str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found == str(value).lower() else None


def _instant(value: Any) -> datetime | None:
    """The instant, if it is one."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found


def _with_identity(event: dict[str, Any], reject: Reject, recipe: Recipe) -> dict[str, Any]:
    given = dict(event)
    if "event_id" not in given:
        own = reject.idempotent_id if "occurred_at" in given else None
        given["event_id"] = own or str(uuid.uuid5(REPAIRED_IDS, reject.reject_id))
        given.setdefault("occurred_at", stamp(reject.received_at))
    elif recipe.at_receipt:
        given.setdefault("occurred_at", stamp(reject.received_at))
    return given


def stamp(when: datetime) -> str:
    """An instant as the collector writes it."""
    return rfc3339(microseconds(when))


def microseconds(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (when - _EPOCH) // timedelta(microseconds=1)
