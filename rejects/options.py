"""The options by which commands choose rejections. An empty one is as good as none: a DAG passes all of them."""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any

import typer

from rejects.reject import Chosen

Reason = Annotated[str | None, typer.Option("--reason", help="The keyword of a reason, as `rejects list` names it.")]
Field = Annotated[
    str | None, typer.Option("--field", help="Where that reason is: a JSON pointer such as /data/amount.")
]
Type = Annotated[str | None, typer.Option("--type", help="The event type that it claimed to be.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Whose events.")]
Key = Annotated[str | None, typer.Option("--key", help="The id of the write key that sent it (`keys list`).")]
Version = Annotated[
    str | None, typer.Option("--version", help="The contract version that the event names: 2, v2 or `none`.")
]
Since = Annotated[str | None, typer.Option("--from", help="Received at or after: 2026-11-28, or with a time; UTC.")]
Until = Annotated[str | None, typer.Option("--to", help="Received before.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose rejections, before its own; it gets what they choose as ``wanted``."""
    own = inspect.signature(command, eval_str=True).parameters
    choice = inspect.signature(chosen, eval_str=True).parameters

    @wraps(command)
    def run(**given: Any) -> None:
        wanted = chosen(**{name: given.pop(name) for name in choice})
        command(wanted, **given)

    shown = [*choice.values(), *(one for name, one in own.items() if name != "wanted")]
    options = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in shown]
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in options}
    return run


def chosen(  # noqa: PLR0917 - the options, in their order
    reason: Reason = None,
    field: Field = None,
    type_: Type = None,
    tenant: Tenant = None,
    key: Key = None,
    version: Version = None,
    since: Since = None,
    until: Until = None,
) -> Chosen:
    """What the options choose.

    :raises typer.BadParameter: a time is none.
    """
    return Chosen(
        reason=reason or None,
        field=field or None,
        event_type=type_ or None,
        tenant=tenant or None,
        key_id=key or None,
        version=(version or "").removeprefix("v") or None,
        since=_instant(since, "--from"),
        until=_instant(until, "--to"),
    )


def _instant(text: str | None, option: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date or time such as 2026-11-28T12:00", param_hint=option) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
