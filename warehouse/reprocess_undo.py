"""Take back what a reprocessing changed: a run of its own, whose findings are the other's the other way round."""

from uuid import UUID

import psycopg

from contracts.model import Contract
from warehouse import reprocess_runs as runs


class CannotUndo(Exception):
    """There is nothing to put back, or it does not fit any more; the message says why."""


def prepare(connection: psycopg.Connection, run_id: UUID, contracts: dict[str, Contract]) -> runs.Run:
    """A run that, applied, puts back what ``run_id`` replaced. To be called by who is alone.

    A minute that was recomputed since is newer than both, and will be left as it is: its checksum tells.

    :raises CannotUndo: the run is unknown, forgotten, no run that changes anything, or not done; or a rollup table has
        got other columns since.
    """
    undone = runs.read(connection, run_id)
    if undone is None:
        raise CannotUndo(f"there is no run {run_id}; what a run replaced is kept for REPROCESS_KEEP_DAYS")
    if undone.asked.kind == "dry run" or undone.state != "done":
        raise CannotUndo(f"run {run_id} ({undone.asked.kind}, {undone.state}) has changed nothing")
    for type_ in undone.asked.types:
        _require_columns(connection, run_id, type_, contracts)
    asked = undone.asked
    run = runs.begin(
        connection,
        runs.Asked("undo", asked.start, asked.end, asked.types, asked.tenant, asked.code, undoes=run_id),
    )
    if run.state == "comparing":
        with runs.keeping(connection), connection.transaction():
            _turn_round(connection, run_id, run.run_id)
            runs.finish(connection, run.run_id, "compared")
    return run


def _turn_round(connection: psycopg.Connection, undone: UUID, run_id: UUID) -> None:
    given = {"undone": undone, "run_id": run_id}
    connection.execute(
        """
        insert into ledger.reprocess_minutes (run_id, type, tenant, minute, was, becomes)
        select %(run_id)s, type, tenant, minute, becomes, was
        from ledger.reprocess_minutes
        where run_id = %(undone)s and outcome = 'replaced'
        """,
        given,
    )
    connection.execute(
        """
        insert into ledger.reprocess_rows (run_id, type, tenant, minute, part, side, content)
        select
            %(run_id)s, r.type, r.tenant, r.minute, r.part, case r.side when 'old' then 'new' else 'old' end, r.content
        from ledger.reprocess_rows as r
        inner join ledger.reprocess_minutes as m
            on m.run_id = r.run_id and m.type = r.type and m.tenant = r.tenant and m.minute = r.minute
        where r.run_id = %(undone)s and m.outcome = 'replaced'
        """,
        given,
    )


def _require_columns(connection: psycopg.Connection, run_id: UUID, type_: str, contracts: dict[str, Contract]) -> None:
    if type_ not in contracts:
        raise CannotUndo(f"there is no contract {type_} any more")
    for part, table in (("rollup", f"rollups.{contracts[type_].rollup_table}"), ("cells", "ledger.cells")):
        row = connection.execute(
            """
            select
                (
                    select array_agg(key)
                    from jsonb_object_keys((
                        select content from ledger.reprocess_rows
                        where run_id = %(run_id)s and type = %(type)s and part = %(part)s
                        limit 1
                    )) as key
                ),
                (
                    select array_agg(attname::text)
                    from pg_attribute
                    where attrelid = %(table)s::regclass and attnum > 0 and not attisdropped
                )
            """,
            {"run_id": run_id, "type": type_, "part": part, "table": table},
        ).fetchone()
        if row is not None and row[0] is not None and (changed := set(row[0]) ^ set(row[1])):
            raise CannotUndo(
                f"{table} had other columns then ({', '.join(sorted(changed))}): reprocess with the code that is wanted"
                " instead"
            )
