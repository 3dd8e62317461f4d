"""One repair, from its connections to its numbers: a look, or the real thing."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg

from collector.keys import KeyFile, KeysError
from collector.lake import open_catalog
from contracts.registry import Registry
from rejects.examine import Examiner, Mended
from rejects.lend_keys import lent_keys
from rejects.read import rejects
from rejects.recipe import Recipe
from rejects.reject import Chosen
from rejects.repair import Repairs, look, senders
from rejects.settings import RepairSettings
from rejects.tally import Progress, Tally
from spark_jobs.reject_labels import Labels
from warehouse import rejects as ledger
from warehouse import repairs
from warehouse.held import missing_files
from warehouse.lake_floor import floors
from warehouse.repairs import RepairRun

SESSION = "-c timezone=UTC"


class RepairWork:
    """The rejections that are ``wanted``, mended by ``recipe`` and judged by ``registry``; to be used once."""

    def __init__(
        self, settings: RepairSettings, registry: Registry, wanted: Chosen, recipe: Recipe, progress: Progress
    ) -> None:
        self._settings, self._registry = settings, registry
        self._wanted, self._recipe, self._progress = wanted, recipe, progress
        self._tally = Tally(Labels(registry))
        self._catalog = open_catalog(settings)

    def look(self) -> dict[str, Any]:
        """Count what would pass; nothing is changed.

        :raises KeysError: the collector's file of keys is not there.
        """
        with self._warehouse() as warehouse:
            missing = missing_files(warehouse, ledger.CURSOR)
            for _ in self._looked(warehouse, self._examiner(warehouse), missing):
                pass
            left = len(repairs.unanswered(warehouse))
        return {"dry_run": True, "unanswered": left, "files_missing": len(missing), **self._tally.as_json()}

    def apply(self, by_whom: str) -> dict[str, Any]:
        """Send what runs that were cut short had noted, then what passes.

        :raises KeysError: as :meth:`look`.
        :raises warehouse.repairs.RepairAtWork: another repair is.
        :raises rejects.repair.Disagreement: the collector refuses what passes here.
        :raises collector.sender.SendError: the collector stays away, or refuses the key.
        """
        run = RepairRun(uuid4(), by_whom, self._wanted.as_json(), self._recipe.patch, self._recipe.at_receipt)
        with ExitStack() as held:
            warehouse = held.enter_context(self._warehouse())
            held.enter_context(repairs.only_repair(warehouse))
            keys = held.enter_context(lent_keys(self._settings.keys_file, run.run_id))
            examiner = self._examiner(warehouse)
            sender_for = senders(self._settings.collector_url, keys.secret, held)
            work = Repairs(warehouse, sender_for, examiner, self._tally.labels, run.run_id)
            missing = missing_files(warehouse, ledger.CURSOR)
            lost = work.resume(self._catalog, repairs.unanswered(warehouse), missing)
            resumed, work.sent = work.sent, 0
            repairs.begin(warehouse, run)
            for mended in self._looked(warehouse, examiner, missing):
                if mended:
                    work.apply(mended)
            said = {"sent": work.sent, "resumed": resumed, "unanswered": lost, "files_missing": len(missing)}
            numbers = {**self._tally.as_json(), **said}
            repairs.finish(warehouse, run.run_id, numbers)
        return {"dry_run": False, "run_id": str(run.run_id), **numbers}

    def _looked(
        self, warehouse: psycopg.Connection, examiner: Examiner, missing: Collection[str]
    ) -> Iterator[list[Mended]]:
        return look(
            rejects(self._catalog, self._wanted, missing),
            warehouse=warehouse,
            examiner=examiner,
            recipe=self._recipe,
            tally=self._tally,
            progress=self._progress,
        )

    def _examiner(self, warehouse: psycopg.Connection) -> Examiner:
        settings = self._settings
        if not settings.keys_file.exists():
            raise KeysError(
                f"{settings.keys_file} is not there: KEYS_FILE has to be the collector's file of write keys"
            )
        keys = KeyFile(settings.keys_file).keys()
        return Examiner(
            self._registry,
            {key.id: key.kind for key in keys},
            floors(warehouse),
            clock=lambda: datetime.now(UTC),
            future=settings.future,
            browser_past=settings.browser_past,
            most_bytes=settings.collector_max_event_bytes,
        )

    def _warehouse(self) -> psycopg.Connection:
        return psycopg.connect(self._settings.repairer_dsn, autocommit=True, options=SESSION)
