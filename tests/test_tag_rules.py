"""The policy's tag rules: what the file may say, and the relations that SQL reads.

Belongs here: validation and writing. Does not: what a rule does to a charge (the models' unit tests, tests/history/test_tag_repairs.py).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pytest
import yaml
from pydantic import ValidationError

from pipelines.policy import Policy
from pipelines.settings import DEFAULT_POLICY

REPAIR = {
    "id": "r",
    "match": {"pool": "a100"},
    "set": {"team": "NLP "},
    "valid_from": "2026-10-05",
    "reason": "asked them",
    "author": "ada",
}


def policy(**changes: Any) -> Policy:
    document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    document["tags"] |= changes.pop("tags", {})
    return Policy.model_validate(document | changes)


def written(policy: Policy, query: str) -> list[tuple]:
    with duckdb.connect() as connection:
        policy.write(connection)
        return connection.execute(query).fetchall()


def test_rules_with_and_without_days_become_rows() -> None:
    rule = {
        "aliases": ["Team", {"name": "squad", "valid_from": "2026-10-01"}],
        "fold_case": True,
        "values": {
            " OPS": [{"to": "platform", "valid_to": "2026-10-01"}, {"to": "sre", "valid_from": "2026-10-01"}],
            "Cafe\u0301": "kitchen",
        },
    }
    found = policy(tags={"team": rule})
    october = dt.date(2026, 10, 1)
    assert written(found, "select * from policy.tag_aliases where canonical_key = 'team'") == [
        ("team", "team", 0, True, None, None),
        ("team", "squad", 1, True, october, None),
    ]
    # raw values as SQL compares them: without outer blanks, composed (NFC), in lower case
    assert set(
        written(found, "select raw_value, canonical_value, valid_from, valid_to from policy.tag_values where canonical_key = 'team'")
    ) == {
        ("ops", "platform", None, october),
        ("ops", "sre", october, None),
        ("caf\u00e9", "kitchen", None, None),
    }


def test_a_repair_is_a_row_for_each_key_and_combination() -> None:
    repair = REPAIR | {
        "match": {"account_id": ["2", "1"], "resource_id": "i-1"},
        "set": {"team": "NLP ", "model": "Bert"},
        "valid_from": "beginning",
    }
    query = "select canonical_key, canonical_value, valid_from, lead_column, lead_value, resource_id, account_id, pool, matches from policy.tag_repairs order by all"
    matches = '{"account_id": ["1", "2"], "resource_id": ["i-1"]}'
    # team is case folded in the shipped policy, model is not; the most selective column leads
    assert written(policy(tags_repairs=[repair]), query) == [
        (key, value, None, "resource_id", "i-1", "i-1", account, None, matches)
        for key, value in (("model", "Bert"), ("team", "nlp"))
        for account in ("1", "2")
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"valid_from": None}, "valid_from"),
        ({"valid_from": "always"}, "valid_from"),
        ({"valid_to": "2026-10-05"}, "valid_to .exclusive. must be after valid_from"),
        ({"match": {}}, "match"),
        ({"match": {"pool": []}}, "no value for pool"),
        ({"match": {"tag": "x"}}, "Input should be"),
        ({"set": {"run_id": "x"}}, "Input should be"),
        ({"set": {"team": " "}}, "no value for team"),
        ({"set": {"team": "<team>"}}, "placeholder"),
        ({"author": "<your name>"}, "placeholder"),
        ({"reason": ""}, "at least 1 character"),
        ({"match": {"resource_id": [f"i-{n}" for n in range(1001)]}}, "more than 1000 combinations"),
        ({"until": "2026-10-06"}, "Extra inputs"),
    ],
)
def test_a_repair_that_says_too_little_is_refused(change: dict, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        policy(tags_repairs=[REPAIR | change])


def test_a_repair_without_valid_from_does_not_reach_back_by_default() -> None:
    with pytest.raises(ValidationError, match="Field required"):
        policy(tags_repairs=[{key: value for key, value in REPAIR.items() if key != "valid_from"}])


@pytest.mark.parametrize(
    "rule",
    [
        {"aliases": ["team", "TEAM"]},
        {"aliases": [{"name": "team", "valid_to": "2026-10-02"}, {"name": "team", "valid_from": "2026-10-01"}]},
        {"aliases": ["team"], "values": {"ops": "a", "OPS ": "b"}},
    ],
)
def test_two_rules_for_one_name_and_day_are_refused(rule: dict) -> None:
    with pytest.raises(ValidationError, match="stands twice for the same days"):
        policy(tags={"team": rule})


def test_an_alias_may_come_back_and_ids_are_unique() -> None:
    policy(tags={"team": {"aliases": [{"name": "team", "valid_to": "2026-10-01"}, {"name": "team", "valid_from": "2026-10-01"}]}})
    with pytest.raises(ValidationError, match="repair r stands twice"):
        policy(tags_repairs=[REPAIR, REPAIR])


def test_repairs_are_part_of_what_figures_follow_from() -> None:
    assert policy().digest != policy(tags_repairs=[REPAIR]).digest
