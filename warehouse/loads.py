"""``ledger.loads``: what each run did, by type."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import psycopg


@dataclass
class Load:
    """The numbers of one run for one type; kept up while it works, written when it begins and when it ends."""

    run_id: UUID
    type: str
    land_seq_from: int
    land_seq_to: int
    events_read: int = 0
    minutes_touched: int = 0
    minutes_recomputed: int = 0
    rows_written: int = 0
    minutes_left: int = 0
    over_cap: int = 0
    quarantined: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None

    def as_json(self) -> dict[str, int]:
        """For the command's last line."""
        return {
            "events_read": self.events_read,
            "minutes_touched": self.minutes_touched,
            "minutes_recomputed": self.minutes_recomputed,
            "rows_written": self.rows_written,
            "minutes_left": self.minutes_left,
            "over_cap": self.over_cap,
            "quarantined": self.quarantined,
        }


def write(connection: psycopg.Connection, load: Load) -> None:
    """Insert or update the row of ``load``."""
    connection.execute(
        """
        insert into ledger.loads as l (
            run_id, type, started_at, finished_at, land_seq_from, land_seq_to,
            events_read, minutes_touched, minutes_recomputed, rows_written, minutes_left, over_cap, quarantined
        )
        values (
            %(run_id)s, %(type)s, %(started_at)s, %(finished_at)s, %(land_seq_from)s, %(land_seq_to)s,
            %(events_read)s, %(minutes_touched)s, %(minutes_recomputed)s, %(rows_written)s, %(minutes_left)s,
            %(over_cap)s, %(quarantined)s
        )
        on conflict (run_id, type) do update set
            finished_at = excluded.finished_at,
            land_seq_to = excluded.land_seq_to,
            events_read = excluded.events_read,
            minutes_touched = excluded.minutes_touched,
            minutes_recomputed = excluded.minutes_recomputed,
            rows_written = excluded.rows_written,
            minutes_left = excluded.minutes_left,
            over_cap = excluded.over_cap,
            quarantined = excluded.quarantined
        """,
        vars(load),
    )
