"""The errors a user can meet. Each says what happened, where, why, and how to mend it.

Belongs here: exception classes and their exit codes. Does not: anything that catches them (pipelines/cli does).
"""

from __future__ import annotations

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_GATE = 3


class ApportionError(Exception):
    """A failure with a remedy.

    Args:
        what: one sentence, what went wrong.
        where: the file, row, source or setting concerned (``None`` where there is no place).
        remedy: what the reader should do next.
    """

    exit_code = EXIT_FAILURE

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        parts = [what]
        if where:
            parts.append(f"  where:  {where}")
        if remedy:
            parts.append(f"  remedy: {remedy}")
        super().__init__("\n".join(parts))


class UsageError(ApportionError):
    """The command line or the settings file is wrong."""

    exit_code = EXIT_USAGE


class GateError(ApportionError):
    """A data gate refused: nothing was published and the last release stands."""

    exit_code = EXIT_GATE


class DeliveryRefused(GateError):
    """A delivery cannot be used: truncated, unreadable money, missing objects, a changed schema."""
