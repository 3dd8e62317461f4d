"""Rows of a table of the lake at one snapshot, a file at a time: no more than one file's are in memory."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import BooleanExpression
from pyiceberg.io.pyarrow import ArrowScan


def batches(
    catalog: Catalog,
    table: str,
    row_filter: BooleanExpression,
    columns: Sequence[str] = ("*",),
    without: Collection[str] = (),
) -> Iterator[pa.RecordBatch]:
    """``columns`` of the rows that ``row_filter`` takes; none where there is no such table.

    The files ``without`` (paths) are not opened: they are missing (``warehouse/held.py``).
    Not pyiceberg's own reader of batches, which asks for all files at once and holds what nobody has taken yet.
    """
    try:
        loaded = catalog.load_table(table)
    except NoSuchTableError:
        return
    scan = loaded.scan(row_filter=row_filter, selected_fields=tuple(columns))
    reader = ArrowScan(loaded.metadata, loaded.io, scan.projection(), scan.row_filter)
    for task in scan.plan_files():
        if task.file.file_path not in without:
            yield from reader.to_record_batches([task])


def rows(
    catalog: Catalog,
    table: str,
    row_filter: BooleanExpression,
    columns: Sequence[str] = ("*",),
    without: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """The same, row by row."""
    for batch in batches(catalog, table, row_filter, columns, without):
        yield from batch.to_pylist()
