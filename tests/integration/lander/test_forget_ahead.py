"""A lander's clock may be ahead: nobody is said to be gone before what it stamped is."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from warehouse import erasures


def test_snapshots_of_a_clock_that_is_ahead_are_waited_for(stack: Any) -> None:
    ahead, second = datetime.now(UTC) + timedelta(hours=1), timedelta(seconds=1)
    with psycopg.connect(stack.env["ERASER_DSN"], autocommit=True) as connection:
        begun = erasures.begin(connection, f"t-{uuid.uuid4().hex}", "visitor", uuid.uuid4().hex, "tests")

        def gone(before: datetime) -> bool:
            return begun.erasure_id in {one.erasure_id for one in erasures.gone(connection, before)}

        erasures.done(connection, begun.erasure_id, ahead, through=True)
        assert not gone(ahead - second), "a snapshot that still has them was replaced then, by that clock"
        assert gone(ahead + second)


def test_a_clock_that_is_behind_makes_nobody_gone_sooner(stack: Any) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(stack.env["ERASER_DSN"], autocommit=True) as connection:
        begun = erasures.begin(connection, f"t-{uuid.uuid4().hex}", "visitor", uuid.uuid4().hex, "tests")
        told = erasures.done(connection, begun.erasure_id, now - timedelta(hours=1), through=True)
    assert told.lake_at is not None
    assert told.lake_at >= now - timedelta(seconds=1)
