"""What is noted, sent and answered when repaired events go to a collector that may refuse them."""

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from collector.sender import Away, Sender
from rejects import repair
from rejects.examine import Mended, Refused
from rejects.recipe import Recipe
from rejects.reject import Chosen, Reject
from rejects.repair import Disagreement, Repairs, look
from rejects.tally import Tally
from spark_jobs.reject_labels import Labels
from tests.unit.rejects.rejects_kit import NOW, REGISTRY, examiner, mended, purchase, reject
from warehouse.repairs import Repair, RepairRun

NO_DEBUG = Recipe.read('[{"op": "remove", "path": "/data/debug"}]')
RUN = uuid.UUID(int=1)
NAME = "anna-4711"
"""An unknown field, by a name that is somebody's id."""


@dataclass
class Ledger:
    """``ledger.repairs`` in memory: what :mod:`warehouse.repairs` does there."""

    rows: dict[str, Repair] = field(default_factory=dict)

    def note(self, _: object, noted: Sequence[Repair]) -> None:
        assert not self.rows.keys() & {one.reject_id for one in noted}
        self.rows |= {one.reject_id: one for one in noted}

    def answered(self, _: object, accepted: Sequence[str], refused: Mapping[str, Any]) -> None:
        for reject_id in (*accepted, *refused):
            row = self.rows[reject_id]
            self.rows[reject_id] = replace(row, sent_at=NOW, refused=refused.get(reject_id))

    def withdraw(self, _: object, reject_ids: Sequence[str]) -> None:
        for reject_id in reject_ids:
            del self.rows[reject_id]

    def repaired(self, _: object, reject_ids: Collection[str]) -> frozenset[str]:
        return frozenset(self.rows.keys() & set(reject_ids))

    def run_of(self, _: object, run_id: uuid.UUID) -> RepairRun:
        return RepairRun(run_id, "ann", {}, NO_DEBUG.patch, False)

    def unanswered(self) -> list[Repair]:
        return [row for row in self.rows.values() if row.sent_at is None]


