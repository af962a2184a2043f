"""Commands that write what is published for others: a team's statement, FOCUS, CSV.

Belongs here: arguments and what is told. Does not: any work.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.terminal import AsJson, Config, Home, day_of, tell
from pipelines.errors import EXIT_FAILURE, UsageError

commands = typer.Typer()
export = typer.Typer(help="Write what is published in the shapes of others.", no_args_is_help=True)


@commands.command()
def statement(
    team: Annotated[str | None, typer.Option("--team", help="Whose statement.")] = None,
    month: Annotated[str | None, typer.Option("--month", help="A UTC calendar month, YYYY-MM.")] = None,
    release: Annotated[str | None, typer.Option("--release", help="From this release. Default: the last one.")] = None,
    as_of_time: Annotated[str | None, typer.Option("--as-of", help="From the release that was current at this time.")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="text or csv. Default: by the ending of --out, else text.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file. Default: stdout.")] = None,
    verify: Annotated[Path | None, typer.Option("--verify", help="Make this statement again from its release and compare.")] = None,
    home: Home = None,
    config: Config = None,
) -> None:
    """Say what a team pays for a month, and why; the same release gives the same bytes."""
    from pipelines.settings import load_settings
    from pipelines.statement.making import make_statement, verification_lines, verify_statement

    settings = load_settings(config, home)
    if verify is not None:
        result = verify_statement(settings, verify)
        tell(result, verification_lines(result), False)
        if not result["is_equal"]:
            raise typer.Exit(EXIT_FAILURE)
        return
    if team is None or month is None:
        raise UsageError("--team and --month are needed", remedy="or check a statement with --verify FILE")
    if release and as_of_time:
        raise UsageError("--release and --as-of exclude each other", remedy="name one of them")
    made = make_statement(settings, team, month, release=release or as_of_time, file_format=file_format, out=out)
    if out is None:
        sys.stdout.write(made["bytes"].decode("utf-8"))
    else:
        print(f"{out}: {made['identity']['month']} of release {made['identity']['release']}")


@export.command("focus")
def export_focus(
    out: Annotated[Path, typer.Option("--out", help="The file to write; replaced as a whole.")],
    day: Annotated[str | None, typer.Option("--day", help="One UTC day, YYYY-MM-DD. Default: every published day.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First UTC day of a range.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last UTC day of a range.")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="parquet or csv. Default: by the file's ending.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the allocated cost with FOCUS 1.4's columns, split allocation included."""
    from pipelines.exporting.focus import export_focus as write_focus
    from pipelines.exporting.focus import export_lines
    from pipelines.settings import load_settings

    if day and (from_ or to):
        raise UsageError("--day and --from/--to exclude each other", remedy="name one day or one range")
    first, last = day_of(day or from_, "--day" if day else "--from"), day_of(day or to, "--day" if day else "--to")
    result = write_focus(load_settings(None, home), out, first_day=first, last_day=last, file_format=file_format)
    tell(result, export_lines(result), as_json)


@export.command("csv")
def csv_table(
    table: Annotated[str, typer.Option("--table", help="A published table, such as fct_showback.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write; replaced as a whole.")],
    team: Annotated[str | None, typer.Option("--team", help="Only the rows that this team may read.")] = None,
    bom: Annotated[bool, typer.Option("--bom", help="Begin with a byte order mark, for spreadsheets that ask for one.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write one published table as CSV that is safe to open in a spreadsheet."""
    from pipelines.exporting.tables import csv_lines, export_csv
    from pipelines.settings import load_settings

    result = export_csv(load_settings(None, home), table, out, team=team, bom=bom)
    tell(result, csv_lines(result), as_json)
