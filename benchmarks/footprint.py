"""What the whole stack takes under the generator: memory, cores, and the time from an event's answer to the mart.

    python -m benchmarks.footprint [--seconds 600] [--rate 100]

Runs on the stack that is up. Memory counts shared pages once (PSS); CPU is that of every process of the stack, those
that ended meanwhile included, by what their parents were told of them. The generator is not part of the stack and not
counted. Its events go to the tenant ``footprint-load``, the probes' to ``footprint``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime

import httpx
import psutil
import psycopg

from cli.main import adopt_stack_environment
from stack import remembered
from stack.environment import base, effective
from stack.lifecycle import Stack, resident_mb
from stack.rooms import WATERSHED, create_key

PROBE_SECONDS = 7
"""Between probes; no divisor of a minute, so that they meet the load's schedule at every phase."""
CHARTED = "select coalesce(sum(page_views), 0) from marts.region_daily where tenant = 'footprint'"


def cpu_seconds(stack: Stack) -> float:
    """CPU seconds that the stack's processes, and their ended children, have used so far."""
    total = 0.0
    found = set(stack.supervisor.strays())
    for process in list(found):
        try:
            found.update(process.children(recursive=True))  # Postgres's change their title over their environment
        except psutil.NoSuchProcess:
            continue  # its time is its parent's now
    for process in found:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def probe(stack: Stack, key: str, stop: threading.Event, sent: list[float]) -> None:
    """Send one page view after another, noting when each was answered."""
    with httpx.Client(base_url=stack.env["COLLECTOR_URL"], headers={"Authorization": f"Bearer {key}"}) as client:
        while not stop.wait(PROBE_SECONDS):
            event = {
                "event_id": str(uuid.uuid4()),
                "event_type": "page_view",
                "occurred_at": datetime.now(UTC).isoformat(),
                "data": {"region": "ZZ", "page_name": "/footprint"},
            }
            client.post("/events", json=event).raise_for_status()
            sent.append(time.monotonic())


def main() -> int:
    """Measure and print, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="how long to measure, after a minute of warming up")
    parser.add_argument("--rate", type=int, default=100, help="events a second from the generator")
    options = parser.parse_args()
    adopt_stack_environment()
    stack = Stack(remembered.recall())
    env = {**base(), **effective(stack.settings, stack.secrets)}
    words = ["demo", "generate", "--rate", str(options.rate), "--seconds", str(options.seconds + 120)]
    log = stack.settings.logs / "footprint.log"
    key = create_key("footprint", "server", env, log)
    env["WRITE_KEY"] = create_key("footprint-load", "server", env, log)
    sent: list[float] = []
    waits: list[float] = []
    memory: list[float] = []
    stop = threading.Event()
    with (
        psycopg.connect(stack.env["READER_DSN"], autocommit=True) as reader,
        subprocess.Popen(
            [WATERSHED, *words], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as generator,
    ):
        shown_before = int((reader.execute(CHARTED).fetchone() or (0,))[0])
        time.sleep(60)
        prober = threading.Thread(target=probe, args=(stack, key, stop, sent))
        prober.start()
        started, cpu_before = time.monotonic(), cpu_seconds(stack)
        while time.monotonic() < started + options.seconds:
            shown = int((reader.execute(CHARTED).fetchone() or (0,))[0]) - shown_before
            now = time.monotonic()
            waits += [now - sent[i] for i in range(len(waits), min(shown, len(sent)))]
            if not memory or now - started > 15 * len(memory):
                memory.append(sum(resident_mb(row["pid"]) for row in stack.supervisor.info().values()))
            time.sleep(0.5)
        cores = (cpu_seconds(stack) - cpu_before) / (time.monotonic() - started)
        stop.set()
        prober.join()
        generator.terminate()
    ranked = sorted(waits)
    result = {
        "seconds": options.seconds,
        "events_per_second": options.rate,
        "cores": round(cores, 2),
        "memory_mb_median": round(statistics.median(memory)),
        "memory_mb_most": round(max(memory)),
        "event_to_mart_seconds_p50": round(statistics.median(ranked), 1),
        "event_to_mart_seconds_p95": round(ranked[int(len(ranked) * 0.95)], 1),
        "probes_charted": len(ranked),
    }
    sys.stdout.write(
        "\n".join(f"{name:>26} {value}" for name, value in result.items()) + "\n" + json.dumps(result) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
