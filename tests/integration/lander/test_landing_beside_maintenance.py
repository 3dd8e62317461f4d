"""A landing while the table is rewritten, expired and searched for orphans lands once, and goes on as if alone."""

import threading
from typing import Any

import psycopg

from contracts.registry import Registry
from spark_jobs.maintain_lake import Maintained, maintain
from spark_jobs.settings import MaintainSettings


def test_what_lands_while_the_table_is_compacted_lands_once(world: Any, stack: Any) -> None:
    own = stack.own("maintain")
    named = {name: own[name.upper()] for name in MaintainSettings.model_fields if name.upper() in own}
    settings = MaintainSettings(**named, maintain_min_files=2)
    contract = Registry.load(world.contracts).newest(world.type)
    done: list[Maintained] = []
    failed: list[object] = []
    stop = threading.Event()

    def maintain_for_ever() -> None:
        try:
            while not stop.is_set() and not failed:
                summary = maintain([contract], settings, quality=False)
                done.extend(summary.tables)
                failed.extend(summary.failed.values())
        except Exception as error:  # told below, in the thread that judges
            failed.append(error)

    def produce_until_rewritten() -> bool:
        world.produce(50)
        return bool(failed) or sum(one.files_written > 0 for one in list(done)) >= 2

    lander = world.start(LAND_SECONDS="1")
    world.produce(200)
    world.wait_for("some have landed", world.landed)
    maintenance = threading.Thread(target=maintain_for_ever)
    maintenance.start()
    try:
        world.wait_for("the table was rewritten twice", produce_until_rewritten, 300)
    finally:
        stop.set()
        maintenance.join()
        with psycopg.connect(world.env["WAREHOUSE_DSN"]) as connection:
            connection.execute("delete from ledger.lake_floor where type = %s", (world.type,))
    assert failed == []
    world.produce(50)
    world.assert_landed_once()
    assert lander.metric("lander_landing", world.table) == 1
    assert "fenced off" not in lander.words(), "maintenance is no other lander"
