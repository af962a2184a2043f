"""Commands that ask the release: whose dollars, which bought nothing, how they are tagged, budgets, anomalies.

Belongs here: arguments and what is told. Does not: any work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.terminal import AsJson, Config, Home, day_of, tell

commands = typer.Typer()


@commands.command()
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
        workload, team, cost_class, day_of(day, "--day"), node, pool, account, source, bucket, rule,
        charge=ChargeAddress.parse(charge) if charge is not None else None, charges=charges,
    )  # fmt: skip
    answer = explaining.explain(load_settings(config, home), question, limit=None if as_json or rows == 0 else rows)
    tell(answer, answer_lines(answer, rows), as_json)
    explaining.require_equal(answer)


@commands.command()
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

    settings, span = load_settings(config, home), Span(day_of(from_, "--from"), day_of(to, "--to"), team)
    found = find_idle(settings, span)
    lines = idle_lines(found, rows)
    if heatmap is not None:
        drawn = draw(settings, span, heatmap)
        found |= drawn
        lines += ["", f"heat map of {drawn['gpus_drawn']} of {drawn['gpus']} GPUs over {drawn['days']} day(s): {drawn['heatmap']}"]
    tell(found, lines, as_json)


@commands.command()
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

    question = Question(missing, day_of(from_, "--from"), day_of(to, "--to"))
    found = asked(load_settings(config, home), question)
    tell(found, tag_lines(found, rows), as_json)


@commands.command()
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
    tell(found, budgets_lines(found), as_json)


@commands.command()
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
    tell(found, anomalies_lines(found), as_json)
