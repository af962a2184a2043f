"""Real legacy bills through whole nights: a month before and after it became final, what moved between the two releases, and a month of 1,281 lines.

aws_2023-06-01-not-final.csv, aws_2023-06-01.csv: three hours of an m5.large covered by a Savings Plan, 10 NOK each at list and unblended, 0.1 NOK
each by the plan. Neither negation nor fee is in the file: the 30 NOK of usage are not billed, and the policy has to let such an export
through. One krone is taken at $0.093 (chosen for this test): source 30 NOK, billed 0, effective 3 x 0.1 x 0.093 = $0.0279, list
30 x 0.093 = $2.79, cash (net) $2.79. The final file has the invoice 987654321, and the accounts with two leading zeros: no dollar moves.

legacy_cur_anon_2023-11_daily.csv: 1,281 lines of 1 to 14 November 2023, $1.6823086974 of which 0.08 tax (12 lines, of the month as a whole: on its
first day); S3 1.4405653565 (1.3705653565 and 0.07 tax), KMS 0.2405555574. No invoice: provisional.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import nightly
from pipelines.errors import ApportionError
from pipelines.history.archive import archived
from pipelines.history.finding import pair
from pipelines.history.restatement import compare
from pipelines.settings import DEFAULT_POLICY, load_settings
from tests.real.conftest import Published
from tests.real.test_cur_legacy import REPORT

pytestmark = pytest.mark.real
JUNE = dt.date(2023, 6, 1)


def deliver(folder: Path, content: bytes, assembly: str, period: str, example: dict[str, Any]) -> None:
    """One assembly of a legacy report, and the manifest above it."""
    first, after = period.split("-")
    key = f"{REPORT}/{period}/{assembly}/{REPORT}-1.csv"
    span = {"start": f"{first}T000000.000Z", "end": f"{after}T000000.000Z"}
    path = folder / "bill" / key
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    manifest = json.dumps({**example, "assemblyId": assembly, "reportKeys": [key], "billingPeriod": span})
    (path.parent.parent / f"{REPORT}-Manifest.json").write_text(manifest)


def configure(folder: Path, unmatched_negation: str = "warn") -> Any:
    """Settings of a company with that bill, a dated krone, and a policy that says what to do about missing negations."""
    policy = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    policy["attribution"]["unmatched_negation"] = unmatched_negation
    (folder / "policy.yml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    (folder / "rates").mkdir(exist_ok=True)
    (folder / "rates" / "rates.csv").write_text("currency,rate_to_usd,valid_from\nNOK,0.093,2023-06-01\n")
    sources = [
        {"name": "bill", "kind": "aws_cur", "location": "./bill", "export": REPORT, "report_format": "legacy"},
        {"name": "kroner", "kind": "currency_rates", "location": "./rates"},
    ]
    (folder / "apportion.yml").write_text(yaml.safe_dump({"sources": sources, "policy": "policy.yml"}), encoding="utf-8")
    return load_settings(folder / "apportion.yml", folder / "home")


@pytest.fixture(scope="module")
def example(real_data: Path) -> dict[str, Any]:
    return json.loads((real_data / "cur_legacy" / "legacy_cur_Manifest_example.json").read_text())


@pytest.fixture(scope="module")
def june(real_data: Path, example: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[dict[str, Any]]]:
    """Two nights, before and after the bill became final: the settings, and each night's reconciliation."""
    folder = tmp_path_factory.mktemp("june")
    settings = configure(folder)
    reconciled = []
    for assembly, name in (("assembly-1", "aws_2023-06-01-not-final.csv"), ("assembly-2", "aws_2023-06-01.csv")):
        deliver(folder, (real_data / "cur_legacy" / name).read_bytes(), assembly, "20230601-20230701", example)
        published = Published(nightly.run(settings, nightly.window_of(JUNE, JUNE)))
        reconciled += published.rows("select * from fct_reconciliation")
    return settings, reconciled


