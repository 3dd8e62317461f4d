"""A build of marts is killed between dbt's models, a publication at each of its steps: the next run mends it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil

from tests.faults.bout import RECOVERS, Bout
from tests.faults.marts import BuildRun, checksums, differ, not_shown, publish_all
from tests.faults.plant import COMMAND_SECONDS, Plant, kill_all
from tests.faults.steps import Step
from tests.faults.verdict import Verdict
from tests.integration.lander.processes import wait_for

SETTLE = 240.0
MODELS = (
    "intermediate.int_page_views_hourly", "marts_build.page_views_hourly", "marts_build.region_daily",
    "marts_build.revenue_daily", "marts_build.region_weekly",
)  # fmt: skip
"""Where dbt is killed: as it is to replace the rows of this model, those before it built and those after it not."""
STEPS: Mapping[str, tuple[str, ...]] = {
    "claim": ("ledger.unpublished",),
    "gate rollups": ("ledger.gate_results",),
    "gate marts": ("ledger.gate_results",),
    "publish": ("ledger.restatements", "marts.region_daily", "ledger.unpublished", "marts.freshness",
                "ledger.publications"),
}  # fmt: skip
"""By step, the tables at which it is killed as it is to write to them."""
DBT = f"dbt: killed between models, {len(MODELS)} times"
PUBLISH = f"claim, gates and publication: killed at each of {sum(map(len, STEPS.values()))} steps"
NAMES = (DBT, PUBLISH)
WORDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "claim": ("publish", ("marts", "claim")),
    "gate rollups": ("gate", ("gate", "rollups")),
    "build": ("dbt", ("marts", "build")),
    "gate marts": ("gate", ("gate", "marts")),
    "publish": ("publish", ("publish",)),
}
"""By step, its room and its command."""


def kill_builds(bout: Bout) -> Verdict:
    """Dbt, model by model."""
    return _killed(DBT, bout, [("build", table) for table in MODELS])


def kill_publications(bout: Bout) -> Verdict:
    """Every other step, table by table."""
    return _killed(PUBLISH, bout, [(step, table) for step, tables in STEPS.items() for table in tables])


FAULTS: Mapping[str, Callable[[Bout], Verdict]] = {DBT: kill_builds, PUBLISH: kill_publications}


def _killed(name: str, bout: Bout, places: Sequence[tuple[str, str]]) -> Verdict:
    return broken_off(name, bout, places, _kill_at)


def broken_off(
    name: str, bout: Bout, places: Sequence[tuple[str, str]], break_off: Callable[[Plant, str, str], bool]
) -> Verdict:
    """Break a run off at each place; after each, the next ordinary run must get through; readers see no half of one.

    ``break_off``: at a step as it is to write to a table; gives whether the step nevertheless came to its end.
    """
    plant, verdict = bout.plant, Verdict(name, "pipeline", bound=RECOVERS["pipeline"])
    slowest, began = 0.0, time.monotonic()
    _something_waits(bout)
    publish_all(plant)  # so that there is something in every mart that is replaced
    for step, table in places:
        _something_waits(bout)
        before = checksums(bout)
        ended = break_off(plant, step, table)
        over = time.monotonic()
        if not ended and checksums(bout) != before:
            verdict.findings.append(f"readers saw what {step} had done when it was broken off at {table}")
        publish_all(plant)
        slowest = max(slowest, time.monotonic() - over)
    verdict.seconds, verdict.recovered_after = round(time.monotonic() - began), round(slowest, 1)
    if slowest > verdict.bound:
        verdict.findings.append(f"an ordinary run took {slowest:.0f} s afterwards")
    known = bout.rest(SETTLE)
    bout.judge(known, verdict)
    publish_all(plant)
    verdict.findings += not_shown(bout)
    verdict.findings += differ(bout)
    verdict.about = f"at {', '.join(f'{step} ({table})' for step, table in places)}"
    return verdict


def _something_waits(bout: Bout) -> None:
    """Load until there is something of every type to publish. Nobody else does: a load would wait at the locks too."""

    def waits() -> bool:
        bout.plant.command("load", "load")
        with bout.observer.connected() as connection:
            query = "select count(distinct type) from ledger.unpublished where tenant = %s"
            ((found,),) = connection.execute(query, (bout.tenant,)).fetchall()
        return int(found) == len(bout.events.types)

    wait_for("every type has something to publish", waits, 180)


def _kill_at(plant: Plant, step: str, table: str) -> bool:
    with begun(plant, step, table) as (process, _):
        kill_all(process)
    return False


@contextmanager
def begun(plant: Plant, step: str, table: str) -> Iterator[tuple[psutil.Popen, Step]]:
    """Make the steps before ``step``, and begin it: it waits before it writes to ``table``, until the step is released.

    It is let through at the latest at the end, and waited for.
    """
    run = BuildRun(plant)
    before: Mapping[str, Callable[[], object]] = {
        "claim": run.claim,
        "gate rollups": run.gate_rollups,
        "build": run.build,
        "gate marts": run.gate_marts,
    }
    for earlier, make in before.items():
        if earlier == step:
            break
        make()
    room, words = WORDS[step]
    owner = "DBT_DSN" if step == "build" else "WAREHOUSE_DSN"
    with Step(plant.env[owner], table) as failpoint:
        process = plant.begin(room, *words, "--run-id", run.run_id)
        try:
            failpoint.reached()
            yield process, failpoint
        except BaseException:
            kill_all(process)
            raise
        finally:
            failpoint.release()
            _ended(process)


def _ended(process: psutil.Popen) -> None:
    try:
        process.wait(COMMAND_SECONDS)
    except psutil.TimeoutExpired:
        kill_all(process)
        raise
