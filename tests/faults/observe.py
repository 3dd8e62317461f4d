"""What there is after a fault, read from lake, rollups and books beside the pipeline, not through it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from books import show
from books.balance import counting
from collector.lake import LakeSettings, open_catalog
from contracts.registry import Registry
from tests.faults.audit import Landed, Minute, Rejected, Seen
from warehouse.checksum import SESSION, Checksum, of_rollups

WRONG = ("unlanded", "missing", "not_loaded", "unexplained", "charted_apart", "rejected_unlanded", "foreign")
"""Numbers of the books that are 0 once all is through."""


class Books(NamedTuple):
    """A tenant's books, summed. ``reasons``: rejections by reason; ``wrong``: in words, what does not balance."""

    sums: dict[str, int]
    reasons: Counter[str]
    wrong: list[str]


class Observer:
    """One tenant's events, as an operator who may see everything finds them."""

    def __init__(self, env: Mapping[str, str], registry: Registry, tenant: str) -> None:
        self._env, self._registry, self._tenant = env, registry, tenant

    def seen(self) -> Seen:
        """The tenant's rows in the lake, and what of them is in the rollups."""
        return Seen(list(self.rows()), self.counted(), list(self.rejected()))

    def rows(self) -> Iterator[Landed]:
        """Every row of the tenant, copies too."""
        columns = ("event_id", "collector_id", "sequence", "minted", "occurred_at")
        for contract in self._registry:
            for row in self._scan(contract.table, columns):
                minted = (contract.type, row["occurred_at"]) if row["minted"] else None
                yield Landed(str(row["event_id"]), row["collector_id"], row["sequence"], minted)

    def rejected(self) -> Iterator[Rejected]:
        """Every row of the tenant's rejected events, copies too."""
        for row in self._scan("quality.rejected_events", ("body", "reasons", "collector_id", "sequence")):
            keyword = json.loads(row["reasons"])[0]["keyword"]
            yield Rejected(row["body"], keyword, row["collector_id"], row["sequence"])

    def _scan(self, name: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        catalog = open_catalog(
            LakeSettings(**{n: self._env[n.upper()] for n in LakeSettings.model_fields})  # type: ignore[arg-type]
        )
        scan = catalog.load_table(name).scan(f"tenant = '{self._tenant}'", columns)
        for batch in scan.to_arrow_batch_reader():
            yield from batch.to_pylist()

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

    def counted_rejections(self) -> int:
        """How many rejections of the tenant's the load has counted."""
        with self.connected() as connection:
            row = connection.execute(
                "select coalesce(sum(rejected), 0)::bigint from ledger.rejects where tenant = %s", (self._tenant,)
            ).fetchone()
        return int(row[0]) if row else 0

    def books(self, gone: str | None = None) -> Books:
        """The tenant's books; ``gone``: see :func:`wrong_in`."""
        with self.connected() as connection:
            rows = show.books(connection, show.Asked(tenant=self._tenant))
        reasons = Counter[str]()
        for row in rows:
            reasons.update(row["reasons"])
        return Books({name: sum(row[name] for row in rows) for name in show.NUMBERS}, reasons, wrong_in(rows, gone))

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
