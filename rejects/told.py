"""Reasons as they may be kept and logged: in words that contracts know, never in what a sender wrote. Pure.

The name of an unknown field is the sender's own text, and may be about somebody. An erasure reaches the rejected events
of the lake; neither ledger nor logs repeat what it would have to look for there.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.validate import Violation
from spark_jobs.reject_labels import Labels


def words(reason: Violation, labels: Labels) -> str:
    """A reason in words for people; of one whose place no contract knows all of, only where and by which rule."""
    keyword, field = labels.reason(reason._asdict())
    return f"{field} {reason.message if field == reason.pointer else keyword}".strip()


def kept(reasons: Iterable[Mapping[str, Any]], labels: Labels) -> list[dict[str, str]]:
    """The collector's reasons, each by its labels: keyword, and pointer as far as contracts know it."""
    return [{"pointer": field, "keyword": keyword} for keyword, field in map(labels.reason, reasons)]
