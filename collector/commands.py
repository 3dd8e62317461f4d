"""``watershed keys …``, ``watershed topics …`` and ``watershed spool …``: the collector's operators' commands."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import Field
from rich.console import Console
from rich.table import Table

from collector import topics as broker_topics
from collector.dead_letter import DeadLetterDamaged, DeadLetters
from collector.keys import KeyFile, KeyKind, KeysError, WriteKey
from collector.requeue import requeue as requeue_letters
from collector.requeue import status as spool_status
from collector.settings import CollectorSettings
from collector.topics import TopicsError
from contracts.registry import ContractError, Registry
from runtime.settings import Settings

keys = typer.Typer(name="keys", help="Write keys: who may send events, for which tenant.", no_args_is_help=True)
topics = typer.Typer(name="topics", help="Kafka's topics, as the contracts want them.", no_args_is_help=True)
spool = typer.Typer(name="spool", help="Events that wait on the collector's disk for Kafka.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


class KeysSettings(Settings):
    """What the key commands need."""

    keys_file: Path = Field(default=Path(".local/keys.json"), description="File of the write keys, hashed, mode 600")


class SpoolSettings(Settings):
    """What the spool commands need."""

    collector_state_dir: Path = Field(
        default=Path(".local/data/collector"),
        description="Folder of the collector's spool, receipts and dead letters; on a disk that survives a restart",
    )


@keys.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose events the key sends: a-z, 0-9, _ and -.")],
    kind: Annotated[KeyKind, typer.Option(help="server: anything; browser: public, few rights; import: bulk loads.")],
    note: Annotated[str, typer.Option(help="What the key is for.")] = "",
    secret_stdin: Annotated[
        bool, typer.Option(help="Read the secret from standard input instead of making one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create a write key. Its secret is shown this once; the collector takes it within a second."""
    secret = sys.stdin.readline().strip() if secret_stdin else None
    try:
        key, secret = _file().create(tenant, kind, note, secret)
    except KeysError as error:
        _fail(error)
    _say(as_json, f"key [bold]{key.id}[/] of tenant {key.tenant} ({key.kind}), shown this once:\n{secret}")
    _last_line(as_json, {"key": secret, **_shown(key)})


@keys.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")],
    grace_hours: Annotated[float, typer.Option(min=0, help="How long the old key goes on working.")] = 24.0,
    as_json: Json = False,
) -> None:
    """Create a successor with the same rights; the old key ends after the grace period."""
    try:
        key, secret = _file().rotate(key_id, timedelta(hours=grace_hours))
    except KeysError as error:
        _fail(error)
    _say(as_json, f"{key_id} ends in {grace_hours:g} h; its successor [bold]{key.id}[/], shown this once:\n{secret}")
    _last_line(as_json, {"key": secret, "replaces": key_id, **_shown(key)})


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")], as_json: Json = False
) -> None:
    """Refuse a key from now on (within a second)."""
    try:
        key = _file().revoke(key_id)
    except KeysError as error:
        _fail(error)
    _say(as_json, f"{key.id} of tenant {key.tenant} is revoked")
    _last_line(as_json, _shown(key))


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """List the keys; secrets are not kept, so none is shown."""
    try:
        found = _file().keys()
    except KeysError as error:
        _fail(error)
    now = datetime.now(UTC)
    table = Table("id", "tenant", "kind", "created", "state", "note")
    for key in found:
        table.add_row(key.id, key.tenant, key.kind, key.created_at[:19], _state(key, now), key.note)
    _say(as_json, table)
    _last_line(as_json, {"keys": [{**_shown(key), "state": _state(key, now)} for key in found]})


@topics.command()
def ensure(as_json: Json = False) -> None:
    """Create missing topics, add partitions, set what differs. Never takes partitions or messages away."""
    try:
        done = broker_topics.ensure(Registry.load(), CollectorSettings.read())
    except (TopicsError, ContractError) as error:
        _fail(error)
    table = Table("topic", "partitions", "done")
    for topic in done:
        table.add_row(topic.name, str(topic.partitions), topic.done)
    _say(as_json, table)
    _last_line(as_json, {"topics": [{"topic": t.name, "partitions": t.partitions, "done": t.done} for t in done]})


@topics.command()
def describe(as_json: Json = False) -> None:
    """Show each topic beside what the contracts and settings want; exit 1 when one differs."""
    try:
        found = broker_topics.describe(Registry.load(), CollectorSettings.read())
    except (TopicsError, ContractError) as error:
        _fail(error)
    table = Table("topic", "partitions", "wanted", "settings that differ")
    for topic in found:
        differs = ", ".join(f"{name} {v['is']} → {v['wanted']}" for name, v in topic["differs"].items())
        table.add_row(
            str(topic["topic"]), str(topic["partitions"] or "missing"), str(topic["partitions_wanted"]), differs
        )
    _say(as_json, table)
    _last_line(as_json, {"topics": found})
    if any(topic["differs"] or topic["partitions"] < topic["partitions_wanted"] for topic in found):
        raise typer.Exit(1)


@spool.command()
def status(as_json: Json = False) -> None:
    """Show what waits on the collector's disk, and what was set aside."""
    state = SpoolSettings.read().collector_state_dir
    found = spool_status(state)
    table = Table("spool", "owner", "waiting", "bytes")
    for folder in found["folders"]:
        table.add_row(folder["name"], folder["owner"], str(folder["waiting"]), str(folder["bytes"]))
    _say(as_json, table)
    letters = Table("set aside", "topic", "error")
    for letter in found["dead_letters"]:
        letters.add_row(letter["name"], letter["topic"], letter["error"])
    _say(as_json, letters)
    _last_line(as_json, found)


@spool.command()
def requeue(
    names: Annotated[list[str] | None, typer.Argument(help="Files set aside, as `spool status` names them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: Json = False,
) -> None:
    """Put messages that were set aside back into the spool; the running collector, or the next one, sends them."""
    state = SpoolSettings.read().collector_state_dir
    letters = DeadLetters.of(state)
    chosen = [path for path in letters.files() if everything or path.name in (names or [])]
    unknown = sorted(set(names or []) - {path.name for path in chosen})
    if unknown or not (chosen or everything):
        _fail(KeysError(f"not set aside: {', '.join(unknown)}" if unknown else "name some, or say --all"))
    try:
        count = requeue_letters(state, letters, chosen, time.time_ns() // 1000)
    except (DeadLetterDamaged, OSError) as error:
        _fail(error)
    _say(as_json, f"{count} messages go out again")
    _last_line(as_json, {"requeued": count})


def _file() -> KeyFile:
    return KeyFile(KeysSettings.read().keys_file)


def _shown(key: WriteKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "kind": str(key.kind),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "note": key.note,
    }


def _state(key: WriteKey, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    if key.expires_at:
        return "ends " + key.expires_at[:19] if key.usable(now) else "expired"
    return "usable"


def _say(as_json: bool, what: object) -> None:
    Console(stderr=as_json, highlight=False).print(what)


def _last_line(as_json: bool, value: dict[str, Any]) -> None:
    if as_json:
        typer.echo(json.dumps(value))


def _fail(error: Exception) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"[red]error[/] {error}")
    raise typer.Exit(1)
