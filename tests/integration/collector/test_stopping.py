"""SIGTERM ends a collector cleanly and in time, whatever Kafka does meanwhile."""

import signal
import socket
import threading
import time
from pathlib import Path

from tests.integration.collector.harness import REPO, SERVER_KEY, Broker, CollectorProcess, closing, view, wait_until

STOP_SECONDS = 4.0
DISK_AND_THREADS = 3.5
"""What a stop takes besides: threads that are within a call to Kafka's library for two seconds, on a busy machine."""
TELLS_OF_ITS_END = """
import os
class Told:
    write = staticmethod(os.write)
    def __del__(self):
        self.write(2, b"the interpreter is taken down\\n")
told = Told()
"""


def stop_in_time(collector: CollectorProcess) -> None:
    started = time.monotonic()
    assert collector.stop() == 0
    assert time.monotonic() - started < STOP_SECONDS + DISK_AND_THREADS


def test_a_stop_does_not_wait_for_a_receipt_that_kafka_never_took(broker: Broker, collector: CollectorProcess) -> None:
    since = broker.ends("events.page_view")
    broker.kill()
    collector.start(COLLECTOR_STOP_SECONDS=str(STOP_SECONDS))
    assert collector.metric("watershed_collector_announced") == 0
    assert collector.send(view(8_000_001)).status_code == 200
    stop_in_time(collector)
    broker.start()
    collector.start()
    wait_until(collector.drained, 60, "the spool is drained")
    (message,) = broker.read("events.page_view", since)
    receipt = wait_until(lambda: closing(broker, message["collector_id"]), 20, "the receipts are closed")
    assert receipt["acknowledged"] == 1
    assert collector.stop() == 0


def test_a_request_at_work_when_a_hanging_broker_is_stopped_for_is_answered_from_the_disk(
    broker: Broker, collector: CollectorProcess
) -> None:
    since = broker.ends("events.page_view")
    collector.start(COLLECTOR_STOP_SECONDS=str(STOP_SECONDS), COLLECTOR_PUBLISH_SECONDS="60")
    assert collector.send(view(8_100_001)).status_code == 200
    codes: list[int] = []
    broker.signal(signal.SIGSTOP)
    try:
        client = threading.Thread(target=lambda: codes.append(collector.send(view(8_100_002)).status_code))
        client.start()
        wait_until(lambda: collector.metric("watershed_collector_in_flight") == 1, 20, "it is at work")
        stop_in_time(collector)
        client.join()
    finally:
        broker.signal(signal.SIGCONT)
    assert codes == [200]
    collector.start()
    wait_until(collector.drained, 60, "the spool is drained")
    ids = {m["event_id"] for m in broker.read("events.page_view", since)}
    assert ids == {view(n)["event_id"] for n in (8_100_001, 8_100_002)}
    assert collector.stop() == 0


def test_a_client_that_never_finishes_its_body_does_not_hold_up_a_stop(
    broker: Broker, collector: CollectorProcess, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(TELLS_OF_ITS_END)
    collector.env["PYTHONPATH"] = f"{tmp_path}:{REPO}"
    collector.start(COLLECTOR_STOP_SECONDS=str(STOP_SECONDS))
    with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as slow:
        head = f"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SERVER_KEY}\r\nContent-Length: 100\r\n\r\n"
        slow.sendall(head.encode())
        wait_until(lambda: collector.metric("watershed_collector_in_flight") == 1, 20, "it is at work")
        stop_in_time(collector)
    # A thread of Granian's still waits for that client; were it to wake while Python ends, the process would abort.
    assert "the interpreter is taken down" not in collector.log.read_text()