def test_the_bill_on_every_basis_before_and_after(june: tuple[Any, list[dict[str, Any]]]) -> None:
    before, after = june[1]
    assert (before["finality"], before["invoice_id"], before["account_id"]) == ("provisional", None, "9999999999999")
    assert (after["finality"], after["invoice_id"], after["account_id"]) == ("final", "987654321", "0099999999999")
    for month in (before, after):
        assert (month["currency"], month["delivered_rows"], month["delivered_cost"], month["delivery_residual"]) == (
            "NOK",
            3,
            Decimal(30),
            0,
        )
        assert (month["billed_cost_usd"], month["effective_cost_usd"], month["list_cost_usd"], month["net_cost_usd"]) == (
            Decimal(0), Decimal("0.0279"), Decimal("2.79"), Decimal("2.79"),
        )  # fmt: skip
        # what does not tie is said: the plan's fee is not in the file, and 30 kroner of covered usage have no negation
        assert (month["amortisation_residual_usd"], month["unmatched_negation"], month["allocation_residual_usd"]) == (
            Decimal("0.0279"), Decimal(30), 0,
        )  # fmt: skip


def test_what_moved_between_the_two_is_accounts_not_dollars(june: tuple[Any, list[dict[str, Any]]]) -> None:
    moved = compare(june[0], *pair(archived(june[0]), None, None))
    assert set(moved.days) == {JUNE}
    assert {basis: total for basis, total in moved.totals.items() if total} == {}
    by_cause = {row["cause"]: row["effective_move_usd"] for row in moved.causes}
    # another account is another charge: the old one's usage is gone, the new one's is new
    assert by_cause == {"removed_usage": Decimal("-0.0279"), "late_usage": Decimal("0.0279")}


def test_covered_usage_without_its_negation_blocks_unless_the_policy_says_otherwise(
    real_data: Path, example: dict[str, Any], tmp_path: Path
) -> None:
    settings = configure(tmp_path, "block")
    deliver(tmp_path, (real_data / "cur_legacy" / "aws_2023-06-01.csv").read_bytes(), "assembly-1", "20230601-20230701", example)
    with pytest.raises(ApportionError, match="law_double_count__covered_and_negation"):
        nightly.run(settings, nightly.window_of(JUNE, JUNE))


def test_a_month_of_1281_lines(real_data: Path, example: dict[str, Any], tmp_path: Path) -> None:
    settings = configure(tmp_path)
    content = (real_data / "cur_legacy" / "legacy_cur_anon_2023-11_daily.csv").read_bytes()
    deliver(tmp_path, content, "assembly-1", "20231101-20231201", example)
    published = Published(nightly.run(settings, nightly.window_of(dt.date(2023, 11, 1), dt.date(2023, 11, 14))))
    (month,) = published.rows("select * from fct_reconciliation")
    total = Decimal("1.6823086974")
    assert (month["delivered_rows"], month["delivered_cost"], month["unpublished_cost"], month["finality"]) == (
        1281,
        total,
        0,
        "provisional",
    )
    assert (month["billed_cost_usd"], month["effective_cost_usd"], month["net_cost_usd"], month["tax_cost_usd"]) == (
        total, total, total, Decimal("0.08"),
    )  # fmt: skip
    assert (month["delivery_residual"], month["allocation_residual_usd"], month["amortisation_residual_usd"]) == (0, 0, 0)
    services = published.rows(
        "select service, sum(effective_cost) as cost from fct_cost_allocation group by 1 having sum(effective_cost) > 0.1 order by 1"
    )
    assert [(row["service"], row["cost"]) for row in services] == [
        ("AmazonS3", Decimal("1.4405653565")),
        ("awskms", Decimal("0.2405555574")),
    ]
    (control,) = published.rows("select delivered_rows, delivered_cost, staging_residual, conversion_delta from fct_delivery_control")
    assert tuple(control.values()) == (1281, total, 0, 0)
