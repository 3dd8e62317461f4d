"""The fenced commit: rows, offsets and land_seq go into a table together, from one lander at a time, or not at all.

What can go wrong and what stops it (docs/adr/0005):

* Two landers with the same messages: the append requires the snapshot it was built on; the second fails.
* A lander that reloads the table and then commits its old buffer: the state in the metadata must be the batch's start.
* A lander that does not know of somebody who was forgotten: the length of that list is part of the state (0038).
* A commit without rows: still an append, since one that changes properties only requires nothing.
* The library retrying a failed commit by itself, rows and all: retries are set to 0, on the copy in memory only,
  because as a property of the table it would also stop Spark's maintenance from retrying.
"""

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import pyarrow as pa
from pydantic import Field
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, TableProperties, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableUpdate, ValidatableTableRequirement

from runtime import log

PREFIX = "watershed."
LAND_SEQ = PREFIX + "land_seq"
TOPIC_ID = PREFIX + "topic_id"
OFFSET = PREFIX + "offset.p"
SUPPRESSED = PREFIX + "suppressed"
_CONFLICTS = 5
"""How often a commit is tried again when something else than a lander (maintenance) changed the table meanwhile."""

_log = log.get(__name__)


class Fenced(Exception):
    """The table has moved on: another lander has landed these messages, or more people were forgotten than were known
    when they were decoded. Drop the buffer and start from the table.
    """


@dataclass(frozen=True)
class State:
    """How far a table is. ``offsets``: the next to read, by partition; ``topic_id`` None: nothing has landed yet.

    ``suppressed``: how many entries of the list of who was forgotten its landers must know (collector/suppressed.py).
    """

    land_seq: int
    topic_id: str | None
    offsets: Mapping[int, int]
    suppressed: int = 0

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> Self:
        """The state kept in a table's properties."""
        offsets = {int(k.removeprefix(OFFSET)): int(v) for k, v in properties.items() if k.startswith(OFFSET)}
        suppressed = int(properties.get(SUPPRESSED, "0"))
        return cls(int(properties.get(LAND_SEQ, "0")), properties.get(TOPIC_ID) or None, offsets, suppressed)

    def moved(self, topic_id: str, ends: Mapping[int, int]) -> "State":
        """The state after the next commit."""
        return State(self.land_seq + 1, topic_id, {**self.offsets, **ends}, self.suppressed)

    def properties(self) -> dict[str, str]:
        """The state as properties."""
        offsets = {f"{OFFSET}{p}": str(o) for p, o in sorted(self.offsets.items())}
        suppressed = {SUPPRESSED: str(self.suppressed)} if self.suppressed else {}
        return {LAND_SEQ: str(self.land_seq), TOPIC_ID: self.topic_id or "", **offsets, **suppressed}


class AssertState(ValidatableTableRequirement):
    """The state that the metadata must hold; the catalog checks it on the metadata it is about to replace."""

    type: Literal["watershed-assert-state"] = Field(default="watershed-assert-state")
    expected: dict[str, str]

    def validate(self, base_metadata: TableMetadata | None) -> None:  # type: ignore[override]
        """Refuse any other state.

        :raises CommitFailedException: another lander, or someone by hand, moved it.
        """
        found = State.of(base_metadata.properties) if base_metadata is not None else None
        if found != State.of(self.expected):
            raise CommitFailedException(f"lander's state is {found}, expected {self.expected}")


class _Transaction(Transaction):
    """pyiceberg's own, which asks for its metadata sixteen times a commit and makes a deep copy of it each time.

    With the snapshots of an hour that was three quarters of a commit's time (pyiceberg 0.12). Nobody writes to the
    copies, so one for each set of updates will do.
    """

    _seen: tuple[tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        if not self._updates:
            return self._table.metadata
        if self._seen is None or self._seen[0] is not self._updates:
            self._seen = (self._updates, super().table_metadata)
        return self._seen[1]


def commit(catalog: SqlCatalog, table: Table, rows: pa.Table, base: State, after: State) -> Table:
    """Append ``rows`` (maybe none) and move the state from ``base`` to ``after``; gives the table as committed.

    :raises Fenced: the table's state is no longer ``base``.
    :raises CommitFailedException: something kept changing the table.
    :raises Exception: what S3 or the catalog raise when away; whether the commit took place is then told by the state.
    """
    identifier = table.name()
    if rows.num_rows:
        rows = rows.append_column(
            pa.field("land_seq", pa.int64(), nullable=False), _constant(after.land_seq, len(rows))
        )
    files: list[DataFile] = []
    written_for: tuple[int, int] | None = None
    for attempt in range(_CONFLICTS):
        metadata = table.metadata
        if State.of(metadata.properties) != base:
            _delete(table, files)
            raise Fenced(f"{'.'.join(identifier)}: state {State.of(metadata.properties)}, the batch began at {base}")
        shape = (metadata.default_spec_id, metadata.current_schema_id)
        if written_for != shape:
            _delete(table, files)
            files, written_for = _write(table, rows), shape
        try:
            return _append(table, files, base, after)
        except CommitFailedException as error:
            _log.warning("commit conflict", table=".".join(identifier), attempt=attempt + 1, error=str(error))
            table = catalog.load_table(identifier)
    _delete(table, files)
    raise CommitFailedException(f"{'.'.join(identifier)}: {_CONFLICTS} conflicts in a row")


def _append(table: Table, files: list[DataFile], base: State, after: State) -> Table:
    table.metadata.properties[TableProperties.COMMIT_NUM_RETRIES] = "0"
    transaction = _Transaction(table)
    _require_state(transaction, base)
    summary = {LAND_SEQ: str(after.land_seq)}
    with transaction.update_snapshot(snapshot_properties=summary).merge_append() as append:
        for file in files:
            append.append_data_file(file)
    gone = base.properties().keys() - after.properties().keys()
    if gone:
        transaction.remove_properties(*gone)
    transaction.set_properties(after.properties())
    return transaction.commit_transaction()


def _require_state(transaction: Transaction, base: State) -> None:
    transaction._apply((), (AssertState(expected=base.properties()),))  # type: ignore[arg-type]


def _write(table: Table, rows: pa.Table) -> list[DataFile]:
    if not rows.num_rows:
        return []
    return list(_dataframe_to_data_files(table.metadata, rows, table.io, write_uuid=uuid.uuid4()))


def _delete(table: Table, files: list[DataFile]) -> None:
    """Remove files of a commit that certainly did not take place; what cannot be removed is left to maintenance."""
    for file in files:
        with contextlib.suppress(OSError):
            table.io.delete(file.file_path)


def _constant(value: int, count: int) -> "pa.Array[Any]":
    return pa.repeat(pa.scalar(value, pa.int64()), count)
