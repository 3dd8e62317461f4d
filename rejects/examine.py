"""Whether a rejection would pass now: the collector's own verdict, on the mended event, as of its receipt."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from collector.keys import KeyKind, WriteKey
from collector.verdict import Judge, Rejected, Source
from contracts.registry import Registry
from contracts.validate import EventValidator, Violation
from rejects.recipe import Recipe
from rejects.reject import Reject
from rejects.restore import Unrestorable, microseconds, restore, whose

ON_ITS_WAY = timedelta(minutes=10)
"""How long an event may take to the collector, which judges its age when it comes."""


class Mended(NamedTuple):
    """An event that passes: what is sent, and under which identity it will be in the lake."""

    reject: Reject
    tenant: str
    event_type: str
    event_id: str
    occurred_at: datetime
    event: dict[str, Any]


class Refused(NamedTuple):
    """A rejection that stays one: every reason."""

    reject: Reject
    reasons: tuple[Violation, ...]


class Examiner:
    """Judges rejections by today's contracts, with the rights of the key that sent them and the clock of their receipt.

    So a repair lets nothing in that the collector would not have taken then: what a browser key may not send stays
    refused, as does what lay too far ahead or, for that key, too far back. ``kinds`` gives the kind of each write key
    by its id: one that is not among them has the least rights, and a lander's rejection without a key was let in
    before. ``floors`` gives by type the instant below which nothing is counted; ``clock`` says what time it is.
    """

    def __init__(
        self,
        registry: Registry,
        kinds: Mapping[str, KeyKind],
        floors: Mapping[str, datetime],
        *,
        clock: Callable[[], datetime],
        future: timedelta,
        browser_past: timedelta,
        most_bytes: int,
    ) -> None:
        self._judge = Judge(EventValidator(registry), future, browser_past)
        self._kinds, self._floors, self._clock, self._most = kinds, floors, clock, most_bytes

    def examine(self, reject: Reject, recipe: Recipe) -> Mended | Refused:
        """The verdict: of the same rejection, recipe and contracts always the same, until the event is too old."""
        try:
            tenant = whose(reject)
            event = restore(reject, recipe)
        except Unrestorable as error:
            return Refused(reject, error.reasons)
        try:
            text = msgspec.json.encode(event)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:  # half a surrogate pair, out of the patch
            return Refused(reject, (Violation("", "json", f"cannot be sent: {error}"),))
        if len(text) > self._most:
            return Refused(reject, (Violation("", "maxBytes", f"is over {self._most} bytes"),))
        # Judged from its text, as the collector will: the verdict writes into what it judges.
        verdict = self._judge.judge((msgspec.json.decode(text), text, None), 0, self._source(reject, tenant))
        if isinstance(verdict, Rejected):
            return Refused(reject, verdict.reasons)
        contract, occurred = verdict.contract, datetime.fromisoformat(verdict.occurred_at).astimezone(UTC)
        floor = self._floors.get(contract.type)
        kept_since = self._clock() + ON_ITS_WAY - timedelta(days=contract.retention_days)
        if occurred < max(kept_since, floor or kept_since):
            return Refused(reject, (Violation("/occurred_at", "minimum", "is older than events of its type are kept"),))
        return Mended(reject, tenant, contract.type, verdict.event_id, occurred, event)

    def _source(self, reject: Reject, tenant: str) -> Source:
        kind = KeyKind.SERVER if reject.key_id is None else self._kinds.get(reject.key_id, KeyKind.BROWSER)
        key = WriteKey(id=reject.key_id or "", tenant=tenant, kind=kind, hash="", created_at="")
        return Source(key=key, received_us=microseconds(reject.received_at))
