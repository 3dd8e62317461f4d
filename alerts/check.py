"""Judge every alert once: open an incident where a rule breaks, close it where the rule holds again, and tell.

An incident is told once, when it opens, and once, when it closes. That it was told is noted after the server has taken
the mail: a run that dies between the two tells twice, and none is lost. While the mail server is away incidents stay
untold, and the next run tells them.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from alerts.definitions import Alert
from alerts.tell import Incident, Teller

LOCK = "alerts"


@dataclass
class Checked:
    """What one run found and told: counts, and the alerts that are not active, with the reason."""

    active: int = 0
    inactive: dict[str, str] = field(default_factory=dict)
    opened: int = 0
    closed: int = 0
    open: int = 0
    mails: int = 0
    untold: int = 0

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        return asdict(self)


def check(dsn: str, alerts: Iterable[Alert], teller: Teller | None) -> Checked:
    """Judge ``alerts`` and tell what changed.

    :param teller: None where no mail is wanted: incidents are kept all the same
    :raises MailError: the server took not every mail; what was not told stays so
    """
    done = Checked()
    with psycopg.connect(dsn, row_factory=dict_row, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        # Two runs at once would tell everything twice: the second waits and finds it told.
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (LOCK,))
        for alert in alerts:
            if lacking := _lacking(connection, alert):
                done.inactive[alert.name] = lacking
                continue
            done.active += 1
            with connection.transaction():
                opened, closed = _judge(connection, alert)
            done.opened += opened
            done.closed += closed
            done.untold += _tell(connection, alert, teller, done)
        found = connection.execute("select count(*) as n from ledger.incidents where closed_at is null").fetchone()
        done.open = int(found["n"]) if found else 0
    return done


def _lacking(connection: psycopg.Connection[dict[str, Any]], alert: Alert) -> str:
    """Which columns an alert reads and the marts do not have; empty when it can be judged."""
    rows = connection.execute(
        """
        select c.relname as mart, a.attname as name
        from pg_attribute as a
        inner join pg_class as c on c.oid = a.attrelid
        where c.relnamespace = 'marts'::regnamespace and a.attnum > 0 and not a.attisdropped
        """
    ).fetchall()
    there = {(row["mart"], row["name"]) for row in rows}
    marts = {mart for mart, _ in there}
    lacking = [f"marts.{mart}" for mart in alert.needs if mart not in marts]
    lacking += [
        f"marts.{mart}.{name}"
        for mart, names in alert.needs.items()
        for name in names
        if mart in marts and (mart, name) not in there
    ]
    return f"there is no {', '.join(lacking)}" if lacking else ""


def _judge(connection: psycopg.Connection[dict[str, Any]], alert: Alert) -> tuple[int, int]:
    """Open and close incidents of ``alert``; gives how many of each."""
    failing = connection.execute(alert.failing.encode(), {"threshold": alert.threshold}).fetchall()
    broken = {(str(row["tenant"]), str(row["key"])): str(row["value"]) for row in failing}
    known = connection.execute(
        "select incident_id, tenant, key from ledger.incidents where alert = %s and closed_at is null", (alert.name,)
    ).fetchall()
    open_ = {(row["tenant"], row["key"]): row["incident_id"] for row in known}
    for tenant, key in broken.keys() - open_.keys():
        connection.execute(
            "insert into ledger.incidents (alert, tenant, key, opened_value) values (%s, %s, %s, %s)",
            (alert.name, tenant, key, broken[tenant, key]),
        )
    ended = [number for place, number in open_.items() if place not in broken]
    connection.execute("update ledger.incidents set closed_at = now() where incident_id = any(%s)", (ended,))
    return len(broken.keys() - open_.keys()), len(ended)


def _tell(connection: psycopg.Connection[dict[str, Any]], alert: Alert, teller: Teller | None, done: Checked) -> int:
    """Mail what has not been told: openings first, then endings; gives how many stay untold as nobody is to be told."""
    untold = 0
    for ending, waiting, told in (
        (False, "told_at is null and closed_at is null", "told_at"),
        # What began and ended untold is nobody's business any more.
        (True, "told_at is not null and closed_at is not null and closing_told_at is null", "closing_told_at"),
    ):
        rows = connection.execute(
            f"select * from ledger.incidents where alert = %s and {waiting} order by tenant, key".encode(),  # noqa: S608
            (alert.name,),
        ).fetchall()
        if not rows:
            continue
        if teller is None:
            untold += len(rows)
            continue
        incidents = [Incident(r["tenant"], r["key"], r["opened_value"], r["opened_at"], r["closed_at"]) for r in rows]
        teller.tell(alert, incidents, ending)
        done.mails += 1
        connection.execute(
            f"update ledger.incidents set {told} = now() where incident_id = any(%s)".encode(),  # noqa: S608
            ([row["incident_id"] for row in rows],),
        )
    return untold
