"""Commands about what was published when: releases, their differences, closed periods.

Belongs here: arguments and what is told. Does not: any work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.terminal import AsJson, Config, Home, tell

commands = typer.Typer()

Period = Annotated[str, typer.Argument(help="A billing period, YYYY-MM.")]
OneSource = Annotated[str | None, typer.Option("--source", help="Only this source. Default: every source that bills the period.")]


@commands.command()
def releases(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List every release that was ever published, newest first."""
    from pipelines.history.archive import archived
    from pipelines.history.as_of import release_lines, summary
    from pipelines.settings import load_settings

    told = [summary(release) for release in archived(load_settings(config, home))]
    tell({"releases": told}, release_lines(told) or ["nothing has been published yet"], as_json)


@commands.command("as-of")
def as_of(
    when: Annotated[str, typer.Argument(help="A time such as 2026-10-05T07:00 (UTC), a day (its end), or a release id.")],
    out: Annotated[Path | None, typer.Option("--out", help="A folder that does not exist yet. Default: <home>/as-of/<release id>.")] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what was published at a time, byte for byte."""
    from pipelines.history.archive import archived
    from pipelines.history.as_of import as_of_lines, materialise
    from pipelines.history.finding import find
    from pipelines.settings import load_settings

    settings = load_settings(config, home)
    release = find(archived(settings), when)
    told = materialise(settings, release, out or settings.home / "as-of" / release.release_id, replace=out is None)
    tell(told, as_of_lines(told), as_json)


@commands.command()
def restatement(
    from_: Annotated[str | None, typer.Argument(metavar="[FROM]", help="A release id or a time. Default: the release before TO.")] = None,
    to: Annotated[str | None, typer.Argument(metavar="[TO]", help="A release id or a time. Default: the current release.")] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say which figures moved between two releases, by how much, and why."""
    from pipelines.history.archive import archived
    from pipelines.history.finding import pair
    from pipelines.history.restatement import compare
    from pipelines.history.words import restatement_lines, restatement_result
    from pipelines.settings import load_settings

    settings = load_settings(config, home)
    found = compare(settings, *pair(archived(settings), from_, to))
    tell(restatement_result(found), restatement_lines(found), as_json)


@commands.command()
def close(
    period: Period,
    source: OneSource = None,
    provisional: Annotated[bool, typer.Option("--provisional", help="Close it although a bill is not final.")] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Close a billing period: from then on it changes only by `apportion correct`."""
    from pipelines.history.closing import close as close_period
    from pipelines.history.words import period_lines
    from pipelines.settings import load_settings

    entry = close_period(load_settings(config, home), period, source=source, provisional=provisional)
    tell(entry, period_lines(entry), as_json)


@commands.command()
def correct(
    period: Period,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is logged.")],
    source: OneSource = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Let the next night change a closed period; what it moves is logged, and the period is closed again."""
    from pipelines.history.closing import correct as correct_period
    from pipelines.history.words import period_lines
    from pipelines.settings import load_settings

    entry = correct_period(load_settings(config, home), period, reason=reason, source=source)
    tell(entry, period_lines(entry), as_json)
