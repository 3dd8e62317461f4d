"""Programs are killed and stopped while events flow; the auditor, who knows every answer, finds each event once.

Among the events are some that break their contracts, some that are sent again, and some without an id.

``make faults`` does the same at length. Here all is waited for twelve times as long as is promised, because this suite
runs on machines of any speed; what is counted allows no more than there.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from stack.lifecycle import Stack
from stack.settings import StackSettings
from tests.faults.audit import Audit
from tests.faults.bout import Bout, Fault, Times
from tests.faults.events import REASONS
from tests.faults.killed import killed, paused
from tests.faults.mischief import postgres_in_mid_transaction
from tests.faults.plant import Plant
from tests.faults.verdict import Verdict
from tests.ports import PLANT, PORT_OFFSET

PARTS = ("spark-connect", "collector", "lander")
pytestmark = pytest.mark.timeout(1500)
"""For servers to start and all the faults, which the first test waits for; each wait inside has its own bound."""
PATIENCE = 12.0
TYPES = ("page_view", "purchase")
"""Two will do: each type costs Spark's time in every load."""


FAULTS = (
    killed("collector"),
    paused("collector", 11),
    killed("lander"),
    killed("kafka"),
    killed("s3"),
    postgres_in_mid_transaction(),
)


@dataclass
class Fought:
    """What a bout with all the faults came to."""

    times: dict[str, Times] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=lambda: Verdict("all", "pipeline"))
    audit: Audit | None = None


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Servers of their own, so that nobody else's connections break, with collector and lander beside them."""
    state = tmp_path_factory.mktemp("plant") / "state"
    settings = StackSettings(watershed_state=state, port_offset=PORT_OFFSET + PLANT)
    stack = Stack(settings, only=PARTS)
    try:
        stack.up(lambda part, what: None)
        yield Plant(settings)
    finally:
        stack.down(lambda part, what: None)


@pytest.fixture(scope="module")
def fought(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Fought:
    """All the faults, one after another, under one load."""
    bout = Bout(plant, tmp_path_factory.mktemp("faults"), random.getrandbits(32), TYPES).begin()
    found = Fought()
    try:
        for fault in FAULTS:
            found.times[fault.name] = bout.make(fault, patience=PATIENCE)
    finally:
        known = bout.rest(180)
    found.audit = bout.judge(known, found.verdict)
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_was_broken_works_again_without_help(fought: Fought, fault: Fault) -> None:
    assert fought.times[fault.name].recovered_after is not None


def test_a_collector_that_hangs_is_seen_to(fought: Fought) -> None:
    assert fought.times["collector: SIGSTOP, SIGCONT"].red_after is not None


def test_every_event_that_was_taken_is_there_once_and_counted_once(fought: Fought) -> None:
    assert fought.verdict.findings == []
    assert fought.audit is not None
    assert fought.audit.taken > 1000
    assert fought.audit.unanswered > 0, "or nothing was broken while events flowed"


def test_what_was_sent_again_rejected_or_had_no_id_was_among_it(fought: Fought) -> None:
    assert fought.audit is not None
    assert fought.audit.duplicates > 0
    assert fought.audit.rejected > 0
    assert fought.audit.minted > 0
    assert set(fought.audit.reasons) == set(REASONS)


def test_the_books_close_and_a_second_computation_is_equal(fought: Fought) -> None:
    assert (fought.verdict.books, fought.verdict.checksums) == ("balance", "equal")
