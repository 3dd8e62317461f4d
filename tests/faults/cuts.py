"""Faults of the network: each pair of the plant's programs cut off from each other, and S3 answering as it should not.

Cut: every connection breaks and none is taken. Swallowed: connections stay, and nothing that is sent arrives before
the end. The plant has to be wired (:mod:`tests.faults.wiring`).
"""

from collections.abc import Callable, Mapping, Sequence

import httpx

from tests.faults.bout import End, Fault
from tests.faults.plant import Plant
from tests.faults.s3_wire import S3Wire
from tests.faults.watch import Check
from tests.faults.wire import Wire
from tests.faults.wiring import PAIRS, Pair, Wiring

SLOW = (4096, 0.02)
"""Bytes and seconds of a turn."""


def cuts(seconds: float) -> list[Fault]:
    """Every pair, cut and swallowed; then S3, to all who ask it."""
    found = []
    for pair in PAIRS:
        found.append(_between(pair, "cut", Wire.cut, seconds))
        found.append(_between(pair, "packets swallowed", Wire.stall, seconds))
    for name, break_it in OF_S3.items():
        found.append(_of_s3(name, break_it, seconds))
    return found


OF_S3: Mapping[str, Callable[[S3Wire], None]] = {
    "answers 500": lambda wire: wire.answer(500),
    "answers 503": lambda wire: wire.answer(503),
    "answers broken off": lambda wire: wire.break_answers(),
    "slow": lambda wire: wire.slow(*SLOW),
}


def _between(pair: Pair, name: str, break_it: Callable[[Wire], None], seconds: float) -> Fault:
    def make(plant: Plant) -> End:
        wire = _wiring(plant).wires[pair]
        return _broken([wire], lambda: break_it(wire))

    kind = "broker" if pair.server == "kafka" else "pipeline"
    full = f"{pair}: {name}"
    match pair.client:
        case "collector":  # it takes events without Kafka too: its health says only where they go
            return Fault(full, kind, make, ("collector",), seconds, checks=spooling)
        case "lander":
            return Fault(full, kind, make, ("lander",), seconds)
    return Fault(full, kind, make, ("spark-connect",), seconds, shown=False)


def _of_s3(name: str, break_it: Callable[[S3Wire], None], seconds: float) -> Fault:
    def make(plant: Plant) -> End:
        wires = [wire for wire in _wiring(plant).wires.values() if isinstance(wire, S3Wire)]

        def break_all() -> None:
            for wire in wires:
                break_it(wire)

        return _broken(wires, break_all)

    # What is slow is late, and not broken.
    return Fault(f"s3: {name}", "pipeline", make, ("s3", "lander"), seconds, shown=name != "slow")


def _broken(wires: Sequence[Wire], break_them: Callable[[], object]) -> End:
    before = sum(wire.met for wire in wires)
    break_them()

    def end() -> None:
        for wire in wires:
            wire.mend()
        assert sum(wire.met for wire in wires) > before, "nobody spoke through what was broken: nothing was tested"

    return end


def _wiring(plant: Plant) -> Wiring:
    assert isinstance(plant.fitting, Wiring), "this plant has no wires"
    return plant.fitting


def spooling(plant: Plant) -> Mapping[str, Check]:
    """Whether the collector says that it sends straight to Kafka."""

    def check() -> str | None:
        try:
            said = httpx.get(f"{plant.env['COLLECTOR_URL']}/health/ready", timeout=3, trust_env=False).json()
        except httpx.HTTPError as error:
            return f"{error or type(error).__name__}"
        return None if said["mode"] == "direct" else "events go through the spool"

    return {"the collector's way": check}
