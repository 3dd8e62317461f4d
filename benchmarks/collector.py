"""How fast the collector is, and what it costs: ``python -m benchmarks.collector``.

Starts a collector of its own (its own port, state and keys) against the Kafka named by KAFKA_BOOTSTRAP_SERVERS, loads
it with wrk (or, where there is none, with a client of our own, which then is the slower of the two), and prints
requests a second, latency, and CPU seconds of the collector's process for each million events. Events go to the tenant
``bench``.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from collector.keys import KeyFile, KeyKind

REPO = Path(__file__).resolve().parent.parent
SECRET = "bench-" + "k" * 40
LUA = """
local batch, n, thread = {batch}, 0, 0
local threads = 0
function setup(t) t:set("id", threads) threads = threads + 1 end
function init() math.randomseed(id + 7) end
local function event()
  n = n + 1
  return string.format('{{"event_type":"page_view","event_id":"%08x-%04x-4000-8000-%012x","occurred_at":"{now}",' ..
    '"data":{{"region":"DE","page_name":"/page/%d","visitor_id":"v%d","referrer":"https://example.org/some/where",' ..
    '"device":"desktop","is_bot":false}}}}', math.random(0, 0x7fffffff), id, n, n % 500, n % 5000)
end
function request()
  local parts = {{}}
  for i = 1, batch do parts[i] = event() end
  local body = batch == 1 and parts[1] or "[" .. table.concat(parts, ",") .. "]"
  local headers = {{["Authorization"] = "Bearer {secret}", ["Content-Type"] = "application/json"}}
  return wrk.format("POST", "/events", headers, body)
end
"""


@dataclass(frozen=True)
class Result:
    """One measurement. Latencies in milliseconds; ``cpu_per_million``: CPU seconds of the collector."""

    batch: int
    connections: int
    requests_per_second: float
    events_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_per_million: float
    failed: int


def measure(port: int, process: psutil.Process, batch: int, connections: int, seconds: float) -> Result:
    """Load the collector for ``seconds``, after one second of warming up."""
    load(port, batch, connections, 1)
    cpu, events = _cpu(process), accepted(port)
    started = time.monotonic()
    rate, p50, p99, failed = load(port, batch, connections, seconds)
    took = time.monotonic() - started
    done = accepted(port) - events
    return Result(
        batch,
        connections,
        round(rate, 1),
        round(done / took, 1),
        p50,
        p99,
        round((_cpu(process) - cpu) / done * 1e6, 1),
        failed,
    )


def load(port: int, batch: int, connections: int, seconds: float) -> tuple[float, float, float, int]:
    """Requests a second, p50 and p99 in milliseconds, and how many failed."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return asyncio.run(own_load(port, batch, connections, seconds))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA.format(batch=batch, now=now, secret=SECRET))
        script.flush()
        argv = [wrk, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "20s", "-s", script.name]
        output = subprocess.run([*argv, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return (
        float(_found(r"Requests/sec:\s+([\d.]+)", output)),
        _milliseconds(_found(r"50%\s+([\d.]+\w+)", output)),
        _milliseconds(_found(r"99%\s+([\d.]+\w+)", output)),
        int(failed[1] if failed else 0) + (sum(map(int, errors.groups())) if errors else 0),
    )


async def own_load(port: int, batch: int, connections: int, seconds: float) -> tuple[float, float, float, int]:
    """The same load without wrk, over plain sockets."""
    stop = time.monotonic() + seconds
    latencies: list[float] = []
    failed = 0

    async def client(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        serial = 0
        while time.monotonic() < stop:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            events = []
            for _ in range(batch):
                serial += 1
                data = {"region": "DE", "page_name": f"/page/{serial % 500}", "visitor_id": f"v{serial % 5000}"}
                event_id = f"{os.getpid() & 0xFFFFFFFF:08x}-{number:04x}-4000-8000-{serial:012x}"
                events.append({"event_type": "page_view", "event_id": event_id, "occurred_at": now, "data": data})
            body = json.dumps(events if batch > 1 else events[0]).encode()
            head = f"POST /events HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: {len(body)}"
            began = time.monotonic()
            writer.write(f"{head}\r\nContent-Type: application/json\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            latencies.append(time.monotonic() - began)
            failed += b" 200 " not in answer[:15]
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    cuts = statistics.quantiles(latencies, n=100)
    return len(latencies) / seconds, round(cuts[49] * 1e3, 2), round(cuts[98] * 1e3, 2), failed


def accepted(port: int) -> float:
    """Events the collector has accepted so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    name = "watershed_collector_events_accepted_total"
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def main() -> None:
    """Measure one event and fifty a request, and print a table, or one JSON line with ``--json``."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--seconds", type=float, default=10, help="length of each measurement")
    options.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options.add_argument("--profile", action="store_true", help="run the collector under cProfile, printed at its end")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process, port = start(Path(folder), profile=chosen.profile)
        try:
            watched = psutil.Process(process.pid)
            results = [measure(port, watched, *shape, chosen.seconds) for shape in ((1, 32), (1, 128), (50, 32))]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    out = sys.stdout.write
    out("events/request connections requests/s  events/s  p50 ms  p99 ms CPU-s/million\n")
    for r in results:
        rates = f"{r.batch:>14} {r.connections:>11} {r.requests_per_second:>10.0f} {r.events_per_second:>9.0f}"
        failed = f"  {r.failed} failed" if r.failed else ""
        out(f"{rates} {r.p50_ms:>7.1f} {r.p99_ms:>7.1f} {r.cpu_per_million:>13.1f}{failed}\n")
    if chosen.json:
        out(json.dumps({"collector": [asdict(r) for r in results]}) + "\n")


def start(folder: Path, *, profile: bool = False) -> tuple[subprocess.Popen[bytes], int]:
    """A collector of our own, serving."""
    KeyFile(folder / "keys.json").create("bench", KeyKind.SERVER, secret=SECRET)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = {
        **os.environ,
        "COLLECTOR_PORT": str(port),
        "COLLECTOR_STATE_DIR": str(folder / "state"),
        "KEYS_FILE": str(folder / "keys.json"),
        "COLLECTOR_KEY_EVENTS_PER_SECOND": "0",
        "COLLECTOR_ADDRESS_REQUESTS_PER_SECOND": "0",
        "PYTHONPATH": str(REPO),
    }
    words = ["-m", "cProfile", "-s", "tottime", "-m", "collector.serve"] if profile else ["-m", "collector.serve"]
    process = subprocess.Popen([sys.executable, *words], env=env, cwd=REPO)
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live").close()
            break
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.1)
    return process, port


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk said something else than expected: {text}")
    return match[1]


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 1e-3), ("ms", 1.0), ("s", 1e3)):
        if text.endswith(unit):
            return round(float(text.removesuffix(unit)) * factor, 2)
    raise ValueError(text)


if __name__ == "__main__":
    main()
