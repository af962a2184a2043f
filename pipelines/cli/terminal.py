"""What every command shares: options, how a result and progress are told.

Belongs here: nothing that only one topic's commands need.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.errors import UsageError

Config = Annotated[Path | None, typer.Option("--config", help="Settings file. Default: $APPORTION_CONFIG, else ./apportion.yml.")]
Home = Annotated[Path | None, typer.Option("--home", help="Where everything a run writes lies. Default: $APPORTION_HOME, else ./data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def progress(message: str) -> None:
    """One line of progress on stderr, stamped with UTC."""
    stamp = dt.datetime.now(dt.UTC).strftime("%H:%M:%S")
    print(f"{stamp} {message}", file=sys.stderr, flush=True)


def tell(result: dict[str, Any], lines: list[str], as_json: bool) -> None:
    """The result on stdout: as lines, or as JSON."""
    print(json.dumps(result, indent=1, default=str) if as_json else "\n".join(lines))


def day_of(text: str | None, option: str) -> dt.date | None:
    """The UTC day that an option names."""
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a date", remedy="write it as YYYY-MM-DD (a UTC day)") from None
