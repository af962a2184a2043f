"""Commands beside the nights: recording a machine, dbt by hand, the version.

Belongs here: arguments and what is told. Does not: any work.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipelines import __version__
from pipelines.cli.terminal import AsJson, Config, Home, progress, tell

commands = typer.Typer()


@commands.command("record-gpu")
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
    tell(result, record_lines(result), as_json)


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dbt(context: typer.Context, config: Config = None, home: Home = None) -> None:
    """Run dbt on the warehouse with the environment that the project needs, e.g. `apportion dbt -- docs generate`."""
    from pipelines import dbt as dbt_module
    from pipelines.settings import load_settings

    os.environ.update(dbt_module.environment(load_settings(config, home)))
    folders = ["--project-dir", str(dbt_module.PROJECT), "--profiles-dir", str(dbt_module.PROJECT)]
    os.execvp("dbt", ["dbt", *context.args, *folders])  # noqa: S606, S607


@commands.command()
def version() -> None:
    """Print the version."""
    print(__version__)
