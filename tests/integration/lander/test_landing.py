"""What is in a topic lands in its table: all of it, none of it twice, whatever happens to the landers."""

import random
import signal
import time
from datetime import UTC, datetime
from typing import Any


def test_what_is_in_the_topic_lands_and_the_ledger_says_through_when(world: Any) -> None:
    world.produce(500)
    world.start()
    world.assert_landed_once()
    now = datetime.now(UTC)
    # No later than what every open collector promises: the servers under test may hold some of other tests.
    (durable,) = world.ledger("select min(durable_through) from ledger.collectors where not closed")[0]
    world.wait_for(
        "idle, through still advances",
        lambda: (world.through() or datetime.min.replace(tzinfo=UTC)) >= min(now, durable or now),
    )
    world.produce(10)
    world.assert_landed_once()


def test_through_does_not_pass_a_message_that_has_not_landed(world: Any) -> None:
    lander = world.start(LAND_SECONDS="6")
    world.wait_for("it lands", lambda: world.leads(lander))
    world.wait_for("a first promise", world.through)
    world.produce(5)
    produced = datetime.now(UTC)
    while not world.landed():
        assert world.through() < produced, "promised before it landed"
        time.sleep(0.3)


def test_a_lander_that_starts_again_goes_on_where_the_table_is(world: Any) -> None:
    for _ in range(3):
        world.produce(50)
        lander = world.start()
        world.assert_landed_once()
        assert lander.kill(signal.SIGTERM) == 0


def test_a_stop_commits_what_is_buffered(world: Any) -> None:
    lander = world.start(LAND_SECONDS="600")
    world.wait_for("it lands", lambda: world.leads(lander))
    world.produce(100)
    world.wait_for("it is behind", lambda: lander.metric("lander_lag_messages", world.table) == 100)
    time.sleep(3)  # the rows wait in its buffer by then; if not, the next start would land them
    assert world.landed() == []
    assert lander.kill(signal.SIGTERM) == 0
    world.assert_landed_once()


def test_of_two_landers_one_works_and_the_other_takes_over(world: Any) -> None:
    first = world.start()
    world.wait_for("the first leads", lambda: world.leads(first))
    second = world.start()
    world.wait_for("the second stands by", lambda: second.reasons() == {})
    assert not world.leads(second)
    world.produce(100)
    world.wait_for("some have landed", world.landed)
    first.kill(signal.SIGKILL)
    world.produce(100)
    world.wait_for("the second leads", lambda: world.leads(second))
    world.assert_landed_once()


def test_a_paused_lander_loses_its_table_and_does_no_harm_when_it_wakes(world: Any) -> None:
    paused = world.start(LAND_SECONDS="4")
    world.wait_for("it leads", lambda: world.leads(paused))
    world.produce(200)
    time.sleep(2)  # it has them in its buffer now
    paused.process.send_signal(signal.SIGSTOP)
    other = world.start()
    world.wait_for("the other leads", lambda: world.leads(other))
    world.assert_landed_once()
    world.produce(50)
    paused.process.send_signal(signal.SIGCONT)
    world.wait_for("the paused one stands by", lambda: not world.leads(paused))
    world.produce(50)
    world.assert_landed_once()
    time.sleep(5)
    world.assert_landed_once()


def test_kills_at_random_points_lose_nothing_and_double_nothing(world: Any) -> None:
    chance = random.Random(int(time.time()))  # noqa: S311
    for _ in range(6):
        lander = world.start(LAND_SECONDS="0.2", LAND_ROWS="40")
        world.produce(chance.randrange(50, 300))
        world.wait_for("it leads", lambda lander=lander: world.leads(lander))
        time.sleep(chance.uniform(0, 1.5))
        lander.kill(signal.SIGKILL)
    world.start()
    world.assert_landed_once()


def test_a_cut_off_store_is_waited_for(world: Any) -> None:
    cable = world.cable("S3_ENDPOINT")
    lander = world.start()
    world.produce(50)
    world.assert_landed_once()
    cable.cut()
    world.produce(50)
    world.wait_for("it says why", lambda: world.table in (lander.reasons() or {}))
    assert len(world.landed()) == 50
    cable.mend()
    world.assert_landed_once()
    world.wait_for("it is ready again", lambda: world.table not in (lander.reasons() or {}))


def test_a_cut_off_database_is_waited_for(world: Any) -> None:
    cable = world.cable("LANDER_DSN")
    lander = world.start()
    world.produce(50)
    world.assert_landed_once()
    cable.cut()
    world.produce(50)
    world.wait_for("it says why", lander.reasons)
    cable.mend()
    world.assert_landed_once()
    world.wait_for("it is ready again", lambda: lander.reasons() == {})


def test_a_new_event_type_lands_without_a_restart(world: Any) -> None:
    contract = world.contracts / world.type
    aside = world.folder / "aside"
    contract.rename(aside)
    world.write_contract(type_="lt_already_there")
    world.start()
    world.wait_for("it looks at what there is", lambda: world.landers[0].reasons() is not None)
    aside.rename(contract)
    world.produce(20)
    world.assert_landed_once()
