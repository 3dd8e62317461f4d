"""``watershed contracts …``: list, generate, scaffold, validate and compare contracts."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from contracts import generate as generating
from contracts.compat import changes
from contracts.history import at_commit
from contracts.model import Contract, ContractError
from contracts.parse import HERE, parse
from contracts.registry import Registry, folder
from contracts.scaffold import scaffold
from contracts.validate import EventValidator

app = typer.Typer(help="The contracts of the event types.", no_args_is_help=True)
console = Console(highlight=False, markup=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the event types and where their events go."""
    registry = _loaded()
    table = Table("type", "versions", "owner", "topic", "partitions", "rollup", "kept (days)")
    rows = [
        {
            "type": c.type,
            "versions": list(registry.versions(c.type)),
            "owner": c.owner,
            "topic": c.topic,
            "partitions": c.partitions,
            "rollup": f"rollups.{c.rollup_table}",
            "retention_days": c.retention_days,
        }
        for c in registry
    ]
    for row in rows:
        table.add_row(*(", ".join(map(str, v)) if isinstance(v, list) else str(v) for v in row.values()))
    console.print(table)
    _last_line(as_json, {"types": rows})


@app.command()
def generate(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a generated file is stale.")] = False,
    as_json: Json = False,
) -> None:
    """Write the docs pages, the ODCS exports and dbt's sources from the contracts."""
    registry = _loaded(HERE)
    changed = generating.stale(registry) if check else generating.write(registry)
    for path in changed:
        _say(f"{path} is stale; run `{generating.COMMAND}` and commit it" if check else f"wrote {path}")
    if not changed:
        _say("all generated files are up to date")
    _last_line(as_json, {"stale" if check else "written": changed})
    if check and changed:
        raise typer.Exit(1)


@app.command("new-event")
def new_event(
    name: Annotated[str, typer.Argument(help="The type's name: lower-case words joined by _, such as level_up.")],
    as_json: Json = False,
) -> None:
    """Scaffold a new event type: its folder, a schema and examples that pass."""
    root = folder()
    try:
        written = scaffold(name, root)
    except ContractError as error:
        raise _failed(error) from error
    registry = _loaded(root)
    paths = [_short(path) for path in written]
    if root.resolve() == HERE:
        paths += generating.write(registry)
    for path in paths:
        _say(f"wrote {path}")
    _say(f"edit {_short(written[0])} and its examples, then run `{generating.COMMAND}`")
    _last_line(as_json, {"type": name, "written": paths})


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="Events as one JSON object, an array, or one a line; - for stdin.")],
    as_json: Json = False,
) -> None:
    """Judge client events as the collector would; exit 1 if one is refused."""
    validator = EventValidator(_loaded())
    refused: list[dict[str, Any]] = []
    count = 0
    try:
        for count, event in enumerate(_events(file), start=1):
            found = validator.violations(event)
            if found:
                refused.append({"event": count, "violations": [v._asdict() for v in found]})
            for violation in found:
                _say(f"event {count}: {violation.pointer or '(the event)'} {violation.keyword}: {violation.message}")
    except ContractError as error:
        raise _failed(error) from error
    _say(f"{count - len(refused)} of {count} accepted")
    _last_line(as_json, {"events": count, "accepted": count - len(refused), "refused": refused})
    if refused:
        raise typer.Exit(1)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="A schema file <type>/v<N>.schema.json as it was, or the older version.")],
    new: Annotated[Path, typer.Argument(help="The schema file as it is, or the newer version.")],
    as_json: Json = False,
) -> None:
    """Tell what changed between two schema files; exit 1 if it breaks senders or tables."""
    try:
        _report([(parse(old), parse(new))], as_json)
    except ContractError as error:
        raise _failed(error) from error


@app.command()
def compat(
    against: Annotated[str, typer.Argument(help="The commit to compare with, such as origin/main.")],
    as_json: Json = False,
) -> None:
    """Compare every contract with what it was at a commit; exit 1 if one breaks or is gone."""
    registry = _loaded(HERE)
    try:
        before = at_commit(against)
    except ContractError as error:
        raise _failed(error) from error
    pairs: list[tuple[Contract, Contract]] = []
    gone: list[str] = []
    for contract in before:
        if contract.type in registry.types() and contract.version in registry.versions(contract.type):
            pairs.append((contract, registry.get(contract.type, contract.version)))
        else:
            gone.append(f"{contract.type} v{contract.version} is gone; its events are still in topics and in the lake")
    _report(pairs, as_json, gone)


def _report(pairs: list[tuple[Contract, Contract]], as_json: bool, gone: list[str] | None = None) -> None:
    lines = [{"contract": "", "kind": "breaking", "change": line} for line in gone or []]
    for old, new in pairs:
        name = f"{new.type} v{new.version}"
        lines += [{"contract": name, "kind": c.kind, "change": str(c)} for c in changes(old, new)]
    for line in lines:
        _say(f"{line['kind']:<9} {line['contract']} {line['change']}".replace("  ", " "))
    broken = sum(line["kind"] == "breaking" for line in lines)
    _say(f"{len(lines)} changes, {broken} breaking")
    _last_line(as_json, {"changes": lines, "breaking": broken})
    if broken:
        raise typer.Exit(1)


def _events(file: Path) -> Iterator[Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ContractError(f"{file}: {error}") from error
    try:
        whole = json.loads(text)
    except ValueError:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield _parsed(line, f"{file}, line {number}")
        return
    yield from whole if isinstance(whole, list) else [whole]


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ContractError(f"{where}: not JSON: {error}") from error


def _loaded(path: Path | None = None) -> Registry:
    try:
        return Registry.load(path)
    except ContractError as error:
        raise _failed(error) from error


def _failed(error: Exception) -> typer.Exit:
    sys.stderr.write(f"contracts: {error}\n")
    return typer.Exit(1)


def _short(path: Path) -> str:
    return path.relative_to(generating.REPO).as_posix() if path.is_relative_to(generating.REPO) else str(path)


def _say(line: str) -> None:
    console.print(line, soft_wrap=True)


def _last_line(as_json: bool, value: dict[str, Any]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(value) + "\n")
