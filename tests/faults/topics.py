"""Mischief in the topics while events flow: poison, a topic made anew, messages deleted before they landed.

What cannot go on without a loss stops, and says so; an operator decides, as docs/operations.md has it, and it goes on.
"""

import json
import time
from collections.abc import Callable, Mapping

import httpx
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from collector.lake import LakeSettings, open_catalog
from collector.land_topic import CLIENT_LOG
from tests.faults.bout import RECOVERS, RED_WITHIN, Bout
from tests.faults.commands import loads
from tests.faults.plant import Plant
from tests.faults.verdict import Verdict
from tests.faults.watch import Watch
from tests.integration.lander.processes import wait_for

TYPE = "page_view"
TOPIC = f"events.{TYPE}"
POISON = "poison in a topic"
ANEW = "a topic made anew"
DELETED = "retention passes messages that have not landed"
BAD = (b"\xffnot even text", b"{", b'{"data": 1}', json.dumps({"event_type": "unheard_of"}).encode(), None)
"""What no collector writes: no text, no JSON, no event, an event of no type there is, nothing at all."""
ROUNDS = 20
BEHIND_SECONDS = 5.0
"""So long the lander is kept from landing before its messages are deleted."""
STOPPED_SECONDS = 10.0
"""So long the table stands still, once it says why, before the operator decides."""
LOOKS_AGAIN = 60.0
"""A table that is stopped looks again every half a minute, and then says what there is to decide."""
PATIENCE = 3.0
SETTLE = 60.0
"""Seconds of loads after the last event: what is gone is waited for in vain."""


def poison(bout: Bout) -> Verdict:
    """Poison in every partition, between good messages: set aside as rejected, and nothing stops."""
    plant, verdict = bout.plant, Verdict(POISON, "pipeline", bound=RECOVERS["pipeline"])
    partitions = len(_admin(plant).list_topics(TOPIC, timeout=10).topics[TOPIC].partitions)
    producer = Producer({"bootstrap.servers": plant.env["KAFKA_BOOTSTRAP_SERVERS"]}, logger=CLIENT_LOG)
    before, sent = _rejected(plant), ROUNDS * len(BAD) * partitions
    watch, began = Watch.of(plant.programs, ("lander",)), time.monotonic()
    try:
        with loads(plant):
            for _ in range(ROUNDS):
                for partition in range(partitions):
                    for value in BAD:
                        producer.produce(TOPIC, value, partition=partition)
                if producer.flush(30):
                    raise AssertionError("Kafka does not take the poison")
            over, behind = time.monotonic(), bout.load.taken
            wait_for("all poison is rejected", lambda: _rejected(plant) - before >= sent, PATIENCE * verdict.bound)
            verdict.recovered_after = round(time.monotonic() - over, 1)
            verdict.caught_up_after = _caught_up(bout, behind, over, verdict)
            if watch.red_after(began) is not None:
                verdict.findings.append(f"the lander was not ready meanwhile: {watch.red()}")
    finally:
        watch.close()
    known = bout.rest(SETTLE)
    bout.judge(known, verdict)
    if (rejected := _rejected(plant) - before) != sent:
        verdict.findings.append(f"{rejected} rejections of {sent} messages of poison")
    verdict.about = f"{sent} messages of poison, each rejected once"
    return verdict


def made_anew(bout: Bout) -> Verdict:
    """The topic is deleted and made again by its own command, while events go into it."""
    admin = _admin(bout.plant)

    def make() -> None:
        for future in admin.delete_topics([TOPIC]).values():
            future.result(30)
        wait_for("the topic is gone", lambda: TOPIC not in admin.list_topics(timeout=10).topics)
        bout.plant.command("topics", "topics", "ensure")

    return _stopped(ANEW, bout, make, "which is gone")


