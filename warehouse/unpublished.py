"""``ledger.unpublished``: hours whose rollups changed and whose marts do not show it yet."""

from typing import LiteralString

CHANGED_AGAIN: LiteralString = """
    on conflict (type, tenant, hour) do update set
        change_id = excluded.change_id,
        cause = case
            when coalesce(array_position(%(gravity)s::text[], u.cause), 0)
                > coalesce(array_position(%(gravity)s::text[], excluded.cause), 0)
                then u.cause
            else excluded.cause
        end,
        received_from = least(u.received_from, excluded.received_from),
        reprocessed_by = coalesce(excluded.reprocessed_by, u.reprocessed_by),
        changed_at = now()
"""
"""SQL behind an insert into it as ``u``: what an hour that is there becomes; ``gravity``: ``warehouse.causes.CAUSES``.

A claim of the hour stays, and does not cover the change. Of two causes the graver is told; which reprocessing changed
the hour last stays with it, whoever changes it after that.
"""
