"""How rejected events are mended: a JSON Patch (RFC 6902), or nothing but today's contracts. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from jsonpatch import InvalidJsonPatch, JsonPatch, JsonPatchException, JsonPatchTestFailed, JsonPointerException

from collector.parse import Unparseable, decode

FOR_ALL = ("add", "replace")
"""Operations that put one and the same value into every event."""
NEEDS = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}
"""The member beside op and path that an operation has to have; the library asks for it only when it is applied."""
WHOLE = ""
EVENT_IDS = ("/event_id", "/eventId")
"""An event's id, and a page view's in its short form."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class PatchError(Exception):
    """The patch itself is wrong, whatever it is applied to; the message says what to change."""


class NotApplicable(Exception):
    """The patch is not for this event: something that it names is not there, or a test of it does not hold."""


@dataclass(frozen=True)
class Recipe:
    """What is done to each event before it is judged.

    ``patch``: its operations; None: nothing (revalidation). ``at_receipt``: an event that has an ``event_id`` and no
    time happened when it was received. Without it such an event stays refused, as the collector refuses it: where its
    sender sends it again with its time, it would be counted in two minutes.
    """

    patch: tuple[dict[str, Any], ...] | None = None
    at_receipt: bool = False

    @classmethod
    def read(cls, text: str, *, at_receipt: bool = False) -> "Recipe":
        """The recipe of a patch's JSON text.

        :raises PatchError: it is no JSON Patch, or would make all events one.
        """
        try:
            patch = JsonPatch(decode(text.encode()))
        except (ValueError, TypeError, Unparseable, InvalidJsonPatch, JsonPointerException) as error:
            raise PatchError(f"no JSON Patch (RFC 6902): {error}") from error
        if _NUL.search(text):
            raise PatchError("it has a NUL character, which no event may have and no ledger can keep")
        if not patch.patch:
            raise PatchError("it has no operation: --revalidate judges events as they are")
        for number, operation in enumerate(patch.patch, start=1):
            path = str(operation["path"])
            needs = NEEDS.get(str(operation["op"]))
            if needs is not None and needs not in operation:
                raise PatchError(f"operation {number} ({operation['op']}) has no {needs!r} (RFC 6902)")
            if operation["op"] in FOR_ALL and path in (WHOLE, *EVENT_IDS):
                what = "event_id" if path else "event"
                raise PatchError(
                    f"operation {number} gives every event the same {what}, so that one of them would count; `remove` "
                    "an event_id that is wrong, and each gets one of its own"
                )
        return cls(tuple(patch.patch), at_receipt)

    def apply(self, value: Any) -> Any:
        """A mended copy of an event's value; the value itself stays as it is.

        :raises NotApplicable: saying which operation, and nothing of what the event holds.
        """
        if self.patch is None:
            return value
        try:
            return JsonPatch(self.patch).apply(value)
        except (JsonPatchException, JsonPointerException, TypeError) as error:
            raise NotApplicable(_why(error)) from error
        except RecursionError as error:  # the library copies what it works on, level by level
            raise NotApplicable("the event is nested too deeply to be patched") from error


def _why(error: Exception) -> str:
    """Without the library's words, which repeat values."""
    operation = getattr(getattr(error, "op", None), "operation", None)
    which = f"its {operation['op']} at {operation['path']}" if isinstance(operation, dict) else "one of its operations"
    failed = "does not hold here" if isinstance(error, JsonPatchTestFailed) else "finds nothing to work on"
    return f"the patch is not for this event: {which} {failed}"
