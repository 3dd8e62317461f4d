"""Rejected events counted by reason, key and contract version, and the newest of them. Pure."""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rejects.reject import NO_VERSION, Once, Reject
from spark_jobs.reject_labels import NONE, Labels

OTHER = "(other)"
MOST_KEYS = 1000
"""Keys and versions counted by name: what a sender wrote is without bound."""


@dataclass
class Overview:
    """Of all rejections that were added, each once: how many name each reason, and the newest ``limit``."""

    labels: Labels
    limit: int
    events: int = 0
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By event type, keyword and field; an event with two reasons counts under both."""
    senders: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """By tenant, key, event type and contract version: these add up to ``events``."""
    _once: Once = field(default_factory=Once)
    _newest: list[tuple[Any, str, Reject]] = field(default_factory=list)

    def add(self, reject: Reject) -> None:
        """Count one."""
        if not self._once.first(reject):
            return
        self.events += 1
        type_ = self.labels.event_type(reject.event_type)
        for reason in {self.labels.reason(each._asdict()) for each in reject.reasons}:
            self.reasons[(type_, *reason)] += 1
        sender = (reject.tenant or NONE, reject.key_id or NONE, type_, reject.version())
        if sender not in self.senders and len(self.senders) >= MOST_KEYS:
            sender = (OTHER, OTHER, OTHER, OTHER)
        self.senders[sender] += 1
        heapq.heappush(self._newest, (reject.received_at, reject.reject_id, reject))
        if len(self._newest) > self.limit:
            heapq.heappop(self._newest)

    def newest(self) -> list[Reject]:
        """The newest, newest first."""
        return [reject for _, _, reject in sorted(self._newest, reverse=True)]

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        return {
            "events": self.events,
            "reasons": [
                {"event_type": t, "reason": r, "field": f, "events": n} for (t, r, f), n in self.reasons.most_common()
            ],
            "senders": [
                {"tenant": t, "key_id": k, "event_type": e, "schema_version": v, "events": n}
                for (t, k, e, v), n in self.senders.most_common()
            ],
            "newest": [reject.as_json() for reject in self.newest()],
        }


def version_shown(version: str) -> str:
    """A contract version for people."""
    return "not named" if version == NO_VERSION else f"v{version}"
