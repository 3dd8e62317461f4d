"""``watershed import-access-log``: an access log through the collector, with a progress bar and a summary."""

import json
import sys
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from collector.import_access_log import Importer, Summary, read_lines
from collector.import_settings import ImportSettings
from collector.sender import Sender, SendError

app = typer.Typer(name="import-access-log", help="Import an access log through the collector.")


@app.command()
def import_access_log(
    log: Annotated[str, typer.Argument(metavar="FILE|-", help="The log, plain or gzip; - reads standard input.")],
    service: Annotated[str, typer.Option(help="The service that wrote the log.")] = "web",
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Events a request.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Import a log in Common or Combined Log Format, into the tenant of WRITE_KEY.

    Every line becomes a request_log; a GET answered with 2xx or 304, of neither a static asset nor a feed, also a
    page_view. Imported twice it counts once. Lines that cannot be read go to rejected_events with their number.
    """
    settings = ImportSettings.read()
    console = Console(stderr=True)
    if log == "-":
        summary = _import(sys.stdin.buffer, None, settings, console, service=service, batch=batch)
    else:
        path = Path(log)
        if not path.is_file():
            raise typer.BadParameter(f"{log}: no such file")
        with path.open("rb") as stream:
            summary = _import(stream, path.stat().st_size, settings, console, service=service, batch=batch)
    _show(summary, Console(stderr=as_json))
    if as_json:
        typer.echo(json.dumps(summary.as_dict()))


def _import(
    stream: IO[bytes], size: int | None, settings: ImportSettings, console: Console, *, service: str, batch: int
) -> Summary:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn() if size is not None else MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    key = settings.visitor_hash_key.get_secret_value().encode()
    with (
        Progress(*columns, console=console) as bar,
        Sender(settings.collector_url, settings.write_key.get_secret_value(), batch) as sender,
    ):
        task = bar.add_task("importing", total=size)

        def advance(lines: int) -> None:
            # Of a file the bar shows the bytes read, packed as they are: its number of lines is known at the end only.
            if size is None:
                bar.advance(task, lines)
            else:
                bar.update(task, completed=stream.tell())

        try:
            return Importer(sender, key, service).run(read_lines(stream), advance)
        except SendError as error:
            console.print(f"[red]{error}[/]\nImport it again later: what is there already counts once.")
            raise typer.Exit(1) from error
        except (OSError, EOFError) as error:
            console.print(f"[red]the log cannot be read: {error}[/]")
            raise typer.Exit(1) from error


def _show(summary: Summary, console: Console) -> None:
    table = Table("", "count", title="Imported")
    rows = {
        "lines": summary.lines,
        "request logs": summary.request_logs,
        "page views": summary.page_views,
        "of bots, besides": summary.bot_page_views,
        "visitors": summary.visitors,
        "lines that cannot be read": summary.bad_lines,
        "events refused": summary.rejected,
    }
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    if summary.first_bad_lines:
        console.print(f"unreadable lines: {', '.join(map(str, summary.first_bad_lines))} …")
    for reason, count in summary.reasons.items():
        console.print(f"refused {count:,}: {reason}")
