"""The command line. Thin: every command calls a function that a test calls too.

Belongs here: which commands there are, exit codes, errors on stderr. Does not: any work, any topic's commands (the modules beside it).
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

import typer

from pipelines.cli import alerting, asking, exporting, history, running, saving, tools
from pipelines.errors import EXIT_FAILURE, ApportionError

app = typer.Typer(
    name="apportion",
    help="What each training run and each 1,000 inferences cost, to the cent, and which dollars bought nothing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for topic in (running, asking, saving, history, exporting, tools):
    app.add_typer(topic.commands)
app.add_typer(exporting.export, name="export")
app.add_typer(alerting.commands, name="alert")


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
