"""Commands that make a release: a night, the demo, and whether a night can run.

Belongs here: arguments and what is told. Does not: any work.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from pipelines.cli.terminal import AsJson, Config, Home, day_of, progress, tell
from pipelines.errors import EXIT_FAILURE, UsageError

commands = typer.Typer()


@commands.command()
def nightly(
    date: Annotated[str | None, typer.Option("--date", help="One UTC day, YYYY-MM-DD. Default: yesterday.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First UTC day of a range.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last UTC day of a range.")] = None,
    config: Config = None,
    home: Home = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for another writer to finish.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run the nightly attribution for a day or a range of days."""
    from pipelines import nightly as night_module
    from pipelines.report import night_lines, night_result
    from pipelines.settings import load_settings

    if date and (from_ or to):
        raise UsageError("--date and --from/--to exclude each other", remedy="name one day or one range")
    if bool(from_) != bool(to):
        raise UsageError("--from and --to belong together", remedy="name both ends of the range, or one --date")
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    first = day_of(from_, "--from") or day_of(date, "--date") or yesterday
    last = day_of(to, "--to") or first
    night = night_module.run(load_settings(config, home), night_module.window_of(first, last), progress, wait_seconds=wait)
    result = night_result(night)
    tell(result, night_lines(result), as_json)


@commands.command()
def demo(home: Home = None, seed: Annotated[int, typer.Option(help="Seed of the generated company.")] = 7, as_json: AsJson = False) -> None:
    """Generate a small company's bills and telemetry, attribute 13 days and then one night, and say what was found."""
    from pipelines.demo.overview import demo_lines
    from pipelines.demo.play import play
    from pipelines.settings import load_settings

    result = play(load_settings(None, home).home, seed=seed, progress=progress)
    tell(result, demo_lines(result), as_json)


@commands.command()
def doctor(config: Config = None, home: Home = None, as_json: AsJson = False) -> None:
    """Check versions, paths, sources, the lock and the freshness of what is published."""
    from pipelines.doctor import examine
    from pipelines.settings import load_settings

    report = examine(load_settings(config, home))
    lines = [
        f"{'ok  ' if c['ok'] else 'FAIL'} {c['subject']}: {c['finding']}" + (f"  -> {c['remedy']}" if c["remedy"] else "")
        for c in report["checks"]
    ]
    tell(report, lines, as_json)
    if not report["ok"]:
        raise typer.Exit(EXIT_FAILURE)
