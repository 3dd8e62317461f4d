"""A server that ends while one table is maintained costs that table, not those after it."""

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from contracts.registry import Registry
from spark_jobs import maintain_lake
from spark_jobs.maintain_lake import Maintained, maintain
from spark_jobs.settings import MaintainSettings

SETTINGS = MaintainSettings(
    maintainer_dsn="postgresql://nobody@nowhere/warehouse",
    lake_warehouse="s3://lake/warehouse",
    lake_catalog_uri="postgresql+psycopg://nobody@nowhere/catalog",  # type: ignore[arg-type]
)


class Servers:
    """What maintenance connects to: connections that break with the server, and good ones after."""

    def __init__(self) -> None:
        self.refused = 0
        """How many connections are still refused."""
        self.sessions: list[SimpleNamespace] = []

    @contextmanager
    def connect(self, _dsn: str, **_options: object) -> Any:
        if self.refused:
            self.refused -= 1
            raise psycopg.OperationalError("the database system is starting up")
        yield SimpleNamespace(execute=lambda *_: SimpleNamespace(fetchone=lambda: (True,), rowcount=0))

    def session(self, _settings: object) -> SimpleNamespace:
        found = SimpleNamespace(broken=False, stop=lambda: None)
        self.sessions.append(found)
        return found


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    found = Servers()
    monkeypatch.setattr("spark_jobs.maintain_lake.psycopg.connect", found.connect)
    monkeypatch.setattr(maintain_lake, "open_writing_session", found.session)
    monkeypatch.setattr(maintain_lake, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(maintain_lake.reprocess_runs, "forget", lambda *_, **__: 0)
    return found


@pytest.mark.parametrize("refused", [0, 3], ids=["at once", "after Postgres was away too"])
def test_the_tables_after_one_that_failed_are_maintained(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    contracts = sorted(Registry.load(), key=lambda c: c.table)[:4]

    def work(job: Any, table: str, _contract: object) -> Maintained:
        session = servers.sessions[-1]
        assert job._spark is session
        if table == contracts[1].table:
            session.broken, servers.refused = True, refused
        if session.broken:
            raise RuntimeError("the session is closed")
        return Maintained(table)

    monkeypatch.setattr(maintain_lake.Job, "maintain", work)
    summary = maintain(contracts, SETTINGS, quality=False)
    assert [one.table for one in summary.tables] == [contracts[n].table for n in (0, 2, 3)]
    assert list(summary.failed) == [contracts[1].table]


def test_a_database_that_stays_away_ends_it(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintain_lake, "AWAY_SECONDS", 0.0)

    def work(_job: object, _table: str, _contract: object) -> Maintained:
        servers.refused = 10**6
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(maintain_lake.Job, "maintain", work)
    with pytest.raises(psycopg.OperationalError, match="starting up"):
        maintain(list(Registry.load()), SETTINGS, quality=False)
