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
alert = typer.Typer(help="Tell people what the release and the nights give cause to look at.")
app.add_typer(alert, name="alert")

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
    from pipelines.demo.overview import demo_lines
    from pipelines.demo.play import play
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
    workload: Annotated[
        str | None, typer.Argument(help="A run id, an endpoint's name, or a workload key such as training_run/abc.")
    ] = None,
    team: Annotated[str | None, typer.Option(help="Dollars of a team ('' for none).")] = None,
    cost_class: Annotated[str | None, typer.Option(help="Dollars of a cost class: unattributed, unallocated_idle, credit, ...")] = None,
    day: Annotated[str | None, typer.Option(help="One UTC day, YYYY-MM-DD.")] = None,
    node: Annotated[str | None, typer.Option(help="Dollars of a node, by host name ('' for none).")] = None,
    pool: Annotated[str | None, typer.Option(help="Dollars of a node pool ('' for none).")] = None,
    account: Annotated[str | None, typer.Option(help="Dollars of an account or project ('' for none).")] = None,
    source: Annotated[str | None, typer.Option(help="Dollars of a bill source.")] = None,
    bucket: Annotated[str | None, typer.Option(help="One charge bucket, by its key or its first digits.")] = None,
    rule: Annotated[str | None, typer.Option(help="What a distribution rule took and gave, by its id.")] = None,
    charge: Annotated[str | None, typer.Option(help="One bill row and what became of it: <source>:<file or delivery>:<row>.")] = None,
    charges: Annotated[bool, typer.Option("--charges", help="Go down to the bill rows.")] = False,
    rows: Annotated[int, typer.Option(min=0, help="Ledger rows, and bill rows of each, to print, dearest first; 0 for all.")] = 20,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take any published dollars back to the charges that they come from, or one charge to its dollars; say what placed them."""
    from pipelines import explain as explaining
    from pipelines.explaining.lines import answer_lines
    from pipelines.explaining.question import ChargeAddress
    from pipelines.settings import load_settings

    question = explaining.Question(
        workload, team, cost_class, _day(day, "--day"), node, pool, account, source, bucket, rule,
        charge=ChargeAddress.parse(charge) if charge is not None else None, charges=charges,
    )  # fmt: skip
    answer = explaining.explain(load_settings(config, home), question, limit=None if as_json or rows == 0 else rows)
    _print(answer, answer_lines(answer, rows), as_json)
    explaining.require_equal(answer)


@app.command()
def idle(
    from_: Annotated[str | None, typer.Option("--from", help="First UTC day. Default: the first published one.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last UTC day. Default: the last published one.")] = None,
    team: Annotated[str | None, typer.Option(help="What one team owns ('' for what no team does).")] = None,
    rows: Annotated[int, typer.Option(min=0, help="Idle GPUs to print, dearest first; 0 for all.")] = 20,
    heatmap: Annotated[Path | None, typer.Option("--heatmap", help="Draw GPU x day into this SVG file.")] = None,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say which dollars bought nothing, whose they are, and which GPUs are idle now."""
    from pipelines.heatmap import heatmap as draw
    from pipelines.idle import Span, idle_lines
    from pipelines.idle import idle as find_idle
    from pipelines.settings import load_settings

    settings, span = load_settings(config, home), Span(_day(from_, "--from"), _day(to, "--to"), team)
    found = find_idle(settings, span)
    lines = idle_lines(found, rows)
    if heatmap is not None:
        drawn = draw(settings, span, heatmap)
        found |= drawn
        lines += ["", f"heat map of {drawn['gpus_drawn']} of {drawn['gpus']} GPUs over {drawn['days']} day(s): {drawn['heatmap']}"]
    _print(found, lines, as_json)


