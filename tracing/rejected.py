"""Rejected events by the id of the rejection, or by an event_id in their body."""

from collections.abc import Callable, Collection, Iterator

from collector.parse import Unparseable, decode
from rejects.reject import Once, Reject
from spark_jobs.lake import Pinned
from tracing.lake import each_file


def names(reject: Reject, ids: Collection[str]) -> bool:
    """Whether it is a rejection of one of ``ids`` (in lower case), or of an event with one of them."""
    if reject.reject_id in ids:
        return True
    text = reject.body.lower()
    if not any(event_id.encode() in text for event_id in ids):
        return False  # read no body that cannot be
    try:
        event = decode(reject.body)
    except Unparseable:
        return True  # it has the id somewhere, and is no JSON
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return isinstance(event_id, str) and event_id.lower() in ids


def find(
    pinned: Pinned,
    ids: Collection[str],
    tenant: str | None,
    without: Collection[str],
    progress: Callable[[int], None],
) -> Iterator[Reject]:
    """Those that :func:`names` takes, each once; ``progress`` is told how many were looked at.

    Files ``without`` are not opened.
    """
    once = Once()
    for batches in each_file(pinned, without):
        for batch in batches:
            for row in batch.to_pylist():
                reject = Reject.of(row)
                if tenant in (None, reject.tenant) and names(reject, ids) and once.first(reject):
                    yield reject
            progress(batch.num_rows)
