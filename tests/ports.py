"""Where the ports of the tests' own stacks begin."""

import os

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Which of the processes that share the tests (`pytest -n`) this is; 0 without any other."""


def port_offset(worker: int) -> int:
    """Of a process's test stack; small stacks lie 500 above it, and a stack's ports span less than that.

    Another number in ``WATERSHED_TEST_PORT_OFFSET`` lets two checkouts of one machine be tested at once.
    """
    return int(os.environ.get("WATERSHED_TEST_PORT_OFFSET", "1000")) + 1000 * worker


PORT_OFFSET = port_offset(WORKER)
PLANT = 250
"""Added to it, where the stack begins whose servers are broken on purpose: between the test stack and small ones."""
FAULTS_OFFSET = 9000
"""Of `make faults`, which may run beside `make test` with any number of processes that a machine bears."""
