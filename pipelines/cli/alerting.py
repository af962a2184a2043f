"""Commands about alerts: tell them, list them, ask for silence about one.

Belongs here: arguments and what is told. Does not: any work.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from pipelines.cli.terminal import AsJson, Config, Home, day_of, progress, tell
from pipelines.errors import EXIT_FAILURE

commands = typer.Typer(help="Tell people what the release and the nights give cause to look at.")


@commands.callback(invoke_without_command=True)
def alert_now(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be told to whom; send and remember nothing.")] = False,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Tell what is due now, of the current release and of its age. A night does this by itself; run it hourly to hear of nights that never ran."""
    if context.invoked_subcommand is not None:
        return
    from pipelines.alerting.delivery import delivery_lines, delivery_result
    from pipelines.alerting.watch import look
    from pipelines.settings import load_settings

    delivery = look(load_settings(config, home), progress, dry_run=dry_run)
    tell(delivery_result(delivery), delivery_lines(delivery), as_json)
    if delivery.failed:
        raise typer.Exit(EXIT_FAILURE)


@commands.command("list")
def alert_list(config: Config = None, home: Home = None, as_json: AsJson = False) -> None:
    """Every alert that stands, dearest first: its key, its owner, who was told when, and whether it is snoozed."""
    from pipelines.alerting.listing import standing, standing_lines
    from pipelines.settings import load_settings

    found = standing(load_settings(config, home), dt.datetime.now(dt.UTC))
    tell({"alerts": found}, standing_lines(found), as_json)


@commands.command("snooze")
def alert_snooze(
    key: Annotated[str, typer.Argument(help="The alert's key, or its first digits.")],
    until: Annotated[str, typer.Option("--until", help="The first UTC day on which it may be told again, YYYY-MM-DD.")],
    reason: Annotated[str, typer.Option("--reason", help="Why nobody has to look at it until then; it is logged.")],
    author: Annotated[str | None, typer.Option("--author", help="Who says so.")] = None,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask for silence about one alert until a day."""
    from pipelines.alerting.listing import snooze
    from pipelines.settings import load_settings

    day = day_of(until, "--until") or dt.date.min
    asked = snooze(load_settings(config, home), key, day, reason, author, dt.datetime.now(dt.UTC))
    result = {"alert_key": asked.alert_key, "until": asked.until.isoformat(), "reason": asked.reason, "author": asked.author}
    tell(result, [f"{asked.alert_key} is snoozed until {day} (UTC): {asked.reason}"], as_json)
