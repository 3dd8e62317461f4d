"""``python -m collector.serve``: one collector process, from its settings to its last receipt."""

import asyncio
import logging
import os
import signal
import sys
import time
from typing import NoReturn

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from collector.app import App
from collector.bodies import Bodies
from collector.dead_letter import DeadLetters
from collector.documents import documents
from collector.flight import new_collector_id
from collector.housekeeping import Housekeeping
from collector.keys import KeyRing
from collector.limits import Buckets, networks
from collector.metrics import Metrics
from collector.parse import Limits
from collector.producer import Answer, KafkaLink, producer_settings
from collector.publish import Publisher
from collector.receipts import ReceiptBook
from collector.room import wait_for_room
from collector.settings import CollectorSettings
from collector.spool import SpoolFolder
from collector.verdict import Judge
from contracts.registry import ContractError, Registry
from contracts.validate import EventValidator
from runtime import log
from runtime.settings import SettingsError

BACKLOG = 2048
_log = log.get(__name__)


async def serve(settings: CollectorSettings) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is at work, empty the producer, and write the last receipt."""
    registry = Registry.load()
    metrics = Metrics()
    await wait_for_room(settings.collector_state_dir)
    collector_id, started_us = new_collector_id(), time.time_ns() // 1000
    book = ReceiptBook.create(settings.receipts_dir, collector_id, started_us)
    folder = SpoolFolder.lock(settings.spool_dir / f"{started_us}-{collector_id}")
    if folder is None:
        raise RuntimeError(f"{settings.spool_dir}: another process has the spool of {collector_id}")

    answers: list[Publisher] = []

    def on_answers(answered: list[Answer]) -> None:
        answers[0].on_answers(answered)

    link = KafkaLink(
        producer_settings(settings.librdkafka(), settings.collector_linger_ms, settings.collector_publish_seconds),
        on_answers,
    )
    publisher = Publisher(
        link,
        folder,
        DeadLetters.of(settings.collector_state_dir),
        publish_seconds=settings.collector_publish_seconds,
        window=settings.collector_spool_window,
        max_bytes=settings.collector_spool_max_bytes,
        min_free_bytes=settings.collector_spool_min_free_bytes,
    )
    answers.append(publisher)
    keys = KeyRing(settings.keys_file)
    limits = Limits(
        settings.collector_max_event_bytes,
        settings.collector_max_events,
        settings.collector_max_body_bytes,
        settings.collector_body_seconds,
    )
    app = App(
        judge=Judge(EventValidator(registry), settings.future, settings.browser_past),
        keys=keys,
        publisher=publisher,
        book=book,
        metrics=metrics,
        limits=limits,
        key_buckets=Buckets(
            settings.collector_key_events_per_second, settings.collector_key_burst_events, time.monotonic
        ),
        address_buckets=Buckets(
            settings.collector_address_requests_per_second, settings.collector_address_burst_requests, time.monotonic
        ),
        proxies=networks(settings.collector_trusted_proxies),
        origins=frozenset(filter(None, (o.strip() for o in settings.collector_cors_origins.split(",")))),
        types=frozenset(registry.types()),
        max_in_flight=settings.collector_max_in_flight,
        bodies=Bodies(settings.collector_max_bytes_in_flight),
    )
    app.documents = documents(
        registry=registry, limits=limits, metrics=metrics, app=app, keys=keys, publisher=publisher
    )
    house = Housekeeping(
        settings,
        registry=registry,
        app=app,
        book=book,
        publisher=publisher,
        link=link,
        keys=keys,
        metrics=metrics,
    )
    server = Server(
        app,
        address=settings.collector_host,
        port=settings.collector_port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=settings.collector_max_in_flight,
        log_level=LogLevels.error,
        log_dictconfig={"loggers": {"_granian": {"handlers": [], "level": "ERROR", "propagate": True}}},
    )
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, asked.set)
    await house.start()
    _log.info("collecting", address=f"{settings.collector_host}:{settings.collector_port}", collector_id=collector_id)
    serving = loop.create_task(server.serve())
    await asyncio.wait([serving, loop.create_task(asked.wait())], return_when=asyncio.FIRST_COMPLETED)
    until = loop.time() + settings.collector_stop_seconds
    _log.info("stopping", in_flight=app.in_flight)
    server.stop()  # type: ignore[no-untyped-call]  # no new connection; those at work are served on
    await asyncio.wait([serving], timeout=settings.collector_stop_seconds / 2)
    publisher.to_disk("stopping")  # a request that still waits for Kafka is answered from there
    await asyncio.wait([serving], timeout=settings.collector_stop_seconds / 4)
    app.refusing = "the collector is stopping"  # whose body comes only now has nobody to keep it
    await house.stop(until)
    serving.cancel()
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


def main() -> int:
    """Run; 2 when the settings or contracts are wrong."""
    try:
        settings = CollectorSettings.read()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        return 2
    log.configure("collector", settings.collector_log_level)
    try:
        asyncio.run(serve(settings))
    except (ContractError, OSError, ValueError) as error:
        _log.error("the collector cannot run", error=str(error))
        return 2
    return 0


def leave(status: int) -> NoReturn:
    """End the process at once; whatever must last is on disk by now.

    A thread of Granian's outlives its server where a client never finished its request. Should it ask for Python while
    the interpreter is taken down, CPython ends the thread through Rust's frames, and Rust aborts the process.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
