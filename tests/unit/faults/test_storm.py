"""What the storm says of maintenance is what the command said of each table."""

from tests.faults.storm import tables_of

LINES = [
    "Traceback (most recent call last):",
    '{"event": "maintained", "table": "events.signup", "level": "info"}',
    '{"event": "maintained", "table": "events.signup", "level": "info"}',
    '{"event": "maintenance failed", "table": "events.metric", "level": "error"}',
    '{"event": "maint',
    "17",
]


def test_a_log_that_was_cut_short_tells_how_often_each_table_was_maintained() -> None:
    assert tables_of(LINES, "maintained") == {"events.signup": 2}
    assert tables_of(LINES, "maintenance failed") == {"events.metric": 1}
