"""The rest of a cluster's bill, end to end: control plane, disks, load balancer, registry and support are joined to clusters and teams and
handed out by the policy's zero-sum rules. Every figure is worked by hand.

Node a (2 GPUs, $8, held by run `red-1` of team red) and node b (1 GPU, $2, held by `blue-1` of team blue) are in cluster `train` for one hour.

| charge | dollars | rule | red-1 | blue-1 | else |
|---|---|---|---|---|---|
| control plane of train | 0.10 | own cost, 8 : 2 | 0.08 | 0.02 | |
| control plane of dev | 0.10 | own cost, but nobody is in dev | | | 0.10 stays |
| two disks of train | 1.00 + 2.00 | even | 1.50 | 1.50 | |
| load balancer of train | 1.00 | GPU-hours, 2 : 1 | 0.666666666667 | 0.333333333333 | |
| registry | 0.70 | owner: team platform | | | 0.70 platform |
| support | 5.00 | fixed 60 : 40 | | | 3.00 red, 2.00 blue |
| tax | 4.00 | none | | | 4.00 stays |
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.errors import UsageError
from pipelines.policy import load_policy
from pipelines.settings import DEFAULT_POLICY
from tests.oracle import files
from tests.oracle.night import RELEASE_STAGES, Bench

pytestmark = pytest.mark.slow
DAY = dt.date(2026, 10, 5)
TEN = int(dt.datetime(2026, 10, 5, 10, tzinfo=dt.UTC).timestamp())
RULES: list[dict[str, Any]] = [
    {"id": "control_plane", "match": {"service": ["AmazonEKS"], "cluster": ["*"]}, "to": "workload", "within": ["cluster"], "by": "cost"},
    {"id": "disks", "match": {"cluster": ["train"], "line_item_type": ["Usage"], "service": ["AmazonEBS"]}, "to": "workload", "within": ["cluster"],
     "by": "even"},
    {"id": "network", "match": {"service": ["AWSELB"]}, "to": "workload", "within": ["cluster"], "by": "gpu_hours"},
    {"id": "registry", "match": {"service": ["AmazonECR"]}, "to": "team", "by": "fixed", "shares": {"platform": 1}},
    {"id": "support", "match": {"service": ["AWSSupportEnterprise"]}, "to": "team", "by": "fixed", "shares": {"red": 60, "blue": 40}},
    # comes too late for the disks, and would take them too
    {"id": "everything_else", "match": {"service": ["AmazonEBS"]}, "to": "team", "by": "even"},
]  # fmt: skip


def _line(number: int, product: str, cost: str, resource: str = "", cluster: str = "", **values: Any) -> dict[str, Any]:
    return {
        "identity_line_item_id": f"line-{number}", "bill_payer_account_id": "111122223333", "bill_billing_period_start_date": "2026-10-01T00:00:00Z",
        "line_item_usage_account_id": "444455556666", "line_item_line_item_type": "Usage", "line_item_usage_start_date": files.utc(TEN),
        "line_item_usage_end_date": files.utc(TEN + 3600), "line_item_product_code": product, "line_item_operation": "Use",
        "line_item_resource_id": resource, "line_item_usage_type": "Hours", "line_item_usage_amount": "1", "line_item_currency_code": "USD",
        "line_item_unblended_cost": cost, "resource_tags": {"user_eks_cluster_name": cluster} if cluster else {},
    } | values  # fmt: skip


def _write(folder: Path) -> None:
    instance = {"line_item_operation": "RunInstances", "line_item_usage_type": "BoxUsage:p4d.24xlarge"}
    rows = [
        _line(1, "AmazonEC2", "8", "i-a", **instance), _line(2, "AmazonEC2", "2", "i-b", **instance),
        _line(3, "AmazonEKS", "0.10", "arn:cluster/train", "train"), _line(4, "AmazonEKS", "0.10", "arn:cluster/dev", "dev"),
        _line(5, "AmazonEBS", "1.00", "vol-1", "train"), _line(6, "AmazonEBS", "2.00", "vol-2", "train"),
        _line(7, "AWSELB", "1.00", "arn:lb/1", "train"), _line(8, "AmazonECR", "0.70", "arn:repository/1"),
        _line(9, "AWSSupportEnterprise", "5.00", line_item_line_item_type="Support"),
        _line(10, "AmazonEC2", "4.00", line_item_line_item_type="Tax"),
    ]  # fmt: skip
    files.write_bill(folder / "bill", rows)
    columns = ("hostname", "provider", "resource_id", "gpu_count", "pool", "cluster", "valid_from", "valid_to")
    hours = (files.utc(TEN), files.utc(TEN + 3600))
    files.write_csv(
        folder / "nodes" / "nodes.csv",
        columns,
        [["a", "aws", "i-a", 2, "gpu", "train", *hours], ["b", "aws", "i-b", 1, "gpu", "train", *hours]],
    )
    columns = ("workload_type", "workload_id", "attempt_id", "started_at", "ended_at", "hostname", "gpu_count", "label_team")
    files.write_csv(
        folder / "workloads" / "intervals.csv",
        columns,
        [["training_run", "red-1", "1", *hours, "a", 2, "red"], ["training_run", "blue-1", "1", *hours, "b", 1, "blue"]],
    )
    policy = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8")) | {"distribution": RULES}
    (folder / "policy.yml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    files.write_settings(folder, [])
    with (folder / "apportion.yml").open("a", encoding="utf-8") as settings:
        settings.write("policy: policy.yml\n")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("distribution")
    _write(folder)
    made = Bench(tmp_path_factory.mktemp("bench"))
    made.night(folder, "night", DAY, stages=RELEASE_STAGES)
    return made


def test_a_run_is_fully_loaded_with_what_the_rules_hand_it(bench: Bench) -> None:
    rows = bench.read("night", "select run_id, run_cost_usd, distributed_cost_usd, fully_loaded_usd from published.fct_run_cost order by 1")
    assert rows == [
        ("blue-1", Decimal(2), Decimal("1.853333333333"), Decimal("3.853333333333")),
        ("red-1", Decimal(8), Decimal("2.246666666667"), Decimal("10.246666666667")),
    ]


def test_every_rule_hands_out_what_the_table_says(bench: Bench) -> None:
    received = bench.read(
        "night",
        "select rule_id, coalesce(workload_key, team), effective_cost from published.fct_cost_allocation"
        " where stage = 'distributed' and bucket_key = distribution_key order by 1, 2",
    )
    assert received == [
        ("control_plane", "training_run/blue-1", Decimal("0.02")),
        ("control_plane", "training_run/red-1", Decimal("0.08")),
        ("disks", "training_run/blue-1", Decimal("1.5")),
        ("disks", "training_run/red-1", Decimal("1.5")),
        ("network", "training_run/blue-1", Decimal("0.333333333333")),
        ("network", "training_run/red-1", Decimal("0.666666666667")),
        ("registry", "platform", Decimal("0.7")),
        ("support", "blue", Decimal(2)),
        ("support", "red", Decimal(3)),
    ]


def test_the_sum_is_the_bill_and_what_no_rule_takes_stays(bench: Bench) -> None:
    assert bench.read("night", "select sum(effective_cost), sum(billed_cost) from published.fct_cost_allocation") == [
        (Decimal("23.9"),) * 2
    ]
    by_stage = (
        "select stage, sum(effective_cost), sum(billed_cost), sum(list_cost) from published.fct_cost_allocation group by 1 order by 1"
    )
    assert [row[1:3] for row in bench.read("night", by_stage)] == [(Decimal("23.9"),) * 2, (0, 0)]
    left = bench.read(
        "night",
        "select service, cluster, cost_class, sum(effective_cost) from published.fct_cost_allocation where workload_key is null and team is null"
        " group by all having sum(effective_cost) <> 0 order by all",
    )
    assert left == [("AmazonEC2", None, "tax_and_fees", Decimal(4)), ("AmazonEKS", "dev", "unattributed", Decimal("0.1"))]


def test_dollars_that_nobody_could_receive_are_told(bench: Bench) -> None:
    rows = bench.read(
        "night", "select subject, measured_value from published.fct_data_quality where measure = 'distribution_pools_without_recipient'"
    )
    assert rows == [("control_plane", 1)]


def test_a_charge_knows_its_cluster_by_its_tag_or_its_node(bench: Bench) -> None:
    rows = bench.read(
        "night",
        "select resource_id, node, cluster, pool from published.fct_cost_allocation where stage = 'allocated' and cluster = 'train' order by 1",
    )
    assert rows == [
        ("arn:cluster/train", None, "train", None),
        ("arn:lb/1", None, "train", None),
        ("i-a", "a", "train", "gpu"),
        ("i-b", "b", "train", "gpu"),
        ("vol-1", None, "train", None),
        ("vol-2", None, "train", None),
    ]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"shares": {"red": 1}}, "shares belong to `by: fixed`"),
        ({"by": "fixed"}, "shares belong to `by: fixed`"),
        ({"by": "fixed", "shares": {"red": -1}}, "shares are greater than 0"),
        ({"by": "fixed", "shares": {"red": "0.0000001"}}, "at most six decimals"),
        ({"match": {}}, "distribution.0.match"),
        ({"match": {"service": []}}, "no value for service"),
        ({"match": {"colour": ["red"]}}, "distribution.0.match.colour"),
        ({"valid_from": "2026-10-05", "valid_to": "2026-10-05"}, "must be after valid_from"),
        ({"id": "No Spaces"}, "distribution.0.id"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_name(tmp_path: Path, rule: dict[str, Any], told: str) -> None:
    good = {"id": "r", "match": {"service": ["S3"]}, "to": "team", "by": "even"}
    policy = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    path = tmp_path / "policy.yml"
    path.write_text(yaml.safe_dump(policy | {"distribution": [good | rule]}), encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        load_policy(path)
    path.write_text(yaml.safe_dump(policy | {"distribution": [good, good]}), encoding="utf-8")
    with pytest.raises(UsageError, match="rule r stands twice"):
        load_policy(path)


def test_the_policy_and_the_models_ask_for_the_same_columns() -> None:
    from typing import get_args

    from pipelines.policy import DISTRIBUTION_SCOPES, DistributionColumn

    macros = (Path(DEFAULT_POLICY).parent / "dbt_project" / "macros" / "ledger.sql").read_text(encoding="utf-8")

    def listed(name: str) -> tuple[str, ...]:
        text = macros[macros.index(f"macro {name}()") :]
        return tuple(yaml.safe_load(text[text.index("[") : text.index("]") + 1]))

    assert listed("distribution_conditions") == get_args(DistributionColumn)
    assert listed("distribution_scopes") == DISTRIBUTION_SCOPES
