"""Airflow as four processes: their environment and their commands.

Everything Airflow reads is set here, in ``AIRFLOW__SECTION__KEY`` variables; there is no ``airflow.cfg`` of ours to
drift from them. What the values cost and save was measured: ``docs/adr/0012-few-light-tasks-each-minute.md``.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import httpx

from stack import environment, lineage
from stack.airflow_bootstrap import BIN, BOOTSTRAP, CORE_BIN, DAGS, bootstrap, database_url, home, manifest
from stack.programs import Part, Program, Step, code
from stack.settings import StackSettings

SCHEDULER = "scheduler"
KEEP_DAYS = 7
"""Days after which ``maintain_airflow`` deletes runs and task logs."""


def _own_settings(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, dict[str, str]]:
    port = settings.port("airflow")
    place = home(settings)
    return {
        "core": {
            "auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "dags_are_paused_at_creation": "False",
            "dags_folder": str(DAGS),
            "plugins_folder": str(DAGS / "plugins"),
            "execute_tasks_new_python_interpreter": "False",  # fork from a warm worker: 0.1 s of CPU, not 1.3 s
            "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
            "executor": "LocalExecutor",
            "fernet_key": secrets["airflow_fernet_key"],
            "hostname_callable": "socket.gethostname",  # the default asks DNS
            "load_examples": "False",
            "mp_start_method": "fork",
            "parallelism": "4",  # load, a step of a build, housekeeping, one in hand; 32 workers took 6 GB
            "test_connection": "Disabled",
        },
        "database": {
            "sql_alchemy_conn": database_url(settings, secrets),
            "sql_alchemy_max_overflow": "5",
            "sql_alchemy_pool_size": "2",
        },
        "api": {
            "base_url": f"http://127.0.0.1:{port}",
            "expose_config": "False",
            "host": "127.0.0.1",
            "instance_name": "Watershed",
            "port": str(port),
            "secret_key": secrets["airflow_secret_key"],
            "workers": "1",
        },
        "api_auth": {"jwt_issuer": "watershed", "jwt_secret": secrets["airflow_jwt_secret"]},
        "fab": {"config_file": str(DAGS / "config" / "webserver_config.py"), "session_lifetime_minutes": "720"},
        "scheduler": {
            "catchup_by_default": "False",
            "enable_health_check": "False",  # another process and port; the api-server tells the same
            # What a scheduler had in hand when it was killed is another's after this, not after five minutes: its tasks
            # are said to run until then and keep their pools, and nothing is loaded. The heartbeats below do not help:
            # a scheduler looks at those of its own tasks only.
            "orphaned_tasks_check_interval": "30",
            "parsing_cleanup_interval": "300",
            "scheduler_heartbeat_sec": "2",  # see SILENT
            # A task whose worker died is tried again after this, not after five minutes: nothing loads until then.
            "task_instance_heartbeat_timeout": "60",
            "task_queued_timeout": "120",
        },
        # How often a worker looks up from its task. It may notice only then that the task has ended, and with five
        # seconds, the default, the four workers were all still looking back when the fifth task of a minute came.
        "workers": {"execution_api_timeout": "30", "min_heartbeat_interval": "2"},
        "dag_processor": {
            # A file that changes is parsed at once all the same; an unchanged one need not be, but it must be often
            # enough that its DAG is not taken for stale.
            "min_file_process_interval": "300",
            "parsing_processes": "1",
            "print_stats_interval": "600",
            "refresh_interval": "30",
        },
        "logging": {
            "base_log_folder": str(place / "logs"),
            "colored_console_log": "False",
            "dag_processor_child_process_log_directory": str(place / "logs" / "dag_processor"),
            # A line for each of the execution API's requests, or for each event of lineage, would be half of all logs.
            "namespace_levels": "http.access=WARNING airflow.providers.openlineage=WARNING openlineage=WARNING",
        },
        # What dbt has parsed: without it each task of rebuild_marts parses the whole project, half of its time. Of the
        # rest of Cosmos' cache nothing is used, for there is a manifest.
        "cosmos": {
            "cache_dir": str(place / "cosmos"),
            "enable_cache": "True",
            "enable_cache_dbt_ls": "False",
            "enable_telemetry": "False",
        },
        # The scheduler tells of runs, and its workers of tasks: see lineage.py. It costs the others memory for nothing.
        "openlineage": {"disabled": "True", "namespace": "watershed"},
    }


ROOMS = ("load", "dbt", "gate", "publish", "maintain", "books", "report", "alerts", "mail_report", "repair")
"""The rooms whose commands tasks run."""


def of_rooms(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """What the rooms' commands are given, as ``ROOM__<ROOM>__<NAME>``: each task hands on its own room's only.

    For the scheduler alone, whose workers run the tasks. ``rebuild_marts`` has Cosmos start dbt, which knows nothing of
    this and takes ``DBT_DSN`` from the environment as it is; commands of other rooms do not see it.
    """
    found = {"DBT_DSN": environment.own("dbt", settings, secrets)["DBT_DSN"]}
    for room in ROOMS:
        for name, value in environment.own(room, settings, secrets).items():
            found[f"ROOM__{room.upper()}__{name}"] = value
    return found


def of_alerts(settings: StackSettings) -> dict[str, str]:
    """Where alerts go, for the processes that call a task's callbacks: workers and, for a worker that died, the parser.

    What is not set here is as :class:`notify.settings.NotifySettings` has it.
    """
    names = (*environment.MAIL, "ALERTS_TO", "ALERT_WEBHOOK_URL", "ALERT_RUNBOOK_URL")
    given = {name: str(getattr(settings, name.lower())) for name in names}
    return {f"ROOM__NOTIFY__{name}": value for name, value in given.items() if value}


def variables(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment of each Airflow process."""
    own = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": value
        for section, values in _own_settings(settings, secrets).items()
        for name, value in values.items()
    }
    place = home(settings)
    return {
        **environment.of("airflow", settings, secrets),
        **own,
        # Only Airflow's own two configuration modules: the repository's folders would hide packages from Airflow.
        "PYTHONPATH": str(DAGS / "config"),
        "AIRFLOW_HOME": str(place),
        "AIRFLOW_KEEP_DAYS": str(KEEP_DAYS),
        "AIRFLOW_MAINTENANCE_DSN": database_url(settings, secrets),
        "DATA_DOCS_URL": environment.effective(settings, secrets)["DATA_DOCS_URL"],
        "DBT_BIN": str(CORE_BIN / "dbt"),
        "DBT_MANIFEST": str(manifest(settings)),
        "DO_NOT_TRACK": "1",
        "WATERSHED_BIN": str(CORE_BIN / "watershed"),
    }


