"""What came of looking at many rejections: numbers, and one example of each reason, however many there were. Pure."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contracts.validate import Violation
from rejects.examine import Mended, Refused
from rejects.told import words
from spark_jobs.reject_labels import Labels

Progress = Callable[[int], None]
Kind = tuple[str, str, str]
"""Event type, keyword, field."""


@dataclass
class Tally:
    """``seen == already + passing + refused``; an event with several reasons counts under each of them."""

    labels: Labels
    seen: int = 0
    already: int = 0
    passing: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By tenant and event type."""
    refused: int = 0
    reasons: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, tuple[str, str]] = field(default_factory=dict)
    """The rejection's id, and the reason in words that may be kept and logged, of the first of each kind."""

    def add(self, verdict: Mended | Refused) -> None:
        """Count one verdict."""
        self.seen += 1
        if isinstance(verdict, Mended):
            self.passing[verdict.tenant, verdict.event_type] += 1
            return
        self.refuse(verdict)

    def refuse(self, verdict: Refused) -> None:
        """Count the reasons of one that stays refused."""
        self.refused += 1
        type_ = self.labels.event_type(verdict.reject.event_type)
        for kind, reason in {self._kind(type_, reason): reason for reason in reversed(verdict.reasons)}.items():
            self.reasons[kind] += 1
            self.examples.setdefault(kind, (verdict.reject.reject_id, words(reason, self.labels)))

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        return {
            "seen": self.seen,
            "already_repaired": self.already,
            "would_pass": self.passing.total(),
            "passing": [{"tenant": t, "event_type": e, "events": n} for (t, e), n in sorted(self.passing.items())],
            "still_refused": self.refused,
            "reasons": [
                {
                    "event_type": kind[0],
                    "reason": kind[1],
                    "field": kind[2],
                    "events": n,
                    "example": {"reject_id": self.examples[kind][0], "message": self.examples[kind][1]},
                }
                for kind, n in self.reasons.most_common()
            ],
        }

    def _kind(self, type_: str, reason: Violation) -> Kind:
        return (type_, *self.labels.reason(reason._asdict()))
