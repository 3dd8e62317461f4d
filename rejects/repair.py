"""Repairing rejected events: looking what would pass, and sending it again the way that every event goes.

Each event is noted in ``ledger.repairs`` before it is sent, and its answer after. A run that is cut short between the
two leaves notes without an answer; the next run sends those first, the very same events again, and the load books the
second copy as a duplicate. What was answered is never sent again, whatever patch another run has.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID

import psycopg
from pyiceberg.catalog import Catalog

from collector.sender import Event, Sender
from rejects.examine import Examiner, Mended
from rejects.read import rejects
from rejects.recipe import Recipe
from rejects.reject import ERASED, Chosen, Once, Reject
from rejects.restore import Unrestorable, restore
from rejects.tally import Progress, Tally
from rejects.told import kept
from runtime import log
from spark_jobs.reject_labels import Labels
from warehouse import repairs
from warehouse.repairs import Repair, RepairRun

CHUNK = 500
"""Events noted, sent and answered together."""
SenderFor = Callable[[str], Sender]
_log = log.get(__name__)


class Disagreement(Exception):
    """The collector refuses what passes here; nothing more is sent."""


def look(
    found: Iterable[Reject],
    *,
    warehouse: psycopg.Connection,
    examiner: Examiner,
    recipe: Recipe,
    tally: Tally,
    progress: Progress,
) -> Iterator[list[Mended]]:
    """Count what would pass and what would not, and give what would, a chunk at a time; each rejection once.

    What was repaired before is counted as such, and left alone.
    """
    once = Once()
    unique = (reject for reject in found if once.first(reject))
    while chunk := list(islice(unique, CHUNK)):
        known = repairs.repaired(warehouse, [reject.reject_id for reject in chunk])
        verdicts = [examiner.examine(reject, recipe) for reject in chunk if reject.reject_id not in known]
        tally.seen += len(chunk) - len(verdicts)
        tally.already += len(chunk) - len(verdicts)
        for verdict in verdicts:
            tally.add(verdict)
        progress(len(chunk))
        yield [verdict for verdict in verdicts if isinstance(verdict, Mended)]


class Repairs:
    """Sends mended events. ``sender_for`` gives the sender that has a key of the tenant.

    What it refuses is kept and told by ``labels``: an unknown field's name is the sender's own text.
    """

    def __init__(
        self, warehouse: psycopg.Connection, sender_for: SenderFor, examiner: Examiner, labels: Labels, run_id: UUID
    ) -> None:
        self._warehouse, self._sender_for, self._examiner = warehouse, sender_for, examiner
        self._labels, self._run_id = labels, run_id
        self.sent = 0

    def apply(self, mended: Sequence[Mended]) -> None:
        """Note, send, and write the answers down.

        :raises Disagreement: the collector refused one; which it did is mended anew by a later run.
        :raises collector.sender.SendError: it stays away or refuses the key; the next run goes on from the notes.
        """
        repairs.note(self._warehouse, [self._noted(one) for one in mended])
        waiting = _by_tenant((m.tenant, m.reject.reject_id, m.event) for m in mended)
        while waiting:
            tenant, events = waiting.popitem()
            accepted, refused = self._send(tenant, events)
            repairs.answered(self._warehouse, accepted, {})
            self.sent += len(accepted)
            if refused:
                unsent = [reject_id for others in waiting.values() for reject_id in others]
                repairs.withdraw(self._warehouse, [*refused, *unsent])
                raise _disagreement(refused)

    def resume(self, catalog: Catalog, left: Sequence[Repair], without: Collection[str] = ()) -> int:
        """Send again what runs that were cut short had noted, as it was noted; gives how many are still not to be had.

        What is refused now, here too, is over: nobody takes it any more. So is what was erased since.
        ``without``: files that are missing; what was noted of a rejection in one waits for it.

        :raises Disagreement: the collector refuses one that passes here. Its note stays: perhaps it was taken before.
        :raises collector.sender.SendError: as :meth:`apply`.
        """
        recipes: dict[UUID, Recipe] = {}
        lost = 0
        for start in range(0, len(left), CHUNK):
            chunk = {one.reject_id: one for one in left[start : start + CHUNK]}
            ready: dict[str, tuple[str, str, Event]] = {}
            rejected: dict[str, Reject] = {}
            erased: dict[str, Any] = {}
            for reject in rejects(catalog, _these(chunk.values()), without):
                noted = chunk[reject.reject_id]
                if reject.erased:
                    erased[reject.reject_id] = kept([ERASED._asdict()], self._labels)
                    continue
                if noted.run_id not in recipes:
                    recipes[noted.run_id] = recipe_of(repairs.run_of(self._warehouse, noted.run_id))
                if (event := _as_noted(reject, noted, recipes[noted.run_id])) is not None:
                    ready[reject.reject_id] = (noted.tenant, reject.reject_id, event)
                    rejected[reject.reject_id] = reject
            repairs.answered(self._warehouse, [], erased)
            lost += len(chunk) - len(ready) - len(erased)
            for tenant, events in _by_tenant(ready.values()).items():
                accepted, refused = self._send(tenant, events)
                verdicts = {one: self._examiner.examine(rejected[one], recipes[chunk[one].run_id]) for one in refused}
                passing = {one: refused[one] for one, verdict in verdicts.items() if isinstance(verdict, Mended)}
                over = {one: reasons for one, reasons in refused.items() if one not in passing}
                repairs.answered(self._warehouse, accepted, over)
                self.sent += len(accepted)
                if passing:
                    raise _disagreement(passing)
        return lost

    def _noted(self, one: Mended) -> Repair:
        return Repair(
            one.reject.reject_id,
            self._run_id,
            one.tenant,
            one.event_type,
            one.event_id,
            one.occurred_at,
            one.reject.received_at,
        )

    def _send(self, tenant: str, events: Mapping[str, Event]) -> tuple[list[str], dict[str, Any]]:
        """By the rejection's id: what was accepted, and what was refused, with the reasons."""
        accepted: list[str] = []
        refused: dict[str, Any] = {}
        by_identity = {id(event): reject_id for reject_id, event in events.items()}

        def verdict(event: Event, result: Mapping[str, Any]) -> None:
            reject_id = by_identity[id(event)]
            if result.get("status") == "accepted":
                accepted.append(reject_id)
            else:
                refused[reject_id] = kept(result.get("reasons", []), self._labels)

        self._sender_for(tenant).send(events.values(), verdict=verdict)
        return accepted, refused


