"""Send what the generator makes, and count it on the way."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from collector.sender import Report, Sender
from contracts.registry import Registry
from demo.generate import AGAIN_SHARE, INVALID_SHARE, Made, Plan, events, fingerprint, live
from demo.scenarios import Scenario
from demo.truth import Tally, Truth
from demo.world import share


class VerdictError(Exception):
    """The collector's verdicts are not what the generator knows of its events; the message has the figures."""


def history(
    plan: Plan,
    registry: Registry,
    sender: Sender,
    tenant: str,
    progress: Callable[[int], None] | None = None,
    *,
    rate: float | None = None,
) -> tuple[Truth, Report]:
    """Send all of ``plan``, ``rate`` events a second or as fast as they are taken; gives what the charts must show
    and what the collector said.

    :raises VerdictError: a valid event was rejected, or a broken one accepted.
    :raises SendError: the collector stayed away or refused the key.
    """
    tally = Tally(registry)

    def counted() -> Iterator[dict[str, Any]]:
        for made in paced(events(plan, registry), rate):
            tally.add(made)
            yield made.event

    report = sender.send(counted(), progress)
    truth = tally.truth(tenant, as_json(plan, registry))
    check(truth, report)
    return truth, report


def now_on(
    registry: Registry,
    sender: Sender,
    tell: Callable[[Report], None],
    *,
    seed: int,
    rate: float,
    seconds: float | None,
    scenario: Scenario | None = None,
    after: int = 0,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    pause: Callable[[float], None] = time.sleep,
) -> tuple[Tally, Report]:
    """Send ``rate`` events a second from now on, until ``seconds`` are over or Ctrl-C; ``tell`` hears each second.

    ``scenario`` begins ``after`` so many seconds. A second whose sending takes longer is made up for: the rate holds on
    average as long as the collector keeps up.
    """
    tally, total = Tally(registry), Report()
    start = clock()
    try:
        for number, second in enumerate(live(seed, start, rate, registry, scenario, after=after)):
            if seconds is not None and number >= seconds:
                break
            # A second is sent when it is over, so that nothing occurs after it is received.
            wait = number + 1 - (clock() - start).total_seconds()
            if wait > 0:
                pause(wait)
            _add(total, sender.send(made.event for made in second))
            for made in second:
                tally.add(made)
            tell(total)
    except KeyboardInterrupt:
        pass  # the usual way to end it
    return tally, total


def paced(made: Iterable[Made], rate: float | None, pause: Callable[[float], None] = time.sleep) -> Iterator[Made]:
    """Each of ``made``, ``rate`` a second on average from the first one on; None: as they are taken."""
    started = time.monotonic()
    for number, event in enumerate(made):
        if rate is not None and (early := started + number / rate - time.monotonic()) > 0:
            pause(early)
        yield event


def check(truth: Truth, report: Report) -> None:
    """Compare verdicts with what was made.

    :raises VerdictError: they differ.
    """
    valid, invalid = truth.sent.get("new", 0) + truth.sent.get("again", 0), truth.sent.get("invalid", 0)
    if (report.accepted, report.rejected) != (valid, invalid):
        raise VerdictError(
            f"sent {valid} valid and {invalid} broken events, but {report.accepted} were accepted and "
            f"{report.rejected} rejected; the first rejections: {report.samples[:3]}"
        )


def truth_of(plan: Plan, registry: Registry, tenant: str) -> Truth:
    """What the charts must show of ``plan``, without sending any of it."""
    tally = Tally(registry)
    for made in events(plan, registry):
        tally.add(made)
    return tally.truth(tenant, as_json(plan, registry))


def as_json(plan: Plan, registry: Registry) -> dict[str, Any]:
    """A plan, to keep beside the truth, and what it was made by: another maker makes other events of it."""
    start, end = plan.start.isoformat(), plan.end.isoformat()
    return {"seed": plan.seed, "start": start, "end": end, "total": plan.total, "maker": fingerprint(registry)}


def from_json(kept: dict[str, Any]) -> Plan:
    """The plan that :func:`as_json` kept."""
    start, end = (datetime.fromisoformat(kept[name]) for name in ("start", "end"))
    return Plan(kept["seed"], start, end, kept["total"])


def about(plan: Plan, registry: Registry) -> int:
    """Roughly how many sendings ``plan`` makes, for a progress bar."""
    valid = plan.total * sum(share(type_) for type_ in registry.types())
    return round(valid * (1 + AGAIN_SHARE + INVALID_SHARE))


def made_events(plan: Plan, registry: Registry, tally: Tally) -> Iterator[Made]:
    """All of ``plan``, counted in ``tally``, for whoever sends by other means."""
    for made in events(plan, registry):
        tally.add(made)
        yield made


def _add(total: Report, more: Report) -> None:
    for name in ("sent", "accepted", "rejected", "requests", "retries", "bytes_sent", "seconds"):
        setattr(total, name, getattr(total, name) + getattr(more, name))
    total.reasons.update(more.reasons)
