"""A lake that does not answer is said to, though its client would wait for ever."""

import pytest

from collector import land_asking
from collector.land_asking import SLOW_SECONDS, Asking


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(land_asking.time, "monotonic", lambda: now[0])
    return now


def test_a_commit_that_takes_its_time_is_said_to_be_work_until_it_takes_too_long(clock: list[float]) -> None:
    asking = Asking("the lake", SLOW_SECONDS)
    assert asking.too_long is None
    with asking():
        clock[0] += SLOW_SECONDS
        assert asking.too_long is None
        clock[0] += 1
        assert asking.too_long == "the lake has not answered for 9 s"
    assert asking.too_long is None, "it has answered"


def test_whatever_it_answers_is_an_answer(clock: list[float]) -> None:
    asking = Asking("the lake", SLOW_SECONDS)
    with pytest.raises(OSError, match="503"), asking():
        clock[0] += SLOW_SECONDS + 1
        raise OSError("503")
    assert asking.too_long is None
