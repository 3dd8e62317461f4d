"""What the race of ``benchmarks.replaced`` takes for a mixture: the figures of ADR 0001 rest on it."""

import threading
from collections.abc import Sequence

from benchmarks.replaced.periods import Seen, across, in_one_table, race, rows_of

REPLACEMENTS = 20


def seen(hourly: int, daily: int, ledger: int) -> Seen:
    """A whole read, each table of the version named."""
    return [hourly] * rows_of(hourly)[0], [daily] * rows_of(daily)[1], [ledger]


def test_one_version_everywhere_is_no_mixture() -> None:
    assert not across(seen(3, 3, 3))
    assert not across(seen(4, 4, 4))


def test_tables_of_different_versions_are_a_mixture_though_each_is_whole() -> None:
    for mixed in (seen(3, 4, 3), seen(4, 4, 3), seen(3, 3, 4)):
        assert across(mixed)
        assert not in_one_table(mixed)


def test_rows_that_should_have_vanished_or_are_missing_are_a_mixture_within_one_table() -> None:
    hourly, daily, ledger = seen(3, 3, 3)
    for wrong in ([*hourly, 3], hourly[:-1], [2, *hourly[1:]], []):
        assert in_one_table((wrong, daily, ledger))
        assert across((wrong, daily, ledger))


def test_a_ledger_without_its_row_is_a_mixture() -> None:
    hourly, daily, _ = seen(3, 3, 3)
    assert across((hourly, daily, []))


class OneVariable:
    """A store in which a replacement is one assignment, so that no reader can see half of it."""

    def create(self) -> None:
        self.state: Seen = ([], [], [])

    def replace(self, version: int, rows: Sequence[int]) -> None:
        self.state = ([version] * rows[0], [version] * rows[1], [version])

    def read(self) -> Seen:
        return self.state


class HalfDone(OneVariable):
    """A store whose reader always meets the ledger of the version before; each replacement waits to be read."""

    def __init__(self) -> None:
        self.was_read = threading.Event()

    def replace(self, version: int, rows: Sequence[int]) -> None:
        super().replace(version, rows)
        self.was_read.clear()
        if version > 0:  # before that nobody reads
            assert self.was_read.wait(10)

    def read(self) -> Seen:
        hourly, daily, ledger = self.state
        self.was_read.set()
        return hourly, daily, [ledger[0] - 1] if ledger[0] < REPLACEMENTS else ledger


def test_a_store_that_replaces_at_once_is_never_found_in_a_mixture() -> None:
    assert race(OneVariable(), REPLACEMENTS)["reads_of_a_mixture"] == 0


def test_a_store_that_shows_halves_is_found_out() -> None:
    found = race(HalfDone(), REPLACEMENTS)
    assert found["reads_of_a_mixture"] > 0
    assert found["of_them_within_one_table"] == 0
