"""Stacks that run at the same time on one machine listen on ports of their own."""

from collections import Counter
from itertools import chain

from stack.settings import StackSettings
from tests.ports import FAULTS_OFFSET, PLANT, port_offset

SMALL = 500
WORKERS = 4
"""As many processes share the tests as anybody's machine has been seen to bear."""


def test_what_runs_at_once_shares_no_port() -> None:
    offsets = [0, FAULTS_OFFSET]  # of `make up` and of `make faults`
    for worker in range(WORKERS):
        offsets += [port_offset(worker) + beside for beside in (0, PLANT, SMALL)]
    ports = Counter(chain.from_iterable(StackSettings(port_offset=offset).ports().values() for offset in offsets))
    assert {port: times for port, times in ports.items() if times > 1} == {}