def command_line(
    settings: StackSettings, secrets: Mapping[str, str], words: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Airflow's own command with ``words``: arguments, the program first, and what it needs in its environment."""
    return [str(BIN / "python"), "-m", "airflow", *words], variables(settings, secrets)


SILENT = 8.0
"""Seconds without a heartbeat after which the scheduler is said not to be ready, as nothing is loaded meanwhile.

Airflow itself says so after thirty, and by that number it also takes tasks away from schedulers: it is not set lower.
"""


def _health(settings: StackSettings, component: str) -> Callable[[], str | None]:
    url = f"http://127.0.0.1:{settings.port('airflow')}/api/v2/monitor/health"

    def not_ready() -> str | None:
        try:
            answer = httpx.get(url, timeout=3)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            return f"{url}: {error or type(error).__name__}"
        told = answer.json()[component]
        if told["status"] != "healthy":
            return f"{url}: {component} is {told['status'] or 'not running'}"
        if component == SCHEDULER and (silent := _seconds_since(told["latest_scheduler_heartbeat"])) > SILENT:
            return f"{url}: {component} has given no sign for {silent:.0f} s"
        return None

    return not_ready


def _seconds_since(instant: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds()


def programs(settings: StackSettings, secrets: Mapping[str, str]) -> list[Program]:
    """The four processes. Their log servers are off: all four see the same files, and each would cost a process."""
    env = variables(settings, secrets)

    def program(
        name: str, component: str, words: Sequence[str], needs: tuple[str, ...], more: Mapping[str, str] | None = None
    ) -> Program:
        return Program(
            name=f"airflow-{name}",
            argv=[BIN / "python", "-m", "airflow", name, *words],
            env={**env, **code("requirements/airflow.txt", "dags"), **(more or {})},
            not_ready=_health(settings, component),
            needs=needs,
            stop_seconds=40,  # a load that is at work may finish
        )

    server = "airflow-api-server"
    needed = (server, "warehouse-schema", "spark-connect")
    more = {**of_rooms(settings, secrets), **of_alerts(settings), **lineage.variables(settings, secrets)}
    return [
        program("api-server", "metadatabase", (), (BOOTSTRAP,)),
        program("dag-processor", "dag_processor", (), (server,), of_alerts(settings)),
        program("triggerer", "triggerer", ("--skip-serve-logs",), (server,)),
        program("scheduler", SCHEDULER, ("--skip-serve-logs",), needed, more),
    ]


def parts(settings: StackSettings, secrets: Mapping[str, str]) -> list[Part]:
    """The bootstrap and the processes."""
    step = Step(
        BOOTSTRAP, lambda: bootstrap(settings, secrets, variables(settings, secrets)), needs=("postgres-roles",)
    )
    return [step, *programs(settings, secrets)]
