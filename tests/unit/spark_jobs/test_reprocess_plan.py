"""Into which spans a reprocessing cuts its work."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from spark_jobs.reprocess_plan import pieces, seconds_left
from warehouse.reprocess_compare import Span

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def hours(found: list[Span]) -> list[tuple[float, float]]:
    return [((s.start - FIRST) / timedelta(hours=1), (s.end - FIRST) / timedelta(hours=1)) for s in found]


def test_days_with_nothing_on_either_side_are_left_out() -> None:
    span = Span(FIRST, FIRST + 5 * DAY)
    found = pieces(span, {date(2026, 3, 2): 10}, {date(2026, 3, 4)}, 100)
    assert hours(found) == [(24, 48), (72, 96)]


def test_a_busy_day_is_cut_so_that_no_piece_has_more_events_than_it_may() -> None:
    found = pieces(Span(FIRST, FIRST + DAY), {FIRST.date(): 1_000}, set(), 300)
    assert hours(found) == [(0, 6), (6, 12), (12, 18), (18, 24)]
    assert {s.events for s in found} == {250}


def test_pieces_cover_the_span_and_nothing_else_and_end_with_whole_minutes() -> None:
    span = Span(FIRST + timedelta(hours=23, minutes=7), FIRST + timedelta(hours=49, minutes=1), "acme")
    events = {FIRST.date() + n * DAY: 10_000 for n in range(4)}
    found = pieces(span, events, set(), 70)
    assert found[0].start == span.start
    assert found[-1].end == span.end
    assert all(a.end == b.start and a.start < a.end for a, b in pairwise(found))
    assert all(s.start.second == 0 and s.start.microsecond == 0 for s in found)
    assert {s.tenant for s in found} == {"acme"}


def test_a_minute_is_not_cut_however_many_events_it_has() -> None:
    span = Span(FIRST, FIRST + timedelta(minutes=3))
    assert len(pieces(span, {FIRST.date(): 10**9}, set(), 1)) == 3


def test_the_time_left_is_told_from_what_is_done() -> None:
    assert seconds_left(30, 100, 300) == 90
    assert seconds_left(0.1, 0, 300) is None