def deleted(bout: Bout) -> Verdict:
    """The lander hangs while events come, and they are deleted from the topic as retention does it."""
    admin = _admin(bout.plant)

    def make() -> None:
        family = bout.plant.pause("lander")
        try:
            time.sleep(BEHIND_SECONDS)
            partitions = admin.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
            ends = [TopicPartition(TOPIC, number, OFFSET_END) for number in partitions]
            for future in admin.delete_records(ends).values():
                future.result(30)
        finally:
            bout.plant.resume(family)

    return _stopped(DELETED, bout, make, "were deleted")


FAULTS: Mapping[str, Callable[[Bout], Verdict]] = {POISON: poison, ANEW: made_anew, DELETED: deleted}


def _stopped(name: str, bout: Bout, make: Callable[[], None], words: str) -> Verdict:
    """Make it; the table must stop and say so in ``words``, the others go on; then the operator lets it go on."""
    plant, verdict = bout.plant, Verdict(name, "pipeline", bound=RECOVERS["pipeline"])
    bout.gone = TYPE
    with loads(plant):
        make()
        began = time.monotonic()
        wait_for("the table is stopped", lambda: "stopped" in _why(plant), PATIENCE * RED_WITHIN)
        verdict.red_after = round(time.monotonic() - began, 1)
        wait_for(f"it says that {words}", lambda: words in _why(plant), LOOKS_AGAIN)
        time.sleep(STOPPED_SECONDS)
        if words not in _why(plant):
            verdict.findings.append(f"it did not stay stopped: {_why(plant) or 'it is ready'}")
        plant.command("lake", "lake", "adopt-topic", TOPIC, "--yes", **plant.env)
        over, behind = time.monotonic(), _counted(bout)
        verdict.seconds = round(over - began)
        watch = Watch.of(plant.programs, ("lander",))
        try:
            green = watch.green_after(over, PATIENCE * verdict.bound)
        finally:
            watch.close()
        verdict.recovered_after = None if green is None else round(green, 1)
        wait_for(f"{TYPE} is counted again", lambda: _counted(bout) > behind, PATIENCE * verdict.bound)
        verdict.caught_up_after = round(time.monotonic() - over, 1)
    if verdict.red_after > RED_WITHIN:
        verdict.findings.append(f"health did not show it within {RED_WITHIN:g} s")
    if green is None or green > verdict.bound:
        verdict.findings.append(f"not well again within {verdict.bound:g} s")
    known = bout.rest(SETTLE)
    found = bout.judge(known, verdict)
    if not found.gone:
        verdict.findings.append("nothing was lost by it, so it was not what it was to be")
    verdict.about = (
        f"{found.gone:,} acknowledged events are in no file, as the books say: deleted with the messages, or set "
        "aside while there was no topic (`watershed spool status`); it went on after `watershed lake adopt-topic`"
    )
    return verdict


def _why(plant: Plant) -> str:
    """What the lander says of the table while it is not ready."""
    try:
        answer = httpx.get(f"{plant.env['LANDER_URL']}/health/ready", timeout=5)
    except httpx.HTTPError:
        return ""  # it hangs, or starts
    return answer.text if answer.is_error and TOPIC in answer.text else ""


def _caught_up(bout: Bout, behind: int, over: float, verdict: Verdict) -> float | None:
    after = bout.caught_up(behind, over, PATIENCE * verdict.bound)
    if after is None or after > verdict.bound:
        verdict.findings.append(f"what was taken until then was not counted within {verdict.bound:g} s")
    return None if after is None else round(after, 1)


def _counted(bout: Bout) -> int:
    return sum(events for (type_, _), events in bout.observer.counted().items() if type_ == TYPE)


def _rejected(plant: Plant) -> int:
    """Rejections by the lander, of messages of the topic."""
    catalog = open_catalog(LakeSettings(**{n: plant.env[n.upper()] for n in LakeSettings.model_fields}))  # type: ignore[arg-type]
    table = catalog.load_table("quality.rejected_events")
    return table.scan(f"stage = 'lander' and topic = '{TOPIC}'", selected_fields=("reject_id",)).to_arrow().num_rows


def _admin(plant: Plant) -> AdminClient:
    return AdminClient({"bootstrap.servers": plant.env["KAFKA_BOOTSTRAP_SERVERS"]}, logger=CLIENT_LOG)
