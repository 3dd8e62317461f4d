"""The short form of a page view, ``POST /page-view``: the same event under the names of small clients."""

from typing import Any

from contracts.validate import Violation

TYPE = "page_view"
NAMES = {
    "timestamp": "/occurred_at",
    "eventId": "/event_id",
    "region": "/data/region",
    "pageName": "/data/page_name",
    "visitorId": "/data/visitor_id",
}
"""The short form's names, and where each one's value lies in the event."""
REQUIRED = ("timestamp", "region", "pageName")
_SHORT = {pointer: f"/{name}" for name, pointer in NAMES.items()}


def long_form(value: object) -> tuple[Any, tuple[Violation, ...]]:
    """The event of a short form, and what is wrong with the form itself."""
    if not isinstance(value, dict):
        return value, ()
    event: dict[str, Any] = {"event_type": TYPE, "data": {}}
    reasons = [Violation("", "required", f'"{name}" is a required property') for name in REQUIRED if name not in value]
    for name, given in value.items():
        if name not in NAMES:
            escaped = name.replace("~", "~0").replace("/", "~1")
            reasons.append(Violation(f"/{escaped}", "additionalProperties", "is not a field of the short form"))
            continue
        *parents, last = NAMES[name][1:].split("/")
        (event["data"] if parents else event)[last] = given
    return event, tuple(reasons)


def short_form(violation: Violation) -> Violation | None:
    """A violation of the event, said in the short form's names; None for one that :func:`long_form` says itself."""
    if violation.keyword in ("required", "dependentRequired") and violation.pointer in ("", "/data"):
        return None
    pointer = _SHORT.get(violation.pointer, violation.pointer)
    return violation._replace(pointer=pointer)
