"""Commands about what would cut the bill.

Belongs here: arguments and what is told. Does not: any work.
"""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.terminal import AsJson, Config, Home, day_of, tell

commands = typer.Typer()


@commands.command()
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
    tell(found, lever_lines(found), as_json)


@commands.command("what-if")
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
    tell(found, reckoning.what_if_lines(found), as_json)


@commands.command("adopt-lever")
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

    day = day_of(adopted_on, "--on")
    assert day is not None
    found = adoption(load_settings(config, home), lever_kind, scope, day)
    tell(found, adoption_lines(found), as_json)