@dataclass
class Collector:
    """Answers as the real one does, and refuses the tenants in ``refuses``; away when ``away``."""

    refuses: set[str] = field(default_factory=set)
    away: bool = False
    got: list[tuple[str, str]] = field(default_factory=list)
    """Tenant of the key, and event_id."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            return httpx.Response(503)
        tenant = request.headers["Authorization"].removeprefix("Bearer key-of-")
        events = json.loads(request.content)
        self.got += [(tenant, event["event_id"]) for event in events]
        message = f"{NAME!r} is not a field"
        reasons = [{"pointer": f"/data/{NAME}", "keyword": "additionalProperties", "message": message}]
        accepted = tenant not in self.refuses
        verdict = {"status": "accepted"} if accepted else {"status": "rejected", "reasons": reasons}
        return httpx.Response(200 if accepted else 400, json={"results": [verdict for _ in events]})

    def sender(self, tenant: str) -> Sender:
        return Sender(
            "http://collector", f"key-of-{tenant}", gzip=False, mint=False, patience=0.0, sleep=lambda _: None,
            transport=httpx.MockTransport(self),
        )  # fmt: skip


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    made = Ledger()
    for name in ("note", "answered", "withdraw", "repaired", "run_of"):
        monkeypatch.setattr(f"warehouse.repairs.{name}", getattr(made, name))
    return made


REJECTS = [
    reject(purchase(debug=n), reject_id=f"r-{n}", tenant=tenant)
    for n, tenant in enumerate(["acme", "globex", "initech", "acme"])
]


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(_: object, chosen: Chosen, __: object) -> Iterator[Reject]:
        return (one for one in REJECTS if one.reject_id in chosen.ids)

    monkeypatch.setattr(repair, "rejects", found)


def repairs_by(collector: Collector, **now: Any) -> Repairs:
    warehouse: Any = None
    return Repairs(warehouse, collector.sender, examiner(**now), Labels(REGISTRY), RUN)


def passing() -> list[Mended]:
    return [mended(one, NO_DEBUG) for one in REJECTS]


def test_each_event_goes_with_a_key_of_its_own_tenant(ledger: Ledger) -> None:
    collector = Collector()
    repairs_by(collector).apply(passing())
    assert sorted(collector.got) == sorted((one.tenant, one.event_id) for one in passing())
    assert ledger.unanswered() == []


def test_what_has_a_note_is_never_sent_as_anything_else(ledger: Ledger) -> None:
    repairs_by(Collector()).apply(passing()[:2])
    tally = Tally(Labels(REGISTRY))
    warehouse: Any = None
    left = list(
        look(REJECTS, warehouse=warehouse, examiner=examiner(), recipe=NO_DEBUG, tally=tally, progress=lambda _: None)
    )
    assert [[one.reject.reject_id for one in chunk] for chunk in left] == [["r-2", "r-3"]]
    assert (tally.seen, tally.already, tally.passing.total()) == (4, 2, 2)


@pytest.mark.parametrize("refuses", ["acme", "globex", "initech"])
def test_a_refused_chunk_leaves_notes_of_what_was_taken_only(ledger: Ledger, refuses: str) -> None:
    collector = Collector(refuses={refuses})
    with pytest.raises(Disagreement, match="these contracts"):
        repairs_by(collector).apply(passing())
    taken = {event_id for tenant, event_id in collector.got if tenant != refuses}
    assert {row.event_id for row in ledger.rows.values()} == taken
    assert ledger.unanswered() == [], "nothing waits to be sent again by this patch"


@pytest.mark.usefixtures("lake")
def test_what_was_noted_and_not_answered_is_sent_again_under_the_same_id(ledger: Ledger) -> None:
    away, back = Collector(away=True), Collector()
    with pytest.raises(Away):
        repairs_by(away).apply(passing())
    assert len(ledger.unanswered()) == 4
    catalog: Any = None
    assert repairs_by(back).resume(catalog, ledger.unanswered()) == 0
    assert sorted(back.got) == sorted((one.tenant, one.event_id) for one in passing())
    assert ledger.unanswered() == []


@pytest.mark.usefixtures("lake")
def test_a_collector_with_older_contracts_does_not_end_what_a_killed_run_had_noted(ledger: Ledger) -> None:
    with pytest.raises(Away):
        repairs_by(Collector(away=True)).apply(passing())
    old, newer = Collector(refuses={"acme"}), Collector()
    catalog: Any = None
    with pytest.raises(Disagreement, match="these contracts"):
        repairs_by(old).resume(catalog, ledger.unanswered())
    assert {"r-0", "r-3"} <= {row.reject_id for row in ledger.unanswered()}
    assert repairs_by(newer).resume(catalog, ledger.unanswered()) == 0
    assert ledger.unanswered() == []
    assert all(row.refused is None for row in ledger.rows.values())


@pytest.mark.usefixtures("lake")
def test_what_was_erased_since_it_was_noted_is_over_and_the_others_are_sent(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Away):
        repairs_by(Collector(away=True)).apply(passing())
    gone = replace(REJECTS[0], body=b'{"erased": true}')
    monkeypatch.setattr(repair, "rejects", lambda *_: (gone if r is REJECTS[0] else r for r in REJECTS))
    collector = Collector()
    catalog: Any = None
    assert repairs_by(collector).resume(catalog, ledger.unanswered()) == 0, "nothing waits for ever"
    assert ledger.unanswered() == []
    assert {row.reject_id for row in ledger.rows.values() if row.refused} == {"r-0"}
    assert sorted(tenant for tenant, _ in collector.got) == ["acme", "globex", "initech"]


@pytest.mark.usefixtures("lake")
def test_what_nobody_takes_any_more_is_over_and_holds_up_no_other(ledger: Ledger) -> None:
    with pytest.raises(Away):
        repairs_by(Collector(away=True)).apply(passing())
    collector = Collector(refuses={"acme"})
    catalog: Any = None
    too_late = NOW.replace(year=NOW.year + 20)
    assert repairs_by(collector, now=too_late).resume(catalog, ledger.unanswered()) == 0
    assert ledger.unanswered() == []
    over = {row.reject_id: row.refused for row in ledger.rows.values() if row.refused}
    told = [{"pointer": "/data/(unknown)", "keyword": "additionalProperties"}]
    assert over == {"r-0": told, "r-3": told}


def test_no_command_and_no_log_repeats_what_an_unknown_field_is_called(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Disagreement) as told:
        repairs_by(Collector(refuses={"acme"})).apply(passing())
    assert "additionalProperties" in str(told.value)
    assert NAME not in str(told.value) + caplog.text
    tally = Tally(Labels(REGISTRY))
    named = reject(purchase(**{NAME: 1}, amount="1,5", quantity=None))
    tally.refuse(Refused(named, examiner().examine(named, Recipe()).reasons))
    said = tally.as_json()
    assert NAME not in json.dumps(said)
    words = {one["field"]: one["example"]["message"] for one in said["reasons"]}
    assert words["/data/(unknown)"] == "/data/(unknown) additionalProperties"
    assert words["/data/quantity"] == '/data/quantity is not of type "integer"', "what a contract knows is told in full"
