"""The highest rate of the live generator: what it makes alone, and what the collector takes of it.

    python -m benchmarks.generator [--seconds 20] [--json]

Runs on the stack that is up; its events go to the tenant ``generator-load``. A rate is held when no second lagged by
more than one at the end.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from cli.main import adopt_stack_environment
from collector.sender import Report, Sender
from contracts.registry import Registry
from demo import send
from demo.generate import live
from stack import remembered
from stack.environment import base, effective
from stack.lifecycle import Stack
from stack.rooms import create_key

RATES = (100, 500, 1000, 2000, 4000, 8000)


def making(registry: Registry, seconds: int) -> dict[str, Any]:
    """How many events a second one process makes, sending none."""
    started, made = time.process_time(), 0
    for second in islice(live(1, datetime.now(UTC), 2000, registry), seconds):
        made += len(second)
    took = time.process_time() - started
    return {
        "asked": 0,
        "made_or_sent": round(made / took),
        "lag_seconds": 0.0,
        "generator_cpu_us_each": took / made * 1e6,
    }


def sending(registry: Registry, url: str, key: str, rate: float, seconds: int) -> dict[str, Any]:
    """Send ``rate`` events a second for so long; how many were sent a second, and how late the last one was."""
    started, cpu = time.monotonic(), time.process_time()
    totals: list[Report] = []
    with Sender(url, key, batch=1000) as sender:
        send.now_on(registry, sender, totals.append, seed=1, rate=rate, seconds=seconds)
    took, sent = time.monotonic() - started, totals[-1].sent
    return {
        "asked": rate,
        "made_or_sent": round(sent / took),
        "lag_seconds": max(0.0, took - seconds),
        "generator_cpu_us_each": (time.process_time() - cpu) / sent * 1e6,
    }


def main() -> int:
    """Make, then send at rising rates until one is not held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    adopt_stack_environment()
    stack = Stack(remembered.recall())
    env = {**base(), **effective(stack.settings, stack.secrets)}
    key = create_key("generator-load", "server", env, stack.settings.logs / "generator.log")
    registry = Registry.load()
    rows = [making(registry, options.seconds)]
    for rate in RATES:
        rows.append(sending(registry, env["COLLECTOR_URL"], key, rate, options.seconds))
        sys.stdout.write(f"{rows[-1]}\n")
        if rows[-1]["lag_seconds"] > 1:
            break
    held = [row["asked"] for row in rows[1:] if row["lag_seconds"] <= 1]
    result = {"generator": rows, "highest_rate_held": max(held, default=0)}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
