"""Into which spans a reprocessing cuts its work: pure functions of what the lake's metadata says of each day."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from warehouse.reprocess_compare import Span

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def pieces(span: Span, events: Mapping[date, int], days: Collection[date], most_events: int) -> list[Span]:
    """The parts of ``span`` that have anything to compare, oldest first, none longer than a day (UTC).

    ``events`` are the lake's rows by day, ``days`` those of which the warehouse has something. A day is cut into equal
    parts of whole minutes, so many that each has ``most_events``, if events come evenly; a minute is not cut.
    """
    found: list[Span] = []
    for first, behind in _days(span.start, span.end):
        day = first.date()
        if day not in events and day not in days:
            continue
        share = events.get(day, 0) * (behind - first) / DAY
        minutes = (behind - first) // MINUTE
        parts = max(1, min(minutes, -(-int(share) // most_events)))
        edges = [first + MINUTE * (minutes * n // parts) for n in range(parts)] + [behind]
        found += [replace(span, start=a, end=b, events=round(share / parts)) for a, b in pairwise(edges)]
    return found


def _days(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        midnight = datetime.combine(start.astimezone(UTC).date() + DAY, time.min, UTC)
        yield start, min(midnight, end)
        start = midnight


def seconds_left(spent: float, done: int, left: int) -> float | None:
    """How long the rest takes, if it goes on as it went; None while there is nothing to tell it from."""
    return spent * left / done if done else None
