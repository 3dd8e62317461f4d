"""Run dbt in this process: no second interpreter to start, one place that knows where dbt reads and writes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg

from dbt_project.selection import PROJECT, remember_built_whole, selection
from dbt_project.settings import DbtSettings
from runtime import log


class DbtFailed(Exception):
    """dbt could not run, or a model or test failed; the message names each with its first line of error."""


@dataclass(frozen=True)
class Build:
    """What one dbt run did: seconds by node."""

    seconds: dict[str, float]

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return {"models": len(self.seconds), "seconds": self.seconds}


def build(
    settings: DbtSettings,
    run_id: UUID,
    *,
    full_refresh: bool = False,
    patience: float = 0,
    run_results: Path | None = None,
) -> Build:
    """Build the claim of ``run_id`` into ``marts_build``: the models that its event types feed.

    With ``full_refresh`` every model is built from all there is.

    ``patience``: seconds to wait for another build to end, since two would write the same candidates, or for a
    publication that copies them.
    ``run_results``: where dbt's own results of this run are written, also those of a run that fails; where dbt does not
    get to run, no file is there.

    :raises DbtFailed: a model failed, or another build or a publication is running.
    """
    if run_results is not None:
        run_results.unlink(missing_ok=True)
    with psycopg.connect(settings.dbt_dsn, autocommit=True) as lock:
        milliseconds = max(1, round(1000 * patience))  # 0 would be for ever
        lock.execute("select set_config('lock_timeout', %s, false)", (f"{milliseconds}ms",))
        try:
            lock.execute("select pg_advisory_lock(hashtextextended('marts_build', 0))")
        except psycopg.errors.LockNotAvailable as error:
            raise DbtFailed(
                "another `watershed marts build` or a publication is running; the lock is free when its process ends"
            ) from error
        chosen = () if full_refresh else selection(lock, settings.dbt_dir, run_id)
        os.environ["DBT_RUN_ID"] = str(run_id)  # what int_claimed_hours reads
        # Not all that dbt would write of the run: to spell its manifest out costs as much as some models.
        arguments = ["run", "--no-write-json"]
        if chosen:
            arguments += ["--select", *chosen]
        if full_refresh:
            arguments.append("--full-refresh")
        done = run_dbt(settings, arguments, run_results=run_results)
        if not chosen:
            remember_built_whole(settings.dbt_dir)
        return done


def run_dbt(
    settings: DbtSettings, arguments: Sequence[str], target: str = "target", run_results: Path | None = None
) -> Build:
    """Run one dbt command on our project and profile; it writes into ``target``, a folder of dbt's.

    ``run_results``: also write dbt's results of a run there.

    :raises DbtFailed: see there.
    """
    # Only now: a second of CPU that the commands beside this need not pay.
    from dbt.artifacts.schemas.run import RunExecutionResult  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    os.environ["DBT_DSN"] = settings.dbt_dsn  # what profiles.yml reads
    settings.dbt_dir.mkdir(parents=True, exist_ok=True)
    places = {
        "--project-dir": PROJECT,
        "--profiles-dir": PROJECT,
        "--target-path": settings.dbt_dir / target,
        "--log-path": settings.dbt_dir / "logs",
    }
    options = [part for name, path in places.items() for part in (name, str(path))]
    quiet = ["--log-level", "error", "--log-format", "json", "--log-level-file", "info"]
    result = dbtRunner().invoke([*quiet, *arguments, *options])
    if result.exception is not None:
        raise DbtFailed(f"dbt {arguments[0]}: {result.exception}") from result.exception
    if run_results is not None and isinstance(result.result, RunExecutionResult):
        run_results.parent.mkdir(parents=True, exist_ok=True)
        result.result.write(str(run_results))
    nodes = list(getattr(result.result, "results", []))
    failed = [f"{node.node.name}: {node.message}" for node in nodes if node.status in ("error", "fail", "skipped")]
    if failed or not result.success:
        raise DbtFailed(f"dbt {arguments[0]}: {'; '.join(failed) or 'failed'}")
    done = Build({node.node.name: round(node.execution_time, 3) for node in nodes})
    log.get(__name__).info("dbt", command=arguments[0], **done.as_json())
    return done
