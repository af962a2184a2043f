"""Untagged spend: whose it probably is, and why. Every figure is worked beside its row.

Belongs here: the mart over hand-made days, and that its repairs can be pasted. Does not: what a repair does (the models' unit tests).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import yaml

from pipelines.policy import Policy
from pipelines.settings import DEFAULT_POLICY
from tests.empty_warehouse import put

MON, TUE, WED = (dt.date(2026, 10, day) for day in (5, 6, 7))


def row(day: dt.date, dollars: str, *, account: str | None = "1", service: str = "AmazonEC2", credit: str = "0", **values: object) -> dict:
    return {
        "usage_date": day, "source": "aws", "account_id": account, "service": service, "charge_category": "Usage", "is_compute": False,
        "cost_usd": Decimal(dollars) + Decimal(credit), "positive_cost_usd": Decimal(dollars), "negative_cost_usd": Decimal(credit), **values,
    }  # fmt: skip


ROWS = [
    # the pool is tagged on other days: vision 90 of 100
    row(MON, "30", pool="a100", cluster="train", resource_id="i-0aaa1"),
    row(TUE, "12", pool="a100", cluster="train", resource_id="i-0aaa2"),
    row(WED, "90", pool="a100", cluster="train", resource_id="i-0aaa3", team="vision"),
    row(WED, "10", pool="a100", cluster="train", resource_id="i-0aaa4", team="nlp"),
    # a pool of that name in another cluster is another pool: nothing there is tagged, and its account says 50 to 50
    row(WED, "1", account="3", pool="a100", cluster="serve"),
    row(WED, "6", account="3", resource_id="x-1", team="nlp"),
    row(WED, "6", account="3", resource_id="y-1", team="vision"),
    # a workload: its namespace says nlp with 60 of 100
    row(WED, "20", account="4", workload_key="job/x", namespace="research"),
    row(WED, "60", account="4", workload_key="job/y", namespace="research", team="nlp"),
    row(WED, "40", account="4", workload_key="job/z", namespace="research", team="vision"),
    # a bucket: names that begin with nlp-cache- are nlp's with 8 of 10
    row(WED, "5", account="5", resource_id="nlp-cache-1"),
    row(WED, "8", account="5", resource_id="nlp-cache-2", team="nlp"),
    row(WED, "2", account="5", resource_id="nlp-cache-3", team="vision"),
    # a machine whose name says nothing (i-0...): its creator's other machine is nlp's
    row(TUE, "4", account="6", resource_id="i-0bbb1", creator="alice"),
    row(TUE, "7", account="6", resource_id="i-0bbb2", creator="alice", team="nlp"),
    # a service: 19 of 20 of its account are platform's; an account alone is never better than medium. A credit hides nothing
    row(WED, "4", account="2", service="AmazonS3", credit="-3"),
    row(WED, "19", account="2", resource_id="db-1", team="platform"),
    row(WED, "1", account="2", resource_id="db-2", team="nlp"),
    # older than 35 days: 2026-09-02 is the 36th day before (and with) 2026-10-07
    row(dt.date(2026, 9, 2), "1000", resource_id="old"),
]


FOUND: dict[tuple, dict] = {}


@pytest.fixture
def spend(governed) -> dict[tuple, dict]:
    """The mart's rows for the key team, by subject and cluster; computed once."""

    def fill(connection) -> None:
        put(connection, "dim_date", [{"usage_date": day, "month_start": day.replace(day=1)} for day in (MON, TUE, WED)])
        put(connection, "int_resource_days", ROWS, schema="intermediate")

    if not FOUND:
        cursor = governed(fill, select="fct_untagged_spend").execute("from published.fct_untagged_spend where tag_key = 'team'")
        names = [d[0] for d in cursor.description]
        FOUND.update({(r["subject"], r["cluster"]): r for r in (dict(zip(names, values, strict=True)) for values in cursor.fetchall())})
    return FOUND


def test_what_lacks_a_team_is_listed_once_by_what_a_repair_reaches(spend) -> None:
    found = {
        key: (r["subject_type"], r["account_id"], r["cost_usd"], r["positive_cost_usd"], r["negative_cost_usd"]) for key, r in spend.items()
    }
    assert found == {
        ("a100", "train"): ("pool", "1", 42, 42, 0),  # 30 + 12
        ("a100", "serve"): ("pool", "3", 1, 1, 0),
        ("job/x", None): ("workload", "4", 20, 20, 0),
        ("nlp-cache-1", None): ("resource", "5", 5, 5, 0),
        ("i-0bbb1", None): ("resource", "6", 4, 4, 0),
        ("AmazonS3", None): ("service", "2", 1, 4, -3),  # 4 - 3
    }
    pool = spend[("a100", "train")]
    assert (pool["first_missing_date"], pool["last_missing_date"], pool["missing_days"], pool["resource_count"]) == (MON, TUE, 2, 2)


def test_the_closest_group_with_a_majority_says_whose_it_is(spend) -> None:
    columns = ("likely_owner", "likely_owner_basis", "likely_owner_cost_usd", "tagged_cost_usd", "confidence")
    found = {key[0]: tuple(r[c] for c in columns) for key, r in spend.items() if key != ("a100", "serve")}
    assert found == {
        "a100": ("vision", "same_subject", 90, 100, "high"),  # 0.9
        "job/x": ("nlp", "namespace", 60, 100, "low"),  # 0.6
        "nlp-cache-1": ("nlp", "name_prefix", 8, 10, "medium"),  # 0.8
        "i-0bbb1": ("nlp", "creator", 7, 7, "high"),
        "AmazonS3": ("platform", "account", 19, 20, "medium"),  # 0.95, but only an account
    }
    assert spend[("job/x", None)]["likely_owner_share_ratio"] == 0.6
    assert (
        spend[("a100", "train")]["likely_owner_reason"]
        == "90 % of the $100.00 that is tagged on the same pool (aws/1/pool/train/a100) says vision"
    )


def test_below_the_stated_share_nobody_is_guessed(spend) -> None:
    # 6 to 6 in account 3: half is less than 0.6
    row = spend[("a100", "serve")]
    assert (row["likely_owner"], row["confidence"], row["tagged_cost_usd"]) == (None, None, None)
    assert row["likely_owner_reason"] == "no group that it belongs to has 60 % of its tagged dollars under one value"


def test_the_repair_is_pasted_once_its_author_has_filled_it_in(spend) -> None:
    policy = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    entries = [yaml.safe_load(r["repair_entry"])[0] for r in spend.values()]
    for entry in entries:
        with pytest.raises(ValueError, match="placeholder"):
            Policy.model_validate(policy | {"tags_repairs": [entry]})
    known = [entry | {"author": "ada"} for entry in entries if not entry["set"]["team"].startswith("<")]
    repairs = {repair.id: repair for repair in Policy.model_validate(policy | {"tags_repairs": known}).tags_repairs}
    assert len(repairs) == 5
    [pool] = [r for r in repairs.values() if "pool" in r.match]
    assert (pool.match, pool.set, pool.valid_from) == (
        {"pool": ["a100"], "cluster": ["train"], "account_id": ["1"]},
        {"team": "vision"},
        MON,
    )
