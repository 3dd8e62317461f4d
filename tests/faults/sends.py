"""How often each event was sent, and with which answers: from this follows all that must come of it."""

from collections.abc import Iterator
from datetime import datetime

from tests.faults.events import KnownEvents, Sort, numbers_of, sort_of
from tests.faults.journal import Answer, Known


class Sends:
    """By number: ``taken``, how often it was answered with a verdict, ``unknown``, how often there was no answer.

    What a request that was refused as a whole had in it is in neither.
    """

    def __init__(self, known: Known) -> None:
        self.taken, self.unknown = [0] * known.end, [0] * known.end
        self.at: dict[int, datetime] = {}
        """By number, the time of its batch."""
        for sending in known.sendings:
            by_number = {Answer.TAKEN: self.taken, Answer.UNKNOWN: self.unknown}.get(sending.answer)
            for number in numbers_of(sending.first, sending.count, again=sending.again):
                self.at[number] = sending.occurred_at
                if by_number is not None:
                    by_number[number] += 1

    def of(self, *sorts: Sort) -> Iterator[int]:
        """The numbers of these sorts that were sent."""
        return (number for number in self.at if sort_of(number) in sorts)

    @property
    def must_count(self) -> int:
        """So many events were taken, and so must be counted."""
        return sum(self.taken[number] > 0 for number in self.of(Sort.GOOD, Sort.NAMELESS))

    @property
    def must_reject(self) -> int:
        """So many rejections were told, and so must have landed."""
        return sum(self.taken[number] for number in self.of(Sort.BAD))

    def most_and_least(self, *sorts: Sort) -> range:
        """How many sends of these sorts the collector may have settled: those that it answered, and any of the rest."""
        numbers = list(self.of(*sorts))
        least = sum(self.taken[number] for number in numbers)
        return range(least, least + sum(self.unknown[number] for number in numbers) + 1)

    def nameless(self, events: KnownEvents) -> dict[tuple[str, datetime], int]:
        """The numbers of the events without an id, by type and time."""
        return {
            (events.type_of(number), events.time_of(number, self.at[number])): number
            for number in self.of(Sort.NAMELESS)
        }
