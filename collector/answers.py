"""The answers to those who send: verdicts, refusals, and their codes (the table is in docs/collector.md)."""

from collections.abc import Sequence

import msgspec

from collector.parse import Refused
from collector.verdict import Accepted, Rejected

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers, body."""
JSON = [("content-type", "application/json")]
RETRY_AFTER = 5
"""Seconds a client is asked to wait when nothing durable took its events."""
_encode = msgspec.json.Encoder().encode


class Unavailable(Exception):
    """Nothing durable can take events now; the message says why."""


class Wait(Exception):
    """A limit is reached; ``seconds`` until more is taken."""

    def __init__(self, what: str, seconds: int) -> None:
        super().__init__(f"the limit of this {what} is reached; try again in {seconds} s")
        self.seconds = seconds


def judged(verdicts: Sequence[Accepted | Rejected]) -> Answer:
    """200 when all are accepted, 207 when some are, 400 when none is."""
    results: list[dict[str, object]] = []
    accepted = 0
    for index, verdict in enumerate(verdicts):
        if isinstance(verdict, Accepted):
            accepted += 1
            results.append({"index": index, "status": "accepted", "event_id": verdict.event_id})
        else:
            reasons = [{"pointer": r.pointer, "keyword": r.keyword, "message": r.message} for r in verdict.reasons]
            results.append({"index": index, "status": "rejected", "reasons": reasons})
    rejected = len(verdicts) - accepted
    status = 200 if not rejected else 207 if accepted else 400
    return status, JSON, _encode({"accepted": accepted, "rejected": rejected, "results": results})


def refusal(reason: Refused | Wait | Unavailable) -> Answer:
    """The answer to a request refused as a whole."""
    if isinstance(reason, Refused):
        headers = [*JSON, ("www-authenticate", 'Bearer realm="watershed"')] if reason.status == 401 else JSON
        return reason.status, headers, problem(reason.error, reason.message)
    if isinstance(reason, Wait):
        return 429, [*JSON, ("retry-after", str(reason.seconds))], problem("too_many_requests", str(reason))
    return 503, [*JSON, ("retry-after", str(RETRY_AFTER))], problem("unavailable", str(reason))


def problem(error: str, message: str) -> bytes:
    """The body of a refusal."""
    return _encode({"error": error, "message": message})
