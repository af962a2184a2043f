"""The command line. Thin: every command calls a function that a test calls too.

Belongs here: arguments, exit codes, what goes to stdout (results) and stderr (progress, errors). Does not: any work.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipelines import __version__
from pipelines.errors import EXIT_FAILURE, ApportionError, UsageError

app = typer.Typer(
    name="apportion",
    help="What each training run and each 1,000 inferences cost, to the cent, and which dollars bought nothing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

export = typer.Typer(help="Write what is published in the shapes of others.", no_args_is_help=True)
app.add_typer(export, name="export")

Config = Annotated[Path | None, typer.Option("--config", help="Settings file. Default: $APPORTION_CONFIG, else ./apportion.yml.")]
Home = Annotated[Path | None, typer.Option("--home", help="Where everything a run writes lies. Default: $APPORTION_HOME, else ./data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def progress(message: str) -> None:
    """One line of progress on stderr, stamped with UTC."""
    stamp = dt.datetime.now(dt.UTC).strftime("%H:%M:%S")
    print(f"{stamp} {message}", file=sys.stderr, flush=True)


def _print(result: dict[str, Any], lines: list[str], as_json: bool) -> None:
    print(json.dumps(result, indent=1, default=str) if as_json else "\n".join(lines))


def _day(text: str | None, option: str) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a date", remedy="write it as YYYY-MM-DD (a UTC day)") from None


@app.command()
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
    first = _day(from_, "--from") or _day(date, "--date") or yesterday
    last = _day(to, "--to") or first
    night = night_module.run(load_settings(config, home), night_module.window_of(first, last), progress, wait_seconds=wait)
    result = night_result(night)
    _print(result, night_lines(result), as_json)


@app.command()
def demo(home: Home = None, seed: Annotated[int, typer.Option(help="Seed of the generated company.")] = 7, as_json: AsJson = False) -> None:
    """Generate a small company's bills and telemetry, attribute 13 days and then one night, and say what was found."""
    from pipelines.demo.play import play
    from pipelines.report import demo_lines
    from pipelines.settings import load_settings

    result = play(load_settings(None, home).home, seed=seed, progress=progress)
    _print(result, demo_lines(result), as_json)


@app.command()
def doctor(config: Config = None, home: Home = None, as_json: AsJson = False) -> None:
    """Check versions, paths, sources, the lock and the freshness of what is published."""
    from pipelines.doctor import examine
    from pipelines.settings import load_settings

    report = examine(load_settings(config, home))
    lines = [
        f"{'ok  ' if c['ok'] else 'FAIL'} {c['subject']}: {c['finding']}" + (f"  -> {c['remedy']}" if c["remedy"] else "")
        for c in report["checks"]
    ]
    _print(report, lines, as_json)
    if not report["ok"]:
        raise typer.Exit(EXIT_FAILURE)


@app.command()
def explain(
    run: Annotated[str, typer.Argument(help="A run id, an endpoint's name, or a workload key such as training_run/abc.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take the dollars of one workload back to the charges that they come from."""
    from pipelines.explain import explain_lines, explain_workload
    from pipelines.settings import load_settings

    result = explain_workload(load_settings(None, home), run)
    _print(result, explain_lines(result), as_json)


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
    first, last = _day(day or from_, "--day" if day else "--from"), _day(day or to, "--day" if day else "--to")
    result = write_focus(load_settings(None, home), out, first_day=first, last_day=last, file_format=file_format)
    _print(result, export_lines(result), as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dbt(context: typer.Context, config: Config = None, home: Home = None) -> None:
    """Run dbt on the warehouse with the environment that the project needs, e.g. `apportion dbt -- docs generate`."""
    from pipelines import dbt as dbt_module
    from pipelines.settings import load_settings

    os.environ.update(dbt_module.environment(load_settings(config, home)))
    folders = ["--project-dir", str(dbt_module.PROJECT), "--profiles-dir", str(dbt_module.PROJECT)]
    os.execvp("dbt", ["dbt", *context.args, *folders])  # noqa: S606, S607


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> NoReturn:
    """Entry point: ApportionError -> its message on stderr and its exit code; anything else -> 1 with a trace in debug mode."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    for name in ("great_expectations", "great_expectations.data_context"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except ApportionError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Exit as exit_:
        sys.exit(exit_.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        print("stopped; the last release stands", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if error.__class__.__module__.startswith(("click", "typer")) and hasattr(error, "format_message"):
            print(f"error: {error.format_message()}", file=sys.stderr)
            sys.exit(2)
        if os.environ.get("APPORTION_DEBUG"):
            raise
        print(
            f"error: {type(error).__name__}: {error}\n  remedy: set APPORTION_DEBUG=1 for the trace; nothing was published", file=sys.stderr
        )
        sys.exit(EXIT_FAILURE)


if __name__ == "__main__":
    main()
