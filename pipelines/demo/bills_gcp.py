"""Writes the Google Cloud bill: the detailed export as JSON lines, one file per export day.

Belongs here: the nested fields and SKUs of that export. Does not: what was spent (company.py, spend.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.demo.bills_aws import usd_float
from pipelines.demo.model import DAY, HOUR, Charge, Company, Node, epoch, hex_id, utc
from pipelines.demo.usage import billed_seconds

COMPUTE = ("6F81-5844-456A", "Compute Engine")
SERVICES = {"Compute Engine": COMPUTE[0], "Cloud Storage": "95FF-2EF5-5EA1", "Networking": "E505-1604-58F8", "Invoice": "0000-0000-0000"}
# SKU, micro-USD per GPU-second before the credit, credit: together the L4's 200 net
GPU_SKU = ("Nvidia L4 GPU running in Americas", 150, -20)
CORE_SKU = ("G2 Instance Core running in Americas", 50, 0)
RAM_SKU = ("G2 Instance Ram running in Americas", 20, 0)


def write_gcp_bill(company: Company, folder: Path, days: list[dt.date]) -> list[Path]:
    """Write the rows of ``days`` into the file of the day they were exported on; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for day in days:
        begin = epoch(day)
        rows = [*_node_rows(company, begin), *_charge_rows(company, begin)]
        path = folder / f"gcp_billing_export_resource_v1-{day}.jsonl"
        path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows), encoding="utf-8")
        written.append(path)
    return written


def _node_rows(company: Company, begin: int) -> Iterator[dict[str, Any]]:
    for node in company.nodes:
        if node.source == "gcp":
            for hour, seconds in sorted(billed_seconds(node, begin, begin + DAY).items()):
                for sku in (GPU_SKU, CORE_SKU, RAM_SKU):
                    yield _node_row(node, hour, seconds, *sku)


def _node_row(node: Node, hour: int, seconds: int, sku: str, price: int, credit: int) -> dict[str, Any]:
    gpus = node.gpu_count
    amount, unit, hours, pricing_unit = {
        GPU_SKU[0]: (seconds * gpus, "seconds", seconds * gpus / HOUR, "hour"),
        CORE_SKU[0]: (seconds * node.vcpu, "seconds", seconds * node.vcpu / HOUR, "hour"),
        RAM_SKU[0]: (seconds * node.memory_gib << 30, "byte-seconds", seconds * node.memory_gib / HOUR, "gibibyte hour"),
    }[sku]
    credits = [("COMMITTED_USAGE_DISCOUNT", f"Committed use discount: {sku}", seconds * gpus * credit * 1_000)] if credit else []
    row = _row(hour, HOUR, "Compute Engine", sku, seconds * gpus * price * 1_000, amount, unit, hours, pricing_unit, credits)
    row["labels"] = _pairs((("goog-k8s-cluster-name", node.cluster), ("goog-k8s-node-pool-name", node.pool), ("team", node.owner_team)))
    compute = "compute.googleapis.com"
    row["system_labels"] = _pairs(((f"{compute}/machine_spec", node.instance_type), (f"{compute}/cores", str(node.vcpu))))
    row["resource"] = {"name": node.hostname, "global_name": node.resource_id}
    row["location"] |= {"zone": node.zone}
    return row


def _charge_rows(company: Company, begin: int) -> Iterator[dict[str, Any]]:
    for charge in company.charges:
        if charge.source == "gcp" and begin <= (charge.exported_at or charge.start) < begin + DAY:
            yield _charge_row(charge)


def _charge_row(charge: Charge) -> dict[str, Any]:
    row = _row(
        charge.start, charge.hours * HOUR, charge.service, charge.usage_type, charge.cost, charge.quantity, charge.unit, charge.quantity,
        charge.unit, list(charge.credits),
    )  # fmt: skip
    row["cost_type"] = charge.line_type
    row["labels"] = _pairs(charge.tags)
    row["resource"] = {"name": charge.resource_id.rpartition("/")[2] or None, "global_name": charge.resource_id or None}
    if charge.exported_at:
        row["export_time"] = _stamp(charge.exported_at)
    if charge.adjustment:
        mode = "COMPLETE_NEGATION_WITH_REMONETIZATION"
        row["adjustment_info"] = {"id": "adj-0001", "type": charge.adjustment, "mode": mode, "description": "metering error"}
    return row


def _row(
    start: int,
    length: int,
    service: str,
    sku: str,
    cost: int,
    amount: float,
    unit: str,
    in_pricing_units: float,
    pricing_unit: str,
    credits: list[tuple[str, str, int]],
) -> dict[str, Any]:
    return {
        "billing_account_id": "01A2B3-C4D5E6-F70809",
        "invoice": {"month": f"{utc(start):%Y%m}", "publisher_type": "GOOGLE"},
        "cost_type": "regular",
        "service": {"id": SERVICES[service], "description": service},
        "sku": {"id": "-".join(hex_id(12, "sku", sku).upper()[i : i + 4] for i in (0, 4, 8)), "description": sku},
        "usage_start_time": _stamp(start),
        "usage_end_time": _stamp(start + length),
        "project": {"id": "serving-prod", "number": "482910573321", "name": "serving-prod", "labels": [], "ancestry_numbers": "/991/"},
        "labels": [],
        "system_labels": [],
        "tags": [],
        "location": {"location": "us-central1", "country": "US", "region": "us-central1"},
        "cost": usd_float(cost),
        "cost_at_list": usd_float(cost),
        "currency": "USD",
        "currency_conversion_rate": 1,
        "usage": {"amount": amount, "unit": unit, "amount_in_pricing_units": in_pricing_units, "pricing_unit": pricing_unit},
        "credits": [
            {"id": name.lower().replace(" ", "-"), "full_name": name, "type": kind, "name": name, "amount": usd_float(value)}
            for kind, name, value in credits
        ],
        "export_time": _stamp(start + length + 2_700),
        "transaction_type": "GOOGLE",
        "seller_name": "Google LLC",
    }  # fmt: skip


def _pairs(labels: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in labels]


def _stamp(second: int) -> str:
    return f"{utc(second):%Y-%m-%d %H:%M:%S} UTC"
