"""How an error of ours ends a Dagster step.

Belongs here: the translation of ApportionError to Failure, and what is tried again. Does not: any error's cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pipelines.errors import ApportionError, GateError, UsageError

# An object store or a telemetry server that does not answer for a minute costs a pause, not the night.
RETRIES = dg.RetryPolicy(max_retries=2, delay=20, backoff=dg.Backoff.EXPONENTIAL)


@contextmanager
def explained() -> Iterator[None]:
    """Let an ApportionError fail the step with its place and remedy. What a repetition cannot mend is not repeated."""
    try:
        yield
    except ApportionError as error:
        told = {"where": error.where, "remedy": error.remedy}
        raise dg.Failure(
            description=str(error),
            metadata={name: text for name, text in told.items() if text},
            allow_retries=not isinstance(error, (GateError, UsageError)),
        ) from error
