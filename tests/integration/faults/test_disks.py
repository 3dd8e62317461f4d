"""The tests' own disks are full to the last byte, and have room again."""

import errno
from pathlib import Path

import psutil
import pytest

from stack.settings import StackSettings
from tests.faults.disks import MEGABYTES, Disks, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def test_a_disk_is_full_alone_and_has_room_again(tmp_path: Path) -> None:
    settings = StackSettings(watershed_state=tmp_path)
    folders = {name: settings.data / name for name in MEGABYTES}
    with Disks(settings) as disks:
        filler = disks.fill("collector")
        with pytest.raises(OSError) as full:
            (folders["collector"] / "one").write_bytes(b"1")
        assert full.value.errno == errno.ENOSPC
        (folders["s3"] / "one").write_bytes(b"1")
        filler.unlink()
        (folders["collector"] / "one").write_bytes(b"1")
    mounted = {partition.mountpoint for partition in psutil.disk_partitions(all=True)}
    assert mounted.isdisjoint(map(str, folders.values()))
