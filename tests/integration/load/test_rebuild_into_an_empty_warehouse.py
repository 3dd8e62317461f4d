"""The lake and its catalog are enough: an empty warehouse that loads them has the same rollups and the same books."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from spark_jobs.load_rollups import load
from warehouse import checksum
from warehouse.migrate import migrate


def elsewhere(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def of(dsn: str, probe: Any) -> dict[str, checksum.Checksum]:
    with psycopg.connect(dsn, options=checksum.SESSION) as connection:
        return dict(checksum.of_rollups(connection, [probe.contract]))


def test_loads_into_an_empty_warehouse_give_what_there_was(probe: Any, arrival: Any, stack: Any) -> None:
    for batch in range(3):
        arrivals = [
            arrival(
                event=n // 2 * 2 if n % 3 else n,
                sequence=100 * batch + n,
                minute=n % 40 - 1440 * (n % 4),
                received_after=1 + 7200 * batch,
                data={"page": f"/{n % 6}", "amount": Decimal(n) / 8, "visitor": f"v{n % 9}", "quantity": n},
            )
            for n in range(1, 60)
        ]
        probe.arrive(f"t{batch % 2}", *arrivals)
        probe.load()
    own = stack.env["WAREHOUSE_DSN"]
    there = of(own, probe)
    assert all(one.rows > 0 for one in there.values())
    at = urlsplit(own)
    secrets = json.loads((Path(stack.env["WATERSHED_STATE"]) / "secrets.json").read_text())
    name = f"rebuilt_{uuid4().hex[:12]}"
    with psycopg.connect(
        f"postgresql://postgres:{secrets['postgres']}@{at.hostname}:{at.port}/postgres", autocommit=True
    ) as admin:
        admin.execute(sql.SQL("create database {} owner watershed").format(sql.Identifier(name)))
        try:
            migrate(elsewhere(own, name), [probe.contract])
            loader = elsewhere(probe.settings.loader_dsn, name)
            settings = probe.settings.model_copy(update={"loader_dsn": loader, "load_chunk_minutes": 50})
            summary = load([probe.contract], settings)
            assert not summary.failed
            assert summary.as_json()["minutes_left"] == 0
            assert of(elsewhere(own, name), probe) == there
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
