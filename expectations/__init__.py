"""What good data looks like: Great Expectations suites as Python objects.

Belongs here: what must be true of a relation, and how bad it is when it is not. Does not: when the checks run and what a failure
does (pipelines/checks.py). Great Expectations is imported inside functions only: it is the slowest import of all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before any suite imports Great Expectations

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class TableSuite:
    """What must be true of one relation.

    name: what a failure is reported under. query: the rows that are checked, as SQL.
    example_columns: the columns that tell a reader which row is meant.
    """

    name: str
    query: str
    expectations: Sequence[Expectation]
    example_columns: tuple[str, ...] = ()


def no_rows(title: str, query: str, *, column: str | None = None, severity: Severity = "critical") -> Expectation:
    """An expectation that ``query`` finds nothing; the rows it finds are the examples. ``{batch}`` stands for the checked rows."""
    import great_expectations.expectations as gxe

    return gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, severity=severity, meta=_meta(title, column))


def none_where(title: str, condition: str, shown: str, *, column: str | None = None, severity: Severity = "critical") -> Expectation:
    """An expectation that ``condition`` holds for no checked row; ``shown``: the columns of an example."""
    return no_rows(title, f"select {shown} from {{batch}} where {condition}", column=column, severity=severity)  # noqa: S608


def _meta(title: str, column: str | None) -> dict[str, Any]:
    return {"title": title, "column": column}


def literal(text: str) -> str:
    """A SQL string literal inside a ``no_rows`` query, where braces are placeholders."""
    return "'" + text.replace("'", "''").replace("{", "{{").replace("}", "}}") + "'"
