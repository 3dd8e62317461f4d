"""``watershed tenant …``: who has a place of their own."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import httpx
import psycopg
import typer
from rich.console import Console
from rich.table import Table

from collector.keys import KeysError
from superset_config.access import Access
from superset_config.admin import Admin
from superset_config.rest import SupersetError
from tenants.create import Made, NewPerson, add_person, create_tenant
from tenants.disable import disable_tenant
from tenants.settings import TenantSettings
from warehouse.tenants import TenantError, set_time_zone, tenants

app = typer.Typer(help="Tenants: their write keys, their people, and whose rows those see.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
Name = Annotated[str, typer.Argument(help="1 to 40 of a-z, 0-9, _ and -.")]
Invite = Annotated[
    bool, typer.Option("--invite", help="Mail a link to choose a password; without a mail server, show it.")
]


class Role(StrEnum):
    """What a tenant's person may do."""

    VIEWER = "viewer"
    ANALYST = "analyst"

    @property
    def in_superset(self) -> str:
        """The role's name there (superset_config/roles.yaml)."""
        return {"viewer": "Business viewer", "analyst": "Analyst"}[self.value]


RoleOption = Annotated[Role, typer.Option("--role", help="viewer: looks; analyst: also makes charts and asks in SQL.")]


@app.command()
def create(
    name: Name,
    *,
    user: Annotated[str | None, typer.Option(help="Log-in name of the first person (default: the tenant's).")] = None,
    email: Annotated[str | None, typer.Option(help="That person's address.")] = None,
    role: RoleOption = Role.ANALYST,
    time_zone: Annotated[str | None, typer.Option(help="Where its business days begin, such as Europe/Berlin.")] = None,
    invite: Invite = False,
    as_json: Json = False,
) -> None:
    """Make a tenant: write keys, its rows kept apart, a first person. Done again, it adds what is missing."""
    person = _person(name, user, email, role, invite)
    with _failures():
        made = create_tenant(TenantSettings.read(), name, person, time_zone=time_zone, invite=invite)
    _console(as_json).print(f"tenant {name} {'is made' if made.created else 'was there'}", highlight=False)
    for kind, key in made.keys.items():
        _console(as_json).print(f"{kind} key, shown this once:\n{key}", highlight=False, soft_wrap=True)
    _say_person(made, as_json)
    _last_line(as_json, made.as_json())


@app.command("add-user")
def add_user(
    name: Name,
    *,
    user: Annotated[str, typer.Option(help="Log-in name.")],
    email: Annotated[str | None, typer.Option(help="That person's address.")] = None,
    role: RoleOption = Role.VIEWER,
    invite: Invite = False,
    as_json: Json = False,
) -> None:
    """Give one more person access to a tenant's data."""
    with _failures():
        made = add_person(TenantSettings.read(), name, _person(name, user, email, role, invite), invite)
    _say_person(made, as_json)
    _last_line(as_json, made.as_json())


@app.command("time-zone")
def time_zone_command(
    name: Name,
    zone: Annotated[str, typer.Argument(help="IANA name, such as Europe/Berlin.")],
    *,
    as_json: Json = False,
) -> None:
    """Let a tenant's days, weeks and months begin in another time zone; the next build makes all of them anew."""
    with _failures():
        changed = set_time_zone(TenantSettings.read().warehouse_dsn, name, zone)
    words = (
        f"{name}'s days begin in {zone} from now on: the next build makes its days, weeks and months anew "
        "(cause: time zone); until that is published, all its charts keep the zone they had"
        if changed
        else f"{name}'s days begin in {zone} already"
    )
    _console(as_json).print(words, highlight=False, soft_wrap=True)
    _last_line(as_json, {"tenant": name, "time_zone": zone, "changed": changed})


@app.command("list")
def list_tenants(as_json: Json = False) -> None:
    """List the tenants: those that were made, and those that only ever sent events."""
    with _failures():
        settings = TenantSettings.read()
        known = tenants(settings.warehouse_dsn)
        with Admin(settings) as superset:
            people = {each.name: [p.username for p in superset.people(each.name) if p.active] for each in known}
    table = Table("tenant", "time zone", "made", "people", "state")
    rows = []
    for each in known:
        made = each.created_at.isoformat(timespec="seconds") if each.created_at else "never"
        state = "open" if each.may_log_in else ("disabled" if each.created_at else "sends only")
        table.add_row(each.name, each.time_zone, made, ", ".join(people[each.name]), state)
        rows.append({"tenant": each.name, "time_zone": each.time_zone, "made": made, "people": people[each.name]})
        rows[-1]["state"] = state
    _console(as_json).print(table)
    _last_line(as_json, {"tenants": rows})


@app.command()
def disable(
    name: Name,
    yes: Annotated[
        bool, typer.Option("--yes", help="Really do it; without it, only say what would be closed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Revoke a tenant's keys and let its people in no more. Its data stay; `create` opens it again."""
    with _failures():
        closing = disable_tenant(TenantSettings.read(), name, yes)
    verb = "closed" if yes else "would close"
    console = _console(as_json)
    console.print(f"{verb} keys: {', '.join(closing.keys) or 'none'}", highlight=False, soft_wrap=True)
    console.print(f"{verb} people: {', '.join(closing.people) or 'none'}", highlight=False, soft_wrap=True)
    if not yes:
        console.print("nothing was changed: --yes does it")
    _last_line(as_json, {**closing.as_json(), "done": yes})


def _person(name: str, user: str | None, email: str | None, role: Role, invite: bool) -> NewPerson:
    username = user or name
    if invite and email is None:
        raise typer.BadParameter("--invite needs --email: the address also finds the account of a forgotten password")
    return NewPerson(username, email or f"{username}@{name}.invalid", role.in_superset)


def _say_person(made: Made, as_json: bool) -> None:
    given = Access(str(made.user), made.user_made, made.password, made.link)
    _console(as_json).print(given.words(), highlight=False, soft_wrap=True)


def _console(as_json: bool) -> Console:
    return Console(stderr=as_json)


def _last_line(as_json: bool, content: dict[str, object]) -> None:
    if as_json:
        typer.echo(json.dumps(content, sort_keys=True))


@contextmanager
def _failures() -> Iterator[None]:
    """What can go wrong is one line."""
    try:
        yield
    except (TenantError, SupersetError, KeysError) as error:
        sys.stderr.write(f"tenant: {error}\n")
        raise typer.Exit(1) from error
    except httpx.HTTPError as error:
        sys.stderr.write(f"tenant: Superset does not answer ({error}): `make up` starts it\n")
        raise typer.Exit(1) from error
    except psycopg.Error as error:
        sys.stderr.write(f"tenant: the warehouse does not answer: {str(error).strip()}\n")
        raise typer.Exit(1) from error
