"""``watershed send``: events in a file, or as they come on standard input, to a collector."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
import typer
from rich.console import Console

from collector.import_access_log import LINE_HEADER
from collector.read_live import Stop, live_lines, told_to_stop
from collector.send_answer import Report
from collector.send_settings import SenderSettings
from collector.sender import Event, Sender, SendError, SpoolBusy, SpoolFull

app = typer.Typer(name="send", help="Send events to the collector.")


@app.command()
def send(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="One event a line, plain or gzip; -: standard input.")],
    spool: Annotated[
        Path | None, typer.Option(help="Folder to keep events in until the collector has them; sent first next time.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Events a request.")] = 500,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to go on trying a request.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Send whole events, as `POST /events` takes them, into the tenant of WRITE_KEY.

    An event without an id gets one. A line that is no event goes to rejected_events with its number. What comes through
    a pipe waits for more for a few seconds at most; SIGTERM and SIGINT end it when what was read is sent. Exit code 1:
    the collector stayed away or refused the key; what --spool then holds is sent next time.
    """
    settings = SenderSettings.read()
    console = Console(stderr=True, highlight=False)
    raw = Report()
    try:
        with (
            told_to_stop() as stop,
            Sender(
                settings.collector_url,
                settings.write_key.get_secret_value(),
                batch,
                spool=spool,
                patience=patience,
                sleep=stop.wait,
            ) as sender,
            _opened(file) as stream,
        ):
            report = sender.send(_events(stream, sender, raw, stop))
    except (SendError, SpoolBusy, SpoolFull, OSError, EOFError) as error:
        console.print(f"[red]error[/] {error}")
        raise typer.Exit(1) from error
    figures = {
        "sent": report.sent + raw.sent,
        "accepted": report.accepted,
        "rejected": report.rejected + raw.rejected,
        "spooled": report.spooled,
        "reasons": dict((report.reasons + raw.reasons).most_common()),
    }
    console.print(", ".join(f"{name} {count:,}" for name, count in figures.items() if isinstance(count, int)))
    for reason, count in (report.reasons + raw.reasons).most_common(10):
        console.print(f"  {count:,} times: {reason}")
    if as_json:
        typer.echo(json.dumps(figures))
    if report.spooled:
        console.print(
            "the collector is away; what is spooled is sent by the next `watershed send --spool` of the folder"
        )
        raise typer.Exit(1)


def _opened(file: str) -> IO[bytes]:
    return sys.stdin.buffer if file == "-" else Path(file).open("rb")


def _events(stream: IO[bytes], sender: Sender, raw: Report, stop: Stop) -> Iterator[Event | None]:
    number = 0
    for line in live_lines(stream, stop):
        if line is None:
            yield None
            continue
        number += 1
        if not line.strip():
            continue
        try:
            event: Any = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            event = None
        if isinstance(event, dict):
            yield event
        else:
            sender.send_raw(line, {LINE_HEADER: str(number)}, raw)
            yield None
