"""Faults in the middle of the pipeline's own work."""

import threading
from contextlib import suppress

from tests.faults.bout import End, Fault
from tests.faults.killed import SHOWS, postgres_immediate
from tests.faults.plant import CommandFailed, Plant
from tests.faults.steps import Step


def postgres_in_mid_transaction() -> Fault:
    """Postgres is restarted at once while a load has replaced a rollup's minutes and is about to commit."""

    def make(plant: Plant) -> End:
        def load() -> None:
            with suppress(CommandFailed):  # it has lost its database; the next one makes it good
                plant.command("load", "load")

        loading = threading.Thread(target=load)
        with Step(plant.env["WAREHOUSE_DSN"], "ledger.unpublished") as failpoint:
            loading.start()
            failpoint.reached()
            postgres_immediate().make(plant)
        return loading.join

    return Fault("postgres: immediate restart in mid-transaction", "pipeline", make, SHOWS["postgres"])
