"""What the tables and columns of history.duckdb mean: comments in the file, and the page docs/history.md.

Belongs here: words. Does not: how a table is made (database.py, revisions.sql).
"""

from __future__ import annotations

# table -> (description, column -> description)
DESCRIPTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "releases": (
        "Grain: publication. What was current from valid_from until valid_to.",
        {
            "release_id": "the release; the same content published again later has the same id and another sequence",
            "sequence": "1, 2, 3, ...: the order of publication",
            "published_at": "when it became current, UTC",
            "replaced_at": "when the next one did, UTC; NULL for the current release",
            "code_digest": "what its figures were computed by",
            "policy_digest": "the policy that they were computed under",
            "first_day": "the first published UTC day",
            "last_day": "the last published UTC day",
            "day_count": "how many days are published",
        },
    ),
    "release_days": (
        "Grain: published file x time in which it was current. Bitemporal: usage_date is when it was used, valid_from to valid_to when we said so.",
        {
            "usage_date": "the UTC day whose rows the file holds; NULL for a table that is published as a whole",
            "table_name": "the published table",
            "sha256": "digest of the file's bytes: history/objects/<sha256>.parquet",
            "row_count": "rows in it; NULL for meta_publication",
            "valid_from": "when it became current, UTC",
            "valid_to": "when another version replaced it, or it went, UTC; NULL while it is current",
            "from_release_id": "the release that brought it",
            "to_release_id": "the release that replaced it; NULL while it is current",
            "from_sequence": "the sequence of the release that brought it",
            "last_sequence": "the sequence of the last release that has it",
        },
    ),
    "restatements": (
        "Grain: publication x day x source x account x team x cause. What moved against the publication before it, in US dollars; the moves of a"
        " publication sum to the difference of the two ledgers exactly.",
        {
            "from_release_id": "the release before",
            "to_release_id": "the release that restated it",
            "from_sequence": "its sequence",
            "to_sequence": "its sequence",
            "published_at": "when the restatement was published, UTC",
            "usage_date": "the UTC day whose figures moved",
            "source": "the source of the charges",
            "account_id": "the account of the charges",
            "team": "the team that bears them, before or after",
            "cause": "why: first_published, late_usage, removed_usage, price_change, credit, correction, tax_and_fees, commitment_reapplied,"
            " tag_change, invoice_assigned, telemetry_change, redistributed, policy_change, code_change, withdrawn",
            "day_count": "always 1",
            "old_rows": "ledger rows concerned before",
            "new_rows": "ledger rows concerned after",
            "billed_move_usd": "billed cost: after minus before",
            "effective_move_usd": "effective cost: after minus before",
            "list_move_usd": "list cost: after minus before, where it is known",
            "gross_move_usd": "effective cost that changed its bearer or amount: the sum of absolute moves by workload and class",
        },
    ),
    "revision_expectations": (
        "Grain: provider x age of a day in days when it was published. How much such figures moved until the day had settled.",
        {
            "provider": "the cloud",
            "age_days": "days from the usage day to the UTC day of publication",
            "observation_count": "settled days that were published at this age",
            "undefined_count": "such days whose figure was 0: no ratio can be formed, they are not in the quantiles",
            "revision_p50_ratio": "median of latest figure / figure at this age - 1: an observed value (lower rank); NULL with a reason",
            "revision_p90_ratio": "the observed value that 90 % of the revisions did not exceed; signed; NULL with a reason",
            "reason": "why there is none",
            "back_test_count": "figures that were foretold from the days that had settled before them",
            "back_test_coverage_ratio": "part of them whose revision stayed at or below the foretold p90; NULL where none could be foretold",
        },
    ),
    "provisional_figures": (
        "Grain: day x source of the current release whose bill is not final, with the revision that history makes likely.",
        {
            "usage_date": "the UTC day",
            "source": "the source of the charges",
            "provider": "the cloud",
            "age_days": "days from the usage day to the UTC day of the last publication",
            "effective_cost_usd": "effective cost as published",
            "expected_revision_p50_usd": "effective cost times the provider's median revision at this age; an estimate; NULL with a reason",
            "expected_revision_p90_usd": "the same with the ninth decile; the p90 of a sum is less than the sum of these",
            "observation_count": "settled days behind the estimate",
            "reason": "why there is no estimate",
            "back_test_count": "figures of this provider and age that were foretold in the back-test",
            "back_test_coverage_ratio": "part of them that stayed at or below the foretold p90",
        },
    ),
}
