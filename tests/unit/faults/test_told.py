"""What a fault came to is held against each of its bounds."""

import pytest

from stack.programs import nothing
from tests.faults.bout import Fault, Times, catch_up_within, not_borne, told
from tests.faults.verdict import Verdict

LONG = Fault("a", "broker", lambda _plant: nothing, (), lasts=90)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (Times(90, 9.9, 29.9, 179.9), []),
        (Times(90, 9.9, 29.9, 180.1), ["what was taken until then was not counted within 180 s"]),
        (Times(15, 9.9, 29.9, 119.9), []),
        (Times(15, 9.9, 29.9, 120.1), ["what was taken until then was not counted within 120 s"]),
        (Times(90, 9.9, 29.9), ["what was taken until then was not counted within 180 s"]),
        (Times(90, 9.9, 30.1, 60), ["not well again within 30 s"]),
        (Times(90, 9.9, None, 60), ["not well again within 30 s"]),
        (Times(90, 10.1, 29.9, 60), ["health did not show it within 10 s"]),
        (Times(90, None, 29.9, 60), ["health did not show it within 10 s"]),
        (Times(0, None, 29.9, 60), []),
    ],
)
def test_each_bound_that_was_broken_is_a_finding(times: Times, said: list[str]) -> None:
    verdict = told(LONG, times)
    assert verdict.findings == said
    assert verdict.held == (not said)


def test_what_is_not_shown_by_health_is_not_looked_for_there() -> None:
    quiet = Fault("a", "pipeline", lambda _plant: nothing, (), lasts=15, shown=False)
    assert told(quiet, Times(15, None, 1, 1)).held


def test_a_backlog_has_twice_the_outage_and_no_less_than_a_pipeline_needs() -> None:
    assert [catch_up_within(outage) for outage in (0, 15, 60, 90)] == [120, 120, 120, 180]


@pytest.mark.parametrize(("unknown", "refused", "borne"), [(0, 0, True), (1, 0, False), (0, 1, False)])
def test_senders_see_nothing_of_what_is_borne(unknown: int, refused: int, borne: bool) -> None:
    verdict = Verdict("a", "broker", sent=9, acknowledged=9 - unknown, unknown=unknown, refused=refused)
    assert (not_borne(verdict) == []) == borne
