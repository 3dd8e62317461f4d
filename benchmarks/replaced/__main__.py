"""Measure some or all of the replaced parts; the last line is JSON.

    python -m benchmarks.replaced [zookeeper celery influxdb cassandra postgres kafka_clients] [--port-offset 3000]

Fetches what it needs by name, Python packages, Maven artifacts and a Go module, into ``.local/replaced`` (1.3 GB); Go
must be installed for InfluxDB, and for nothing else. Servers of its own run there, on ports of their own: a running
stack may stay, but takes its share of the cores. MongoDB is not among the parts: no package was found that carries its
server.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.replaced import cassandra, coordination, executor, fetch, influxdb, kafka_clients, postgres
from stack.settings import StackSettings

PARTS: Mapping[str, Callable[[StackSettings], dict[str, Any]]] = {
    "zookeeper": coordination.measure,
    "celery": executor.measure,
    "influxdb": influxdb.measure,
    "cassandra": cassandra.measure,
    "postgres": postgres.measure,
    "kafka_clients": kafka_clients.measure,
}


def main() -> int:
    """Measure each part from an empty folder and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--port-offset", type=int, default=3000, help="added to the stack's ports (default: 3000)")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    found: dict[str, Any] = {}
    for name in options.parts or PARTS:
        state = fetch.PLACE / "state" / name
        shutil.rmtree(state, ignore_errors=True)
        sys.stderr.write(f"{name}\n")
        found[name] = PARTS[name](StackSettings(watershed_state=state, port_offset=options.port_offset))
        sys.stderr.write(json.dumps(found[name], indent=2) + "\n")
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
