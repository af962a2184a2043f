"""The two gates of a night: at the door (what came in) and at the exit (what would go out).

Belongs here: running the suites of ``expectations/`` and what their outcome does to the night. Does not: what good data looks like.

Great Expectations is trusted no further than it can be counted: a suite without expectations, an expectation that was not
evaluated or that raised, and a tolerance (`mostly`) are failures here, not successes.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import ApportionError, GateError
from pipelines.published_tables import published_tables
from pipelines.release import standing_release
from pipelines.settings import Settings
from pipelines.source import Delivery, Window
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from expectations import TableSuite
    from expectations.engine import Validator

EXAMPLES = 5


@dataclass(frozen=True)
class CheckResult:
    """One expectation's outcome. ``raised``: why it could not be evaluated, ``None`` where it was."""

    suite: str
    expectation: str
    column: str | None
    severity: str
    success: bool
    unexpected_count: int | None = None
    examples: tuple[dict[str, Any], ...] = ()
    raised: str | None = None

    def __str__(self) -> str:
        """One line; text from the data is escaped."""
        parts = [f"{self.suite}: {self.expectation}"]
        if self.column and self.column not in self.expectation:
            parts.append(f"column {self.column}")
        if self.raised:
            parts.append(f"could not be evaluated: {self.raised}")
        if self.unexpected_count:
            parts.append(f"{self.unexpected_count} unexpected")
        if self.examples:
            parts.append("for example " + ", ".join(json.dumps(example, default=str) for example in self.examples))
        return "; ".join(parts)


@dataclass(frozen=True)
class CheckReport:
    """A gate's results. ``standing_release``: what BI reads meanwhile."""

    gate: str
    results: tuple[CheckResult, ...]
    standing_release: str | None

    @property
    def critical(self) -> list[CheckResult]:
        """Failures that block."""
        return [r for r in self.results if not r.success and r.severity == "critical"]

    @property
    def warnings(self) -> list[CheckResult]:
        """Failures that are told."""
        return [r for r in self.results if not r.success and r.severity != "critical"]

    def raise_for_critical(self) -> None:
        """Raise GateError where a critical expectation failed."""
        if not self.critical:
            return
        stands = f"release {self.standing_release} stands" if self.standing_release else "nothing has been published before"
        raise GateError(
            f"the gate at the {self.gate} refused: " + "\n    ".join(str(result) for result in self.critical),
            where=", ".join(dict.fromkeys(result.suite for result in self.critical)),
            remedy=f"correct the rows named above at their source and run the night again; nothing was published, {stands}",
        )


def run_door(settings: Settings, deliveries: Sequence[Delivery], window: Window) -> CheckReport:
    """Check the raw relations; no connection may be open to the warehouse.

    Args:
        deliveries: every delivery that counts (the raw relations may show some of them only).
        window: the days that the night asks for; those of them that are not dirty need no rows.
    """
    from expectations.doors.shared import Delivered, Door
    from expectations.raw import raw_suites

    with connect(settings, read_only=True) as connection:
        dirty = {day for (day,) in connection.execute("select usage_date from ops.dirty_days").fetchall()}
        rated = connection.execute("select distinct currency from raw.currency_rates__rates where currency <> 'USD' order by 1").fetchall()
    days = tuple(day for day in window.days() if day in dirty)
    delivered: dict[str, dict[str, Delivered]] = {}
    for delivery in deliveries:
        is_needed = delivery.covers is not None and any(delivery.covers[0] <= day <= delivery.covers[1] for day in days)
        rows: dict[str, int] = {}
        for file in delivery.files:
            rows[file.table] = rows.get(file.table, 0) + file.rows
        for table, count in rows.items():
            if count:
                delivered.setdefault(f"{delivery.kind}__{table}", {})[delivery.delivery_id] = Delivered(count, is_needed)
    expects_telemetry = "dcgm" in {d.kind for d in deliveries} | {str(entry.get("kind")) for entry in settings.values.sources}
    door = Door(("USD", *(name for (name,) in rated)), days, delivered, expects_telemetry)
    return run_suites(settings, "door", raw_suites(door))


def run_exit(settings: Settings, dirty_days: Collection[dt.date]) -> CheckReport:
    """Check the schema ``published`` for ``dirty_days``; no connection may be open to the warehouse."""
    from expectations.grains import GRAINS
    from expectations.published import published_suites

    with connect(settings, read_only=True) as connection:
        tables = published_tables(connection)
    if unknown := sorted({table.name for table in tables} - GRAINS.keys()):
        raise GateError(
            f"table {unknown[0]} has no expectations",
            where=f"published.{unknown[0]}",
            remedy="state its grain in expectations/grains.py",
        )
    return run_suites(settings, "exit", published_suites(tables, dirty_days))


