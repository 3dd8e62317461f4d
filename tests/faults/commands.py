"""The load, at work again and again while a fault is made, as Airflow would have it."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stack import environment
from stack.rooms import WATERSHED
from stack.settings import REPO
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
    env = {**environment.base(), "PYTHONPATH": str(REPO), **plant.own("load")}
    with (plant.stack.settings.logs / "faults-load.log").open("ab") as log:
        while not over.is_set():
            subprocess.run([WATERSHED, "load"], env=env, stdout=log, stderr=log, cwd=REPO, check=False)
            over.wait(PAUSE)
