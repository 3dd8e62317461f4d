"""pyiceberg's catalog, in which a table's times never go back.

pyiceberg (0.12) gives each snapshot the time of whoever commits it. Iceberg's library for Java, and so Spark, refuses
to read a table whose history goes back by more than a minute (``TableMetadata``: "Expected sorted snapshot log
entries"). So one commit by a machine whose clock was ahead would, once the clock is right, close the table to every
load until that snapshot is expired.
"""

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StagedTable, Table
from pyiceberg.table.update import AddSnapshotUpdate, TableRequirement, TableUpdate
from pyiceberg.typedef import Identifier


class LakeCatalog(SqlCatalog):
    """Every commit is at least as late as what it follows, whatever the clock says."""

    def _update_and_stage_table(
        self,
        current_table: Table | None,
        table_identifier: Identifier,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> StagedTable:
        if current_table is None:
            return super()._update_and_stage_table(current_table, table_identifier, requirements, updates)
        last = current_table.metadata.last_updated_ms
        later = tuple(_later(update, last) for update in updates)
        staged = super()._update_and_stage_table(current_table, table_identifier, requirements, later)
        if staged.metadata.last_updated_ms < last:  # of a commit without a snapshot
            staged.metadata = staged.metadata.model_copy(update={"last_updated_ms": last})
        return staged


def _later(update: TableUpdate, last: int) -> TableUpdate:
    if not isinstance(update, AddSnapshotUpdate) or update.snapshot.timestamp_ms > last:
        return update
    return update.model_copy(update={"snapshot": update.snapshot.model_copy(update={"timestamp_ms": last + 1})})