def run_suites(settings: Settings, gate: str, suites: Sequence[TableSuite]) -> CheckReport:
    """Run ``suites`` against the warehouse, pushed down to SQL."""
    results: list[CheckResult] = []
    if suites:
        from expectations.engine import open_validator

        with open_validator(settings) as validator:
            for suite in suites:
                results += _run(validator, suite)
    return CheckReport(gate, tuple(results), standing_release(settings))


def _run(validator: Validator, suite: TableSuite) -> list[CheckResult]:
    """Every expectation of one suite, in its order; what keeps the suite from being evaluated in full is a failure of its own."""
    declared = list(suite.expectations)
    if not declared:
        return [_failure(suite, "the suite has expectations", "it is empty, and an empty suite proves nothing")]
    tolerant = [e for e in declared if getattr(e, "mostly", 1) != 1]
    if tolerant:
        return [_failure(suite, _title(e), "it tolerates failures (mostly)") for e in tolerant]
    for number, expectation in enumerate(declared):
        expectation.meta = {**(expectation.meta or {}), "number": number}
    try:
        batch = validator.batch(suite.name, suite.query)
        outcomes = _validate(batch, suite, declared, "BOOLEAN_ONLY")
        failed = [e for e in declared if not _passed(outcomes.get(e.meta["number"])) and not _raised(outcomes.get(e.meta["number"]))]
        # only what failed is asked for its rows; own SQL gives them in full format alone
        own = [e for e in failed if "unexpected_rows_query" in type(e).__fields__]
        listed = [e for e in failed if e not in own]
        told = (_validate(batch, suite, own, "COMPLETE") if own else {}) | (_validate(batch, suite, listed, "SUMMARY") if listed else {})
    except Exception as error:  # whatever the validator raises: a gate that cannot look does not open
        return [_failure(suite, "the suite can be evaluated", _first_line(str(error)))]
    results = [_result(suite, e, outcomes.get(e.meta["number"]), told.get(e.meta["number"])) for e in declared]
    if len(outcomes) != len(declared):
        results.append(_failure(suite, "every expectation is evaluated", f"{len(outcomes)} of {len(declared)} were"))
    return results


def _validate(batch: Any, suite: TableSuite, expectations: Sequence[Any], result_format: str) -> dict[int, Any]:
    """Results by the expectation's number, of those that the validator says it evaluated."""
    import great_expectations as gx

    wanted: dict[str, Any] = {"result_format": result_format, "partial_unexpected_count": EXAMPLES}
    if result_format == "SUMMARY":
        wanted["unexpected_index_column_names"] = list(suite.example_columns)
    outcome = batch.validate(gx.ExpectationSuite(name=suite.name, expectations=list(expectations)), result_format=wanted)
    if outcome.statistics["evaluated_expectations"] != len(outcome.results):
        raise ApportionError(f"{outcome.statistics['evaluated_expectations']} expectations evaluated, {len(outcome.results)} results")
    return {result.expectation_config.meta["number"]: result for result in outcome.results}


def _result(suite: TableSuite, expectation: Any, outcome: Any, told: Any) -> CheckResult:
    raised = "it has no result" if outcome is None else _raised(outcome)
    # what could not be evaluated blocks, however mild the expectation: nobody knows what it would have found
    severity = "critical" if raised else str(getattr(expectation.severity, "value", expectation.severity))
    count, examples = _rows(told)
    column = (expectation.meta or {}).get("column") or getattr(expectation, "column", None)
    return CheckResult(suite.name, _title(expectation), column, severity, _passed(outcome) and not raised, count, examples, raised)


def _rows(told: Any) -> tuple[int | None, tuple[dict[str, Any], ...]]:
    """How many rows failed, and some of them."""
    if told is None or not told.result:
        return None, ()
    found = told.result
    if "details" in found and "unexpected_rows" in found["details"]:
        return found["observed_value"], tuple(found["details"]["unexpected_rows"][:EXAMPLES])
    examples = found.get("partial_unexpected_index_list") or [{"value": value} for value in found.get("partial_unexpected_list") or []]
    if not examples and "observed_value" in found:
        examples = [{"observed_value": found["observed_value"]}]
    return found.get("unexpected_count"), tuple(examples[:EXAMPLES])


def _passed(outcome: Any) -> bool:
    return outcome is not None and outcome.success is True


def _raised(outcome: Any) -> str | None:
    """The message of the exception behind a result: told either once, or once per metric."""
    told = (outcome.exception_info if outcome is not None else None) or {}
    for info in [told, *(value for value in told.values() if isinstance(value, dict))]:
        if info.get("raised_exception"):
            return _first_line(str(info.get("exception_message")))
    return None


def _title(expectation: Any) -> str:
    return str((expectation.meta or {}).get("title") or expectation.expectation_type)


def _failure(suite: TableSuite, expectation: str, why: str) -> CheckResult:
    return CheckResult(suite.name, expectation, None, "critical", False, raised=why)


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] if lines else "unknown reason"