@app.command()
def releases(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List every release that was ever published, newest first."""
    from pipelines.history.archive import archived
    from pipelines.history.as_of import release_lines, summary
    from pipelines.settings import load_settings

    told = [summary(release) for release in archived(load_settings(config, home))]
    _print({"releases": told}, release_lines(told) or ["nothing has been published yet"], as_json)


@app.command("as-of")
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
    _print(told, as_of_lines(told), as_json)


@app.command()
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
    _print(restatement_result(found), restatement_lines(found), as_json)


Period = Annotated[str, typer.Argument(help="A billing period, YYYY-MM.")]
OneSource = Annotated[str | None, typer.Option("--source", help="Only this source. Default: every source that bills the period.")]


@app.command()
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
    _print(entry, period_lines(entry), as_json)


@app.command()
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
    _print(entry, period_lines(entry), as_json)


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


@app.command()
def levers(
    team: Annotated[str | None, typer.Option(help="Levers of one team ('' for what nobody owns).")] = None,
    kind: Annotated[str | None, typer.Option(help="One kind: raise_utilization, scale_to_zero, use_spot, ...")] = None,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What could be saved, dearest first: owner, confidence, effort, evidence, and a total that counts no dollar twice."""
    from pipelines.savings import lever_lines
    from pipelines.savings import levers as find
    from pipelines.settings import load_settings

    found = find(load_settings(config, home), team=team, kind=kind)
    _print(found, lever_lines(found), as_json)


@app.command("record-gpu")
def record_gpu(
    out: Annotated[Path, typer.Option("--out", help="The folder to write: exposition/, parquet/, processes/.")] = Path("recording"),
    interval: Annotated[str, typer.Option("--interval", help="Between two looks: 500ms, 1s, 30s.")] = "1s",
    duration: Annotated[str | None, typer.Option("--duration", help="How long: 30s, 5m, 2h. Default: until Ctrl-C or SIGTERM.")] = None,
    rotate: Annotated[str, typer.Option("--rotate", help="A file is completed after this long.")] = "1m",
    file_format: Annotated[str, typer.Option("--format", help="exposition, parquet or both.")] = "parquet",
    exporter: Annotated[
        str | None, typer.Option("--exporter", help="/metrics page of a dcgm-exporter here: its profiling ratios for GPUs without GPM.")
    ] = None,
    hostname: Annotated[str | None, typer.Option("--hostname", help="What the samples call this machine. Default: its own name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Record this machine's NVIDIA GPUs through NVML, in the shape that the `dcgm` source reads."""
    from pipelines.recording.recorder import record, record_lines

    result = record(
        out,
        interval=interval,
        duration=duration,
        rotate=rotate,
        file_format=file_format,
        exporter=exporter,
        hostname=hostname,
        tell=progress,
    )
    _print(result, record_lines(result), as_json)


@app.command("what-if")
def what_if(
    target: Annotated[str, typer.Option("--target", help="The utilization to aim at, such as 0.7.")],
    gpus: Annotated[str | None, typer.Option("--gpus", help="GPUs of the fleet. Default: those billed on the last priced day.")] = None,
    price: Annotated[str | None, typer.Option("--price-per-gpu-hour", help="US dollars. Default: what was paid, from the release.")] = None,
    utilization: Annotated[str | None, typer.Option("--utilization", help="0 to 1. Default: measured, from the release.")] = None,
    hours: Annotated[str | None, typer.Option("--hours", help="Default: 730, an average month.")] = None,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What a fleet wastes, and what the same work costs on fewer GPUs at a target utilization."""
    from pipelines import what_if as reckoning
    from pipelines.settings import load_settings

    stated = {"gpus": gpus, "price_per_gpu_hour_usd": price, "utilization": utilization, "target": target, "hours": hours}
    is_whole = None not in (gpus, price, utilization)
    found = reckoning.what_if(reckoning.inputs(None if is_whole else load_settings(config, home), stated))
    _print(found, reckoning.what_if_lines(found), as_json)


@app.command("adopt-lever")
def adopt_lever(
    lever_kind: Annotated[str, typer.Argument(help="Kind of the lever, as fct_lever has it.")],
    scope: Annotated[str, typer.Argument(help="Its scope, as fct_lever has it.")],
    adopted_on: Annotated[str, typer.Option("--on", help="First UTC day with the change in force, YYYY-MM-DD.")],
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the policy entry that says that a lever was pulled, with what it predicted: realised savings are measured against it."""
    from pipelines.adoption import adoption, adoption_lines
    from pipelines.settings import load_settings

    day = _day(adopted_on, "--on")
    assert day is not None
    found = adoption(load_settings(config, home), lever_kind, scope, day)
    _print(found, adoption_lines(found), as_json)


@app.command()
def budgets(
    budget: Annotated[str | None, typer.Option("--budget", help="Only this budget of the policy.")] = None,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say where each budget stands, where it will end, and what nobody knows yet."""
    from pipelines.settings import load_settings
    from pipelines.spend_watch import budgets as find_budgets
    from pipelines.spend_watch import budgets_lines

    found = find_budgets(load_settings(config, home), budget)
    _print(found, budgets_lines(found), as_json)


@app.command()
def anomalies(
    incident: Annotated[str | None, typer.Option("--incident", help="Only this incident.")] = None,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say which spend was out of the ordinary, and what changed: price, volume, mix, utilization, other."""
    from pipelines.settings import load_settings
    from pipelines.spend_watch import anomalies as find_anomalies
    from pipelines.spend_watch import anomalies_lines

    found = find_anomalies(load_settings(config, home), incident)
    _print(found, anomalies_lines(found), as_json)


@alert.callback(invoke_without_command=True)
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
    _print(delivery_result(delivery), delivery_lines(delivery), as_json)
    if delivery.failed:
        raise typer.Exit(EXIT_FAILURE)


@alert.command("list")
def alert_list(config: Config = None, home: Home = None, as_json: AsJson = False) -> None:
    """Every alert that stands, dearest first: its key, its owner, who was told when, and whether it is snoozed."""
    from pipelines.alerting.listing import standing, standing_lines
    from pipelines.settings import load_settings

    found = standing(load_settings(config, home), dt.datetime.now(dt.UTC))
    _print({"alerts": found}, standing_lines(found), as_json)


@alert.command("snooze")
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

    day = _day(until, "--until") or dt.date.min
    asked = snooze(load_settings(config, home), key, day, reason, author, dt.datetime.now(dt.UTC))
    result = {"alert_key": asked.alert_key, "until": asked.until.isoformat(), "reason": asked.reason, "author": asked.author}
    _print(result, [f"{asked.alert_key} is snoozed until {day} (UTC): {asked.reason}"], as_json)


@app.command()
def tags(
    missing: Annotated[str | None, typer.Option("--missing", help="Only this key: team, model, environment or project.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First day of the coverage. Default: the first published one.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last day of the coverage. Default: the last published one.")] = None,
    rows: Annotated[int, typer.Option("--rows", help="Untagged subjects of each key, and guardrails, to list; 0: all.", min=0)] = 10,
    config: Config = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """How much of the spend has an owner, what lacks one and whose it probably is, what repairs moved, which guardrails are broken."""
    from pipelines.settings import load_settings
    from pipelines.tags import Question, tag_lines
    from pipelines.tags import tags as asked

    question = Question(missing, _day(from_, "--from"), _day(to, "--to"))
    found = asked(load_settings(config, home), question)
    _print(found, tag_lines(found, rows), as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dbt(context: typer.Context, config: Config = None, home: Home = None) -> None:
    """Run dbt on the warehouse with the environment that the project needs, e.g. `apportion dbt -- docs generate`."""
    from pipelines import dbt as dbt_module
    from pipelines.settings import load_settings

    os.environ.update(dbt_module.environment(load_settings(config, home)))
    folders = ["--project-dir", str(dbt_module.PROJECT), "--profiles-dir", str(dbt_module.PROJECT)]
    os.execvp("dbt", ["dbt", *context.args, *folders])  # noqa: S606, S607


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
    _print(result, csv_lines(result), as_json)


@app.command()
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
        _print(result, verification_lines(result), False)
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


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> NoReturn:
    """Entry point: ApportionError -> its message on stderr and its exit code; anything else -> 1 with a trace in debug mode."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
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
