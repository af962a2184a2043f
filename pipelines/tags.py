"""How much of the spend has an owner, what lacks one, whose it probably is, and which guardrails are broken: read from the published file.

Belongs here: the queries of `apportion tags` and their wording. Does not: any figure that is not published, any guess (fct_untagged_spend).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipelines.errors import UsageError
from pipelines.report import open_release, usd
from pipelines.rows import rows_of
from pipelines.settings import Settings
from pipelines.tag_rules import REPAIRED_KEYS


@dataclass(frozen=True)
class Question:
    """Which key is missing (None: all), over which days coverage is summed (both included; None: all published ones)."""

    missing: str | None = None
    first: dt.date | None = None
    last: dt.date | None = None

    def check(self) -> None:
        """UsageError where no such key can be missing."""
        if self.missing is not None and self.missing not in REPAIRED_KEYS:
            raise UsageError(f"--missing {self.missing}: no such key", remedy=f"one of {', '.join(REPAIRED_KEYS)}")


def tags(settings: Settings, question: Question) -> dict[str, Any]:
    """Coverage by key and evidence level, untagged spend by key (dearest first), repairs with what they moved, broken guardrails.

    Dollars are effective cost before distribution; untagged spend and guardrails look at the last 35 published days. Raises UsageError for an
    unknown key, or where no day of the span is published.
    """
    question.check()
    values = {"first": question.first, "last": question.last}
    span = "($first is null or usage_date >= $first) and ($last is null or usage_date <= $last)"
    wanted = {"key": question.missing}
    with open_release(settings) as connection:
        (days,) = rows_of(
            connection,
            f"select min(usage_date) as first_day, max(usage_date) as last_day from dim_date where {span}",  # noqa: S608
            values,
        )
        if days["first_day"] is None:
            raise UsageError("no day of this span is published", remedy="ask for days that `apportion nightly` has computed")
        return {
            **days,
            "missing": question.missing,
            "coverage": rows_of(
                connection,
                "select tag_key, evidence_level, sum(cost_usd) as cost_usd, sum(positive_cost_usd) as positive_cost_usd,"  # noqa: S608
                " sum(negative_cost_usd) as negative_cost_usd, sum(charge_count)::bigint as charge_count from fct_tag_coverage"
                f" where {span} and ($key is null or tag_key = $key) group by all order by tag_key, positive_cost_usd desc, evidence_level",
                values | wanted,
            ),
            "untagged": rows_of(
                connection,
                "select * from fct_untagged_spend where $key is null or tag_key = $key"
                " order by tag_key, positive_cost_usd desc, subject_type, subject, account_id, source, cluster, charge_category",
                wanted,
            ),
            "repairs": rows_of(
                connection,
                "select rule_name, canonical_key, canonical_value, valid_from, valid_to, is_override, author, reason, repaired_positive_cost_usd,"
                " repaired_cost_usd, first_usage_date, last_usage_date from dim_tag_policy where rule_kind = 'repair'"
                " and ($key is null or canonical_key = $key) order by repaired_positive_cost_usd desc, rule_name, canonical_key",
                wanted,
            ),
            "guardrails": rows_of(
                connection,
                "select * from fct_guardrail_violation where $key is null or tag_key = $key"
                " order by action, verdict, cost_usd desc, guardrail_id, subject, tag_key",
                wanted,
            ),
        }


def tag_lines(found: dict[str, Any], rows: int = 10) -> list[str]:
    """The answer in words; at most ``rows`` untagged subjects of each key and ``rows`` violations (0: all)."""
    return [
        f"{found['first_day']} to {found['last_day']}: dollars above 0, before distribution, by where the tag is from",
        *_coverage(found["coverage"]),
        *_untagged(found["untagged"], rows),
        *_repairs(found["repairs"]),
        *_guardrails(found["guardrails"], rows),
    ]


def _coverage(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for key in dict.fromkeys(row["tag_key"] for row in rows):
        mine = [row for row in rows if row["tag_key"] == key]
        total = sum((row["positive_cost_usd"] for row in mine), Decimal(0))
        missing = sum((row["positive_cost_usd"] for row in mine if row["evidence_level"] == "missing"), Decimal(0))
        charges, without = sum(r["charge_count"] for r in mine), sum(r["charge_count"] for r in mine if r["evidence_level"] == "missing")
        share = f"{(total - missing) / total:.1%}" if total else "-"
        lines.append(
            f"\n{key}: {share} of {usd(total)} has one; {usd(missing)} has none; {charges - without} of {charges} charges wholly have one"
        )
        lines += [f"  {row['evidence_level']:<22}{usd(row['positive_cost_usd']):>16}" for row in mine]
        if credit := sum((row["negative_cost_usd"] for row in mine if row["evidence_level"] == "missing"), Decimal(0)):
            lines.append(f"  credits without one   {usd(credit):>16}")
    return lines


def _untagged(rows: list[dict[str, Any]], limit: int) -> list[str]:
    lines = []
    for key in dict.fromkeys(row["tag_key"] for row in rows):
        mine = [row for row in rows if row["tag_key"] == key]
        shown = mine[: limit or None]
        lines += ["", f"Without a {key} in the last 35 days, the dearest {len(shown)} of {len(mine)}"]
        for row in shown:
            owner = f"probably {row['likely_owner']} ({row['confidence']})" if row["likely_owner"] else "nobody likely"
            span = f"{row['first_missing_date']} to {row['last_missing_date']}"
            lines += [
                f"  {usd(row['positive_cost_usd']):>14}  {row['subject_type']} {row['subject']}  {span}: {owner}",
                f"{'':18}{row['likely_owner_reason']}",
                f"{'':18}{row['repair_entry']}",
            ]
    return lines


def _repairs(rows: list[dict[str, Any]]) -> list[str]:
    told = [
        f"  {usd(row['repaired_positive_cost_usd']):>14}  {row['rule_name']}: {row['canonical_key']} = {row['canonical_value']} from"
        f" {row['valid_from'] or 'the beginning'}, by {row['author']}"
        for row in rows
    ]
    return ["", "Repairs, and the dollars that they moved", *told] if told else []


def _guardrails(rows: list[dict[str, Any]], limit: int) -> list[str]:
    broken, unknown = [r for r in rows if r["verdict"] == "broken"], [r for r in rows if r["verdict"] == "unknown"]
    shown = broken[: limit or None]
    told = [
        f"  {usd(row['cost_usd']):>14}  {row['guardrail_id']} ({row['action']}): {row['subject']}, {row['measured']}; {row['threshold']};"
        f" {row['since_date']} to {row['last_date']}{'' if row['is_current'] else ', not any more'}\n{'':18}{row['remedy']}"
        for row in shown
    ]
    lines = ["", f"Guardrails broken in the last 35 days, the dearest {len(shown)} of {len(broken)}", *told] if told else []
    if unknown:
        lines += [
            "",
            f"Not judged, because the bill does not say: {usd(sum((r['cost_usd'] for r in unknown), Decimal(0)))} on {len(unknown)} subject(s)",
        ]
    return lines
