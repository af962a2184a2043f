"""Real flat exports of 2020 and 2022 (Python's spelling of credits, no list price, no invoice publisher): every figure worked from the files alone.

gcp_202011_etag.csv: 25 rows on the invoice of 202011, usage of 8 to 11 November 2020, no resource columns. Cost 0.000032, eight
PROMOTION credits, 6 x -0.000005 and 2 x -0.000001 = -0.000032: net 0. By day and service: Security Command Center 0.000016, 0.000005 and 0.000011
on 8, 9 and 10 November, all else 0. gcp_2022-08-01_5.csv: 9 rows of Compute Engine egress with resource columns, cost 0.000012, no
credit. Together 34 rows, cost 0.000044, credits -0.000032, net 0.000012.
"""

from __future__ import annotations

import ast
import csv
import datetime as dt
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from tests.real.conftest import Published

pytestmark = pytest.mark.real
COST = {"gcp_202011_etag.csv": Decimal("0.000032"), "gcp_2022-08-01_5.csv": Decimal("0.000012")}
CREDITS = {"gcp_202011_etag.csv": Decimal("-0.000032"), "gcp_2022-08-01_5.csv": Decimal(0)}
ROWS = {"gcp_202011_etag.csv": 25, "gcp_2022-08-01_5.csv": 9}
NOVEMBER, AUGUST = dt.date(2020, 11, 1), dt.date(2022, 8, 1)


def read(path: Path) -> list[dict[str, str]]:
    """The file's rows as text."""
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def amount(credit: dict[str, object]) -> Decimal:
    """A credit's amount by its shortest decimal, as it is written."""
    return Decimal(repr(credit["amount"]))


@pytest.fixture(scope="module")
def files(real_data: Path) -> dict[str, list[dict[str, str]]]:
    """Every row of both files, by file."""
    return {name: read(real_data / "gcp_flat" / name) for name in COST}


@pytest.fixture(scope="module")
def nights(real_data: Path, run_night, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Published]:
    """A night over the days of each file."""
    spans = {"gcp_202011_etag.csv": (dt.date(2020, 11, 8), dt.date(2020, 11, 11)), "gcp_2022-08-01_5.csv": (AUGUST, AUGUST)}
    published = {}
    for name, (first, last) in spans.items():
        folder = tmp_path_factory.mktemp("flat")
        sources = [{"name": "bill", "kind": "gcp_billing", "location": str(real_data / "gcp_flat" / name)}]
        published[name] = run_night(folder, sources, first, last)
    return published


@pytest.mark.parametrize("name", COST)
def test_the_files_say_what_the_comment_says(files, name: str) -> None:
    rows = files[name]
    credits = [credit for row in rows for credit in ast.literal_eval(row["credits"])]
    assert len(rows) == ROWS[name]
    assert sum(Decimal(row["cost"]) for row in rows) == COST[name]
    assert sum(map(amount, credits), Decimal(0)) == CREDITS[name]
    assert Counter(credit["type"] for credit in credits) == (Counter(PROMOTION=8) if name == "gcp_202011_etag.csv" else Counter())


@pytest.mark.parametrize("name", COST)
def test_every_row_is_published_to_its_cent(files, nights, name: str) -> None:
    """By usage day and service: cost, credits apart, net; the invoice month is the file's."""
    expected: dict[tuple[dt.date, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for row in files[name]:
        key = (dt.date.fromisoformat(row["usage_start_time"][:10]), row["service.description"])
        expected[key][0] += Decimal(row["cost"])
        expected[key][1] += sum(map(amount, ast.literal_eval(row["credits"])), Decimal(0))
    found = nights[name].rows(
        """select usage_date, service, sum(source_cost) filter (charge_category <> 'Credit') as cost,
        coalesce(sum(source_cost) filter (charge_category = 'Credit'), 0) as credits, sum(effective_cost) as net
        from fct_charge_bucket group by all"""
    )
    assert {(r["usage_date"], r["service"]): [r["cost"], r["credits"]] for r in found} == dict(expected)
    assert all(r["net"] == r["cost"] + r["credits"] for r in found)
    assert sum(r["net"] for r in found) == COST[name] + CREDITS[name]


@pytest.mark.parametrize("name", COST)
def test_the_invoice_month_ties_and_the_door_counted_the_same(nights, name: str) -> None:
    """delivered rows count a row and its promotion apart: 25 + 8, and 9."""
    month = NOVEMBER if name == "gcp_202011_etag.csv" else AUGUST
    reconciled = nights[name].rows("select * from fct_reconciliation")
    assert {(r["billing_period"], r["currency"]) for r in reconciled} == {(month, "USD")}
    assert sum(r["delivered_cost"] for r in reconciled) == COST[name] + CREDITS[name]
    assert sum(r["delivered_rows"] for r in reconciled) == {NOVEMBER: 25 + 8, AUGUST: 9}[month]
    assert all(r["delivery_residual"] == r["allocation_residual_usd"] == r["amortisation_residual_usd"] == 0 for r in reconciled)
    (delivery,) = (d for d in nights[name].night.deliveries if d.kind == "gcp_billing")
    assert sum(c.rows for c in delivery.controls) == ROWS[name]
    assert sum(c.amount for c in delivery.controls) == COST[name] + CREDITS[name]
    assert {c.invoice_id for c in delivery.controls} == {f"{month:%Y%m}"}
    assert sum(c.conversion_delta for c in delivery.controls) == 0


def test_labels_of_the_export_reach_the_published_tags(nights) -> None:
    """Stackdriver's rows carry goog-resource-type; the credits of a row are not multiplied by them (B08)."""
    found = nights["gcp_202011_etag.csv"].rows(
        "select json_extract_string(tags, '$.\"goog-resource-type\"') as kind, sum(charge_count) as rows from fct_charge_bucket group by 1 order by 1"
    )
    counted = Counter(r["kind"] for r in found for _ in range(int(r["rows"])))
    assert counted == {None: 15 + 8, "bigquery_dataset": 4, "bigquery_project": 1, "bigquery_resource": 5}
