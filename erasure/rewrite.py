"""Rewrite the data files of a table that hold rows of somebody, a few files a commit, beside its lander.

Copy on write: a file is read whole, and written again with the same rows in the same order, ``land_seq`` included. The
commit replaces exactly the files that were read (pyiceberg refuses where one is gone), leaves the lander's state alone,
and is tried again with the same files when the lander commits meanwhile (docs/adr/0005, 0038).
"""

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationException
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table, TableProperties

from erasure.targets import Target
from runtime import log

_ATTEMPTS = 30
_PASSES = 10
_log = log.get(__name__)
Touches = set[tuple[str, datetime]]


class KeepsChanging(Exception):
    """Others kept changing the table; what is done stays done, and asking again goes on."""


@dataclass(frozen=True)
class Found:
    """What is somebody's in one data file."""

    file: DataFile
    rows: int
    touched: Touches


@dataclass(frozen=True)
class Tell:
    """Whom a rewriting tells what, files at a time: ``note`` of those it is about to replace, ``done`` when it has.

    Or ``withdraw``: somebody else had replaced one of them, so that none was.
    """

    note: Callable[[Sequence[Found]], None]
    withdraw: Callable[[Sequence[Found]], None]
    done: Callable[[Sequence[Found]], None]


@dataclass
class Rewritten:
    """What was done to a table; or, of a look, what would be."""

    rows: int = 0
    files: int = 0


def find(catalog: SqlCatalog, target: Target, without: Collection[str] = ()) -> Iterator[Found]:
    """The data files of the newest snapshot with rows that are theirs; a file at a time, of it a few columns.

    Not opened are the files ``without``, whose objects are missing: who is in them cannot be told.

    :raises OSError: S3 is away, or another object is missing.
    """
    try:
        table = catalog.load_table(target.identifier)
    except NoSuchTableError:
        return
    scan = table.scan(row_filter=target.row_filter, selected_fields=target.columns)
    reader = ArrowScan(table.metadata, table.io, scan.projection(), scan.row_filter)
    for task in scan.plan_files():
        if task.file.file_path in without:
            continue
        rows = reader.to_table([task])
        mine = rows.filter(target.theirs(rows))
        if mine.num_rows:
            yield Found(task.file, mine.num_rows, target.touched(mine))


def rewrite(catalog: SqlCatalog, target: Target, at_once: int, tell: Tell, without: Collection[str] = ()) -> Rewritten:
    """Leave nothing of theirs in the table's newest snapshot; it is looked through until a pass finds none.

    But for the files ``without``, which are missing: somebody may be in them when they are there again.

    :raises KeepsChanging: others kept changing the table.
    """
    done = Rewritten()
    for _ in range(_PASSES):
        waiting: list[Found] = []
        seen = False
        for found in find(catalog, target, without):
            seen = True
            waiting.append(found)
            if len(waiting) >= at_once:
                _replace(catalog, target, waiting, tell, done)
                waiting = []
        if waiting:
            _replace(catalog, target, waiting, tell, done)
        if not seen:
            return done
    raise KeepsChanging(f"{target.identifier}: others kept changing the table; ask again")


def _replace(catalog: SqlCatalog, target: Target, given: list[Found], tell: Tell, done: Rewritten) -> None:
    tell.note(given)
    table = catalog.load_table(target.identifier)
    written = [file for one in given for file in _written(table, target, one.file)]
    for _ in range(_ATTEMPTS):
        try:
            _commit(catalog.load_table(target.identifier), [one.file for one in given], written)
        except CommitFailedException as error:
            _log.info("the lander was quicker", table=target.identifier, why=str(error))
        except ValidationException as error:
            # Somebody else (a compaction) rewrote one of them: the next pass finds its rows in another file.
            _log.warning("looking again", table=target.identifier, why=str(error))
            tell.withdraw(given)
            break
        else:
            done.files += len(given)
            done.rows += sum(one.rows for one in given)
            tell.done(given)
            return
    for file in written:
        with contextlib.suppress(
            OSError
        ):  # of a commit that did not take place: maintenance finds it, and finds nobody
            table.io.delete(file.file_path)


def _written(table: Table, target: Target, file: DataFile) -> list[DataFile]:
    schema = table.schema()
    rows = ArrowScan(table.metadata, table.io, schema, AlwaysTrue()).to_table([FileScanTask(file)])
    rows = rows.cast(schema.as_arrow()).combine_chunks()
    theirs = target.theirs(rows)
    rows = target.without(rows, theirs)
    if rows.num_rows != file.record_count or pc.any(target.theirs(rows)).as_py():
        raise AssertionError(f"{file.file_path}: {rows.num_rows} rows of {file.record_count}, or not without them")
    return list(_dataframe_to_data_files(table.metadata, rows, table.io, write_uuid=uuid.uuid4()))


def _commit(table: Table, old: list[DataFile], new: list[DataFile]) -> None:
    # On the copy in memory only: the library's own retry would not look again at what it replaces.
    table.metadata.properties[TableProperties.COMMIT_NUM_RETRIES] = "0"
    with table.transaction() as transaction, transaction.update_snapshot().overwrite() as overwrite:
        for file in old:
            overwrite.delete_data_file(file)
        for file in new:
            overwrite.append_data_file(file)


def add_snapshot(catalog: SqlCatalog, identifier: str) -> None:
    """Commit nothing, with the manifests merged: what was replaced is then listed by older snapshots only.

    Manifests have each file's least and greatest values, of a file that is no longer in the table too.

    :raises KeepsChanging: others kept changing the table.
    """
    for _ in range(_ATTEMPTS):
        table = catalog.load_table(identifier)
        # On the copy in memory only.
        table.metadata.properties[TableProperties.COMMIT_NUM_RETRIES] = "0"
        table.metadata.properties[TableProperties.MANIFEST_MIN_MERGE_COUNT] = "2"
        try:
            with table.transaction() as transaction, transaction.update_snapshot().merge_append():
                pass
        except CommitFailedException:
            continue
        return
    raise KeepsChanging(f"{identifier}: others kept changing the table; ask again")