def _disagreement(refused: Mapping[str, Any]) -> Disagreement:
    reject_id, reasons = next(iter(refused.items()))
    return Disagreement(
        f"the collector refuses {len(refused)} events that pass here, such as {reject_id}: {reasons}. "
        "Does it run with these contracts and limits? They are read when it starts"
    )


def recipe_of(run: RepairRun) -> Recipe:
    """The recipe by which a run worked."""
    return Recipe(None if run.patch is None else tuple(dict(one) for one in run.patch), run.at_receipt)


def senders(url: str, secret: Callable[[str], str], held: ExitStack) -> SenderFor:
    """One sender for each tenant, with the key that ``secret`` gives; closed with ``held``. Ids are never made here."""
    made: dict[str, Sender] = {}

    def sender_for(tenant: str) -> Sender:
        if tenant not in made:
            made[tenant] = held.enter_context(Sender(url, secret(tenant), CHUNK, mint=False))
        return made[tenant]

    return sender_for


def _by_tenant(events: Iterable[tuple[str, str, Event]]) -> dict[str, dict[str, Event]]:
    grouped: dict[str, dict[str, Event]] = {}
    for tenant, reject_id, event in events:
        grouped.setdefault(tenant, {})[reject_id] = event
    return grouped


def _these(noted: Iterable[Repair]) -> Chosen:
    return Chosen(ids=tuple(one.reject_id for one in noted))


def _as_noted(reject: Reject, noted: Repair, recipe: Recipe) -> Event | None:
    """The event that was noted; None where it is no longer to be had."""
    try:
        # A lander that refused the message twice wrote two times of receipt.
        event = restore(replace(reject, received_at=noted.received_at), recipe)
    except Unrestorable as error:
        why = sorted({reason.keyword for reason in error.reasons})
        _log.error("a noted repair cannot be made again", reject_id=reject.reject_id, keywords=why)
        return None
    if not isinstance(event, dict) or str(event.get("event_id")).lower() != noted.event_id:
        _log.error("a noted repair would be another event now", reject_id=reject.reject_id, event_id=noted.event_id)
        return None
    return event
