"""Faults of a plant's own programs: killed, stopped in the middle of whatever they did, restarted at once."""

import signal

from stack.programs import nothing
from tests.faults.bout import End, Fault
from tests.faults.plant import Plant

SHOWS = {
    "collector": ("collector",),
    "lander": ("lander",),
    "kafka": ("kafka", "collector", "lander"),
    "s3": ("s3", "lander"),
    "postgres": ("postgres", "lander"),
    "redis": ("redis",),
    "spark-connect": ("spark-connect",),
}
"""By program, those whose health shows that it is broken."""
KINDS = {"collector": "collector", "kafka": "broker"}


def killed(name: str) -> Fault:
    """``kill -9``."""

    def make(plant: Plant) -> End:
        plant.kill(name)
        return nothing

    return Fault(f"{name}: kill -9", _kind(name), make, SHOWS[name])


def paused(name: str, seconds: float, words: str = "") -> Fault:
    """``SIGSTOP``, and after some seconds ``SIGCONT``; ``words`` tell it from another of the same program."""

    def make(plant: Plant) -> End:
        family = plant.pause(name)
        return lambda: plant.resume(family)

    return Fault(f"{name}: SIGSTOP, SIGCONT{words}", _kind(name), make, SHOWS[name], seconds)


def postgres_immediate() -> Fault:
    """An immediate shutdown: every session breaks in mid-transaction, and recovery begins from the log."""

    def make(plant: Plant) -> End:
        plant.kill("postgres", signal.SIGQUIT)
        return nothing

    return Fault("postgres: immediate restart", "pipeline", make, SHOWS["postgres"])


def _kind(name: str) -> str:
    return KINDS.get(name, "pipeline")
