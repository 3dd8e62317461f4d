"""What is fitted to a plant before it starts, and changes what its programs and commands are told."""

from collections.abc import Mapping, Sequence
from typing import Self

from stack.programs import Part, Program


class Fitting:
    """Changes nothing; others say what they change. Left as a context it is taken off, once the stack is down."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take it off."""

    def parts(self, parts: Sequence[Part]) -> list[Part]:
        """The parts that the plant is made of, instead of ``parts``, which are in an order in which they can start."""
        return [self.program(part) if isinstance(part, Program) else part for part in parts]

    def program(self, program: Program) -> Program:
        """The program as it has to be started."""
        return program

    def own(self, room: str, values: Mapping[str, str]) -> dict[str, str]:
        """What a command of ``room`` has to be told, instead of ``values``."""
        return dict(values)
