"""What the lander tells Prometheus."""

from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

ROWS = Counter("lander_rows_total", "Rows committed to the lake.", ["table"])
COMMITS = Counter("lander_commits_total", "Commits to the lake.", ["table"])
COMMIT_SECONDS = Histogram("lander_commit_seconds", "Duration of a commit, files and all, in seconds.", ["table"])
POISON = Counter("lander_poison_total", "Messages that could not be rows and went to rejected_events.", ["table"])
FENCED = Counter("lander_fenced_total", "Batches dropped because another lander had landed them.", ["table"])
TROUBLE = Counter("lander_trouble_total", "Attempts that failed because a server was away or busy.", ["table"])
PHASE = Gauge("lander_landing", "1 while this process lands the table.", ["table"])
STOPPED = Gauge("lander_stopped", "1 while the table is stopped until someone decides.", ["table"])
PAUSED = Gauge("lander_paused", "1 while the table waits for a newer contract.", ["table"])
LAG = Gauge("lander_lag_messages", "Messages in the topic that have not landed.", ["table"])
THROUGH = Gauge(
    "lander_through_timestamp_seconds", "All that Kafka took before this instant is in the lake.", ["table"]
)

OPEN = Gauge("lander_open_collectors", "Collectors that are open: complete through passes none of their promises.")
SILENT = Gauge(
    "lander_silent_collectors", "Of these, those not heard of for a minute: dead or cut off, see the runbook."
)
PROMISED = Gauge("lander_promised_timestamp_seconds", "All that was received before this instant is in Kafka.")


def landed(table: str, rows: int, poison: int, seconds: float) -> None:
    """Count one commit."""
    ROWS.labels(table).inc(rows)
    COMMITS.labels(table).inc()
    POISON.labels(table).inc(poison)
    COMMIT_SECONDS.labels(table).observe(seconds)


def show(table: str, phase: str, *, paused: bool) -> None:
    """Show what a table's lander is doing."""
    PHASE.labels(table).set(phase == "landing")
    STOPPED.labels(table).set(phase == "stopped")
    PAUSED.labels(table).set(paused)


def promised(through: datetime | None, open_: int, silent: int) -> None:
    """Show what the collectors promise, and how many of them there are."""
    OPEN.set(open_)
    SILENT.set(silent)
    if through is not None:
        PROMISED.set(through.timestamp())
