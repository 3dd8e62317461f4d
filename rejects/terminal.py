"""What commands say of rejected events. Senders wrote much of it: no terminal and no markup is to obey it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import psycopg
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from contracts.registry import ContractError


def console(*, stderr: bool) -> Console:
    """Prints text as it is: ``[/x]`` is a field that somebody sent, and no end of bold type."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def plain(text: str, keep: str = "") -> str:
    """The text, its control characters and marks of direction as escapes, but for those in ``keep``."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode() for each in text
    )


def add_row(table: Table, *cells: str) -> None:
    """A row of :func:`plain` cells."""
    table.add_row(*map(plain, cells))


def say(where: Console, text: str, keep: str = "") -> None:
    """One :func:`plain` line, not folded."""
    where.print(plain(text, keep), soft_wrap=True)


def say_missing(where: Console, files: int) -> None:
    """That files of the lake could not be read, if there are any."""
    if files:
        say(
            where,
            f"{files:,} files of the lake are missing: what is in them is not told (`watershed books show --red`)",
        )


def fail(text: str) -> NoReturn:
    """Say what is wrong, and what to do, on stderr, and end with code 1."""
    say(console(stderr=True), f"error: {text}", keep="\n")
    raise typer.Exit(1)


@contextmanager
def trouble_told() -> Iterator[None]:
    """What any of the commands can meet is said in a line."""
    try:
        yield
    except ContractError as error:
        fail(str(error))
    except (psycopg.Error, SQLAlchemyError, OSError) as error:
        fail(f"the warehouse, the catalog or the lake does not do what it is asked: {error}")
