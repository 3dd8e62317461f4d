"""Rejections as the lake has them, for the tests of what is made of them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.keys import KeyKind
from contracts.parse import HERE
from contracts.registry import Registry
from contracts.validate import Violation
from rejects.examine import Examiner, Mended, Refused
from rejects.recipe import Recipe
from rejects.reject import Reject

REGISTRY = Registry.load(HERE)
RECEIVED = datetime(2026, 11, 14, 9, 30, 15, 123456, tzinfo=UTC)
NOW = RECEIVED + timedelta(days=14)
PATTERN = Violation("/data/amount", "pattern", "is not as described")
ID = "6d1c1c64-6c39-4a44-9a6f-0d6a6d4f7a10"
PURCHASE = {
    "purchase_id": "p-1", "app_id": "a-1", "user_id": "u-1", "amount": "19.90", "currency": "EUR", "quantity": 2,
    "region": "DE",
}  # fmt: skip


def reject(event: Any = None, **changes: Any) -> Reject:
    """A rejection; its body is ``event``, or ``body`` as it is."""
    body = changes.pop("body", None)
    given: dict[str, Any] = {
        "reject_id": "0190-1",
        "tenant": "acme",
        "event_type": "purchase",
        "key_id": "k_server",
        "received_at": RECEIVED,
        "collector_id": "c" * 16,
        "sequence": 7,
        "stage": "collector",
        "reasons": (PATTERN,),
        "body": json.dumps(event).encode() if body is None else body,
        "topic": None,
        "partition": None,
        "offset": None,
        "line": None,
        "kafka_partition": 0,
        "kafka_offset": 12,
        "land_seq": 3,
    }
    return Reject(**given | changes)


def purchase(**changes: Any) -> dict[str, Any]:
    """A purchase as a client sends it, with neither id nor time; ``changes`` are of its data."""
    return {"event_type": "purchase", "data": {**PURCHASE, **changes}}


def examiner(now: datetime = NOW, **floors: datetime) -> Examiner:
    """Judges by the project's own contracts; knows a key of each kind."""
    return Examiner(
        REGISTRY,
        {"k_server": KeyKind.SERVER, "k_browser": KeyKind.BROWSER, "k_import": KeyKind.IMPORT},
        floors,
        clock=lambda: now,
        future=timedelta(minutes=5),
        browser_past=timedelta(hours=48),
        most_bytes=32 * 1024,
    )


def mended(one: Reject, recipe: Recipe | None = None, by: Examiner | None = None) -> Mended:
    """The event that passes."""
    verdict = (by or examiner()).examine(one, recipe or Recipe())
    assert isinstance(verdict, Mended), verdict
    return verdict


def reasons(one: Reject, recipe: Recipe | None = None, by: Examiner | None = None) -> list[tuple[str, str]]:
    """Why it stays refused: pointer and keyword of each reason."""
    verdict = (by or examiner()).examine(one, recipe or Recipe())
    assert isinstance(verdict, Refused), verdict
    return [(reason.pointer, reason.keyword) for reason in verdict.reasons]
