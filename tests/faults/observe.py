"""What there is after a fault, read from lake, rollups and books beside the pipeline, not through it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from books import show
from books.balance import counting
from collector.lake import LakeSettings, open_catalog
from contracts.registry import Registry
from tests.faults.audit import Landed, Minute, Seen
from warehouse.checksum import SESSION, Checksum, of_rollups

WRONG = ("unlanded", "missing", "not_loaded", "unexplained", "charted_apart", "rejected_unlanded", "foreign")
"""Numbers of the books that are 0 once all is through."""


class Observer:
    """One tenant's events, as an operator who may see everything finds them."""

    def __init__(self, env: Mapping[str, str], registry: Registry, tenant: str) -> None:
        self._env, self._registry, self._tenant = env, registry, tenant

    def seen(self) -> Seen:
        """The tenant's rows in the lake, and what of them is in the rollups."""
        return Seen(list(self.rows()), self.counted())

    def rows(self) -> Iterator[Landed]:
        """Every row of the tenant, copies too."""
        catalog = open_catalog(
            LakeSettings(**{n: self._env[n.upper()] for n in LakeSettings.model_fields})  # type: ignore[arg-type]
        )
        columns = ("event_id", "collector_id", "sequence")
        for contract in self._registry:
            table = catalog.load_table(contract.table)
            for batch in table.scan(f"tenant = '{self._tenant}'", columns).to_arrow_batch_reader():
                values = (batch[name].to_pylist() for name in columns)
                yield from (Landed(str(i), str(c), int(s)) for i, c, s in zip(*values, strict=True))

    def counted(self) -> dict[Minute, int]:
        """Events in the rollups, by type and minute, as the books check them."""
        found: dict[Minute, int] = {}
        with self.connected() as connection:
            for contract in self._registry:
                measures = counting(contract)
                assert measures is not None, f"{contract.type}: no measures count every event once"
                total = sql.SQL(" + ").join(sql.SQL("sum({})").format(sql.Identifier(name)) for name in measures)
                query = sql.SQL("select minute, ({})::bigint from {} where tenant = %s group by 1").format(
                    total, sql.Identifier("rollups", contract.rollup_table)
                )
                for minute, events in connection.execute(query, (self._tenant,)):
                    found[contract.type, minute] = events
        return found

    def books(self, gone: str | None = None) -> tuple[dict[str, int], list[str]]:
        """The sums of the tenant's books, and in words what of them does not balance; ``gone``: see below."""
        with self.connected() as connection:
            rows = show.books(connection, show.Asked(tenant=self._tenant))
        return {name: sum(row[name] for row in rows) for name in show.NUMBERS}, wrong_in(rows, gone)

    def checksums(self) -> dict[str, Checksum]:
        """Of the tenant's rollups and cells."""
        with self.connected() as connection:
            return dict(of_rollups(connection, self._registry, tenant=self._tenant))

    def touch(self) -> None:
        """Have every minute of the tenant computed again by the next load."""
        with self.connected() as connection:
            connection.execute(
                """
                insert into ledger.touched (type, tenant, minute, cause, received_from, events)
                select distinct on (type, minute) type, tenant, minute, 'reprocess', received_hour, landed
                from ledger.cells where tenant = %s order by type, minute, received_hour
                on conflict (type, tenant, minute) do update set change_id = excluded.change_id
                """,
                (self._tenant,),
            )

    def waiting(self) -> int:
        """How many of the tenant's minutes are to be computed."""
        with self.connected() as connection:
            row = connection.execute(
                "select count(*) from ledger.touched where tenant = %s", (self._tenant,)
            ).fetchone()
        return int(row[0]) if row else 0

    def connected(self) -> psycopg.Connection[Any]:
        """The warehouse, as its owner."""
        return psycopg.connect(self._env["WAREHOUSE_DSN"], autocommit=True, options=SESSION)


def wrong_in(rows: Sequence[Mapping[str, Any]], gone: str | None = None) -> list[str]:
    """In words, what of the books does not balance.

    ``gone``: a type of which messages were deleted before they landed: it is out of balance by these, and may be.
    """
    good = {name: sum(row[name] for row in rows if row["type"] == gone and name == "unlanded") for name in WRONG}
    sums = {name: sum(row[name] for row in rows) - good[name] for name in WRONG}
    wrong = [f"{name}: {number}" for name, number in sums.items() if number]
    unbalanced = [
        f"{row['type']} {row['received_hour']:%FT%H}"
        for row in rows
        if not row["balanced"] and not (row["type"] == gone and row["unlanded"])
    ]
    return [*wrong, f"out of balance: {', '.join(unbalanced)}"] if unbalanced else wrong
