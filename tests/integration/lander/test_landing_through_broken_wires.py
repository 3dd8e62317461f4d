"""Between a lander and its servers anything may break: commits nobody hears of, whatever S3 answers, or nothing."""

import signal
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.s3_wire import S3Wire
from tests.faults.wire import Wire


@pytest.fixture
def wired(world: Any) -> Iterator[Callable[..., Any]]:
    """Puts a wire between landers and the server that a setting names; only that setting goes through it."""
    made: list[Wire] = []

    def put(setting: str, kind: type[Wire] = Wire) -> Wire:
        server = urlsplit(world.env[setting])
        wire = kind(server.hostname or "", server.port or 0)
        made.append(wire)
        world.env[setting] = world.env[setting].replace(f":{server.port}", f":{wire.port}")
        return wire

    yield put
    for lander in world.landers:
        if lander.process.poll() is None:
            lander.kill()
    for wire in made:
        wire.close()


@pytest.mark.parametrize("setting", ["LAKE_CATALOG_URI", "LANDER_DSN"], ids=["of a landing", "of the ledger"])
def test_a_commit_that_postgres_made_and_nobody_heard_of_lands_once(world: Any, wired: Any, setting: str) -> None:
    wire = wired(setting)
    lander = world.start()
    world.produce(50)
    world.assert_landed_once()
    wire.lose_reply_to(b"COMMIT")
    world.produce(50)
    world.wait_for("a reply is lost", lambda: wire.lost == 1)
    world.produce(50)
    world.assert_landed_once()
    world.wait_for("it is ready", lambda: lander.reasons() == {})


FAULTS: dict[str, Callable[[S3Wire], None]] = {
    "500": lambda wire: wire.answer(500),
    "503": lambda wire: wire.answer(503),
    "reset in the middle of an answer": lambda wire: wire.break_answers(),
    "stalled": lambda wire: wire.stall(),
}


def test_whatever_s3_answers_everything_lands_once_it_is_itself_again(world: Any, wired: Any) -> None:
    wire = wired("S3_ENDPOINT", S3Wire)
    lander = world.start()
    for fault, make in FAULTS.items():
        world.produce(30)
        world.assert_landed_once()
        world.wait_for("it is ready", lambda: lander.reasons() == {})
        there, answered = len(world.landed()), wire.answered
        make(wire)
        world.produce(30)
        if fault != "stalled":
            world.wait_for(f"it is tried: {fault}", lambda answered=answered: wire.answered > answered)
        world.wait_for(f"it says so: {fault}", lambda: world.table in (lander.reasons() or {}))
        assert len(world.landed()) == there
        wire.mend()
        world.assert_landed_once()


def test_a_lander_stopped_in_the_middle_of_a_commit_wakes_beside_another_and_is_fenced_off(
    world: Any, wired: Any
) -> None:
    """It is past its last look at its lock, the table as it was and the batch in its hands: only the fence is left."""
    direct = world.env["S3_ENDPOINT"]
    wire = wired("S3_ENDPOINT")
    stale = world.start()
    world.produce(50)
    world.assert_landed_once()
    wire.stall()
    world.produce(50)
    world.wait_for("it is in the middle of a commit", lambda: world.table in (stale.reasons() or {}))
    stale.process.send_signal(signal.SIGSTOP)
    world.env["S3_ENDPOINT"] = direct
    other = world.start()
    world.wait_for("the other leads", lambda: world.leads(other))
    world.assert_landed_once()
    wire.mend()
    stale.process.send_signal(signal.SIGCONT)
    world.wait_for("it is fenced off", lambda: stale.metric("lander_fenced_total", world.table) == 1)
    world.produce(50)
    world.assert_landed_once()


def test_a_lander_with_nothing_to_land_says_that_s3_hangs(world: Any, wired: Any) -> None:
    wire = wired("S3_ENDPOINT", S3Wire)
    lander = world.start()
    world.produce(1)
    world.assert_landed_once()
    world.wait_for("it is ready", lambda: lander.reasons() == {})
    wire.stall()
    world.wait_for("it says so", lambda: "lake" in (lander.reasons() or {}))
    wire.mend()
    world.wait_for("it is ready again", lambda: lander.reasons() == {})


def test_a_lander_whose_postgres_hangs_says_so(world: Any, wired: Any) -> None:
    """The heartbeat waits, and every table's thread behind it: none of them can say why."""
    wire = wired("LANDER_DSN")
    lander = world.start()
    world.produce(1)
    world.assert_landed_once()
    world.wait_for("it is ready", lambda: lander.reasons() == {})
    wire.stall()
    world.wait_for("it says so", lambda: "postgres" in (lander.reasons() or {}))
    wire.mend()
    world.wait_for("it is ready again", lambda: lander.reasons() == {})


def test_a_slow_s3_is_a_late_landing_and_no_trouble(world: Any, wired: Any) -> None:
    wire = wired("S3_ENDPOINT", S3Wire)
    lander = world.start()
    world.produce(30)
    world.assert_landed_once()
    wire.slow(4096, 0.02)
    world.produce(300)
    world.assert_landed_once()
    assert lander.metric("lander_trouble_total", world.table) == 0
