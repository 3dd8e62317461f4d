"""From rollups to marts, by command as ``build_marts`` does it, and whether an undisturbed build gives the same."""

import uuid
from dataclasses import dataclass, field

from tests.faults.bout import Bout
from tests.faults.plant import Plant
from warehouse.checksum import Checksum, of_marts

SHOWN = {
    "page_view": ("page_views_daily", "page_views + bot_page_views"),
    "purchase": ("revenue_daily", "purchases"),
}
"""By event type, a mart and what of it, summed, is the number of its events."""


@dataclass(frozen=True)
class BuildRun:
    """One run of the steps, under one id."""

    plant: Plant
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def claim(self, *, everything: bool = False) -> int:
        """Take what is loaded and not published, or all there is; gives how many hours that is."""
        words = ("--all",) if everything else ()
        hours: int = self.plant.command("publish", "marts", "claim", *words, "--run-id", self.run_id)["hours"]
        return hours

    def gate_rollups(self) -> None:
        """The first gate."""
        self.plant.command("gate", "gate", "rollups", "--run-id", self.run_id)

    def build(self, *, anew: bool = False) -> None:
        """Build the candidates; ``anew``: all of them, from all the rollups."""
        words = ("--full-refresh",) if anew else ()
        self.plant.command("dbt", "marts", "build", *words, "--run-id", self.run_id)

    def gate_marts(self) -> None:
        """The second gate."""
        self.plant.command("gate", "gate", "marts", "--run-id", self.run_id)

    def publish(self) -> None:
        """Replace the marts' numbers by the candidates."""
        self.plant.command("publish", "publish", "--run-id", self.run_id)


def publish_all(plant: Plant, *, anew: bool = False) -> int:
    """An ordinary run, or one that builds everything anew; gives how many hours it had to publish."""
    run = BuildRun(plant)
    hours = run.claim(everything=anew)
    if hours:
        run.gate_rollups()
        run.build(anew=anew)
        run.gate_marts()
        run.publish()
    return hours


def differ(bout: Bout) -> list[str]:
    """Findings: what of the marts is otherwise when all of it is built anew, by a run that nothing disturbs."""
    before = checksums(bout)
    publish_all(bout.plant, anew=True)
    after = checksums(bout)
    apart = [name for name in before if before[name] != after[name]]
    return [f"an undisturbed build gives other {', '.join(apart)}"] if apart else []


def checksums(bout: Bout) -> dict[str, Checksum]:
    """Of every mart."""
    with bout.observer.connected() as connection:
        return dict(of_marts(connection))


def not_shown(bout: Bout) -> list[str]:
    """Which types' charts do not show what is counted of this bout, and what of it waits to be published."""
    counted: dict[str, int] = {}
    for (type_, _), events in bout.observer.counted().items():
        counted[type_] = counted.get(type_, 0) + events
    wrong = []
    with bout.observer.connected() as connection:
        for type_, (mart, measure) in SHOWN.items():
            query = f"select coalesce(sum({measure}), 0)::bigint from marts.{mart} where tenant = %s"
            ((shown,),) = connection.execute(query.encode(), (bout.tenant,)).fetchall()
            if shown != counted.get(type_, 0):
                wrong.append(f"marts.{mart} shows {shown:,} of {counted.get(type_, 0):,} {type_}")
        ((hours,),) = connection.execute(
            "select count(*) from ledger.unpublished where tenant = %s", (bout.tenant,)
        ).fetchall()
    if hours:
        wrong.append(f"{hours} hours are not published")
    return wrong
