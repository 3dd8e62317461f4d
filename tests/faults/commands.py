"""The load, at work again and again while a fault is made, as Airflow would have it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.plant import Plant

PAUSE = 1.0
"""Seconds between two loads."""


@contextmanager
def loads(plant: Plant) -> Iterator[None]:
    """A load after the other until the block ends. That some fail is the business of whoever makes faults."""
    over = threading.Event()
    loading = threading.Thread(target=_load, args=(plant, over), name="loads")
    loading.start()
    try:
        yield
    finally:
        over.set()
        loading.join()


def _load(plant: Plant, over: threading.Event) -> None:
    while not over.is_set():
        plant.begin("load", "load").wait()
        over.wait(PAUSE)
