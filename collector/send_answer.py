"""What a collector's answer says of a batch, and what is made of it: verdicts, "later", or a refusal for good."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Answers that say "later", as all of 500 and above do, whichever proxy invented them."""
KEY_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""Answers to the key, not to the events: another key may send them."""
ONE_BY_ONE = frozenset({HTTPStatus.OK, HTTPStatus.MULTI_STATUS, HTTPStatus.BAD_REQUEST})
"""Answers that carry a verdict per event; 400 when every one of them is a rejection."""
SAMPLES = 20


class SendError(Exception):
    """Nothing more can be sent: the key is refused, the address is wrong, or the collector stayed away too long."""


class Away(SendError):
    """The collector stayed away too long."""


class Refused(SendError):
    """The collector refused a request as a whole, with ``status``; sent again it would be refused again."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Report:
    """What became of the events of one :meth:`Sender.send`. ``sent == accepted + rejected`` when it returns.

    ``spooled``: how many events wait on disk, those of earlier calls too; always 0 without a spool.
    """

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    spooled: int = 0
    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    """How often each ``pointer keyword`` was given as a reason."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """The first few rejections, as the collector put them."""


def is_later(status: int) -> bool:
    """Whether the same request may succeed another time.

    The collector has kept nothing of it, or will know its events again by id.
    """
    return status in AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def judge(answer: httpx.Response, count: int, report: Report) -> list[dict[str, Any]]:
    """The verdict on each of ``count`` events, booked in ``report``.

    :raises Refused: the request is refused as a whole.
    :raises SendError: the answer makes no sense.
    """
    verdicts = _verdicts(answer) if answer.status_code in ONE_BY_ONE else None
    if verdicts is None:
        if answer.status_code == HTTPStatus.BAD_REQUEST and count == 1:
            verdicts = [
                {
                    "status": "rejected",
                    "reasons": [{"pointer": "", "keyword": "body", "message": answer.text[:200]}],
                }
            ]
        else:
            said = f"{answer.url}: {answer.status_code} {answer.reason_phrase}: {answer.text[:500]}"
            raise Refused(said, answer.status_code)
    if len(verdicts) != count:
        raise SendError(
            f"{answer.url}: {len(verdicts)} verdicts for {count} events; the collector speaks another version"
        )
    for verdict in verdicts:
        if verdict.get("status") == "accepted":
            report.accepted += 1
            continue
        report.rejected += 1
        for reason in verdict.get("reasons", []):
            report.reasons[f"{reason.get('pointer', '')} {reason.get('keyword', '')}".strip()] += 1
        if len(report.samples) < SAMPLES:
            report.samples.append(verdict)
    return verdicts


def _verdicts(answer: httpx.Response) -> list[dict[str, Any]] | None:
    """The verdicts of an answer, in the order of the events; None where it has none."""
    try:
        body = answer.json()
    except ValueError:
        return None
    found = body.get("results") if isinstance(body, dict) else None
    return found if isinstance(found, list) else None


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds to wait by the Retry-After header (RFC 9110 §10.2.3: seconds, or a date), at most a minute."""
    value: str = answer.headers.get("Retry-After", "")
    if value.isdigit():
        return min(60.0, float(value))
    try:
        left = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(60.0, max(0.0, left))
