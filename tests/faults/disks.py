"""Faults of the disk: the collector's, the lake's and Kafka's are full, one at a time, and have room again later.

Each is a file system of its own, a file of some megabytes mounted through a loop device, which only root can do.
"""

import errno
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Self

from stack.programs import Program
from stack.settings import StackSettings
from tests.faults.bout import End, Fault
from tests.faults.fitting import Fitting
from tests.faults.plant import Plant

MEGABYTES = {"collector": 256, "s3": 512, "kafka": 512}
"""By folder of the stack's data, how large its disk is."""
SPARE_BYTES = {"COLLECTOR_SPOOL_MIN_FREE_BYTES": "0"}
"""So that the collector's disk is really full, not only too full for the spool."""
FILLER = "filler"


def why_not() -> str | None:
    """Why no disk can be mounted here; None: it can."""
    return None if os.geteuid() == 0 else "only root can mount a disk of its own"


class Disks(Fitting):
    """The disks of one plant: mounted before the stack starts, over folders that are empty yet."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self.mounted: list[Path] = []

    def __enter__(self) -> Self:
        try:
            for name, megabytes in MEGABYTES.items():
                self._mount(self._settings.data / name, megabytes)
        except BaseException:
            self.close()
            raise
        return self

    def program(self, program: Program) -> Program:
        """The collector uses its disk up; the others know of nothing."""
        return replace(program, env={**program.env, **SPARE_BYTES}) if program.name == "collector" else program

    def fill(self, name: str) -> Path:
        """Fill a disk to the last byte; gives the file to delete."""
        path = self._settings.data / name / FILLER
        with path.open("wb") as file:
            end, size = 0, MEGABYTES[name] << 20
            while size:
                try:
                    os.posix_fallocate(file.fileno(), end, size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2
                else:
                    end += size
        return path

    def close(self) -> None:
        """Unmount, once nobody uses them any more."""
        while self.mounted:
            subprocess.run(["umount", self.mounted.pop()], check=True, capture_output=True)

    def _mount(self, folder: Path, megabytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        image = folder.with_suffix(".image")
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True, capture_output=True)
        self.mounted.append(folder)
        (folder / "lost+found").rmdir()


def full(seconds: float) -> list[Fault]:
    """Each of the three disks, and the collector's once more while it is killed."""
    return [_collector_and_kafka(seconds), _collector_killed(seconds), _of("s3", "pipeline", ("lander",), seconds),
            _of("kafka", "broker", ("kafka", "lander"), seconds)]  # fmt: skip


def _of(name: str, kind: str, shows: tuple[str, ...], seconds: float) -> Fault:
    def make(plant: Plant) -> End:
        return _filled(plant, name)

    return Fault(f"{name}: disk full", kind, make, shows, seconds)


def _collector_and_kafka(seconds: float) -> Fault:
    """While Kafka answers nobody misses the spool; so Kafka is stopped too, and the collector can only refuse."""

    def make(plant: Plant) -> End:
        empty = _filled(plant, "collector")
        family = plant.pause("kafka")

        def end() -> None:
            empty()
            plant.resume(family)

        return end

    return Fault("collector: disk full, and Kafka away", "broker", make, ("collector", "kafka", "lander"), seconds)


def _collector_killed(seconds: float) -> Fault:
    """It has no room for its counters, and waits for it."""

    def make(plant: Plant) -> End:
        empty = _filled(plant, "collector")
        plant.kill("collector")
        return empty

    return Fault("collector: disk full, and kill -9", "collector", make, ("collector",), seconds)


def _filled(plant: Plant, name: str) -> End:
    assert isinstance(plant.fitting, Disks), "this plant has no disks of its own"
    return plant.fitting.fill(name).unlink
