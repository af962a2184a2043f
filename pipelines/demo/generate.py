"""Writes the whole demo company into a folder: one call for some days, another to let the next night come.

Belongs here: the layout of the folder and its settings file. Does not: contents (the writers) and values (the plan).

Layout: apportion.yml, policy.yml, aws/, gcp/, telemetry/{aws,gcp}/, nodes/, workloads/, slurm/, inference/{vllm,gateway}/, revenue/, quality/.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import yaml

from pipelines.demo.bills_aws import EXPORT, write_aws_bill
from pipelines.demo.bills_gcp import write_gcp_bill
from pipelines.demo.company import FIRST_DAY, plan_company
from pipelines.demo.governance import write_policy
from pipelines.demo.inference import write_litellm, write_vllm
from pipelines.demo.model import MAX_DAYS, Company
from pipelines.demo.records import write_nodes, write_quality, write_revenue, write_sacct, write_workloads
from pipelines.demo.telemetry import write_aws_telemetry, write_gcp_telemetry

MARKER = "demo.json"


def sources(company: Company) -> list[dict[str, Any]]:
    """The settings' sources: those that the company has something for."""
    slots = {"slot_seconds": company.slot_seconds}
    found: list[tuple[bool, dict[str, Any]]] = [
        (True, {"name": "aws", "kind": "aws_cur", "location": "./aws", "export": EXPORT}),
        (True, {"name": "gcp", "kind": "gcp_billing", "location": "./gcp"}),
        (True, {"name": "dcgm-aws", "kind": "dcgm", "location": "./telemetry/aws", **slots}),
        (True, {"name": "dcgm-gcp", "kind": "dcgm", "location": "./telemetry/gcp", **slots}),
        (True, {"name": "inventory", "kind": "nodes", "location": "./nodes"}),
        (True, {"name": "kubernetes", "kind": "workloads", "location": "./workloads"}),
        (_has_slurm(company), {"name": "slurm", "kind": "slurm", "location": "./slurm", "timezone": "UTC"}),
        (True, {"name": "vllm", "kind": "inference_metrics", "location": "./inference/vllm"}),
        (_has_gateway(company), {"name": "litellm", "kind": "inference_requests", "location": "./inference/gateway"}),
        (bool(company.revenue), {"name": "finance", "kind": "revenue", "location": "./revenue"}),
        (bool(company.quality), {"name": "evaluations", "kind": "model_quality", "location": "./quality"}),
    ]
    return [entry for is_there, entry in found if is_there]


def _has_slurm(company: Company) -> bool:
    return any(attempt.evidence == "hpc_job" for attempt in company.attempts)


def _has_gateway(company: Company) -> bool:
    return bool(company.managed) or "litellm" in company.gateways.values()


def generate(
    folder: Path, *, seed: int = 7, days: int = MAX_DAYS, first_day: dt.date = FIRST_DAY, through: dt.date | None = None
) -> Company:
    """Write the first ``days`` days of the company (or the days up to ``through``) into ``folder``; return its plan.

    The same arguments give the same bytes. Called again with more days, it leaves the bytes of every finished day's file as they
    are, and rewrites what a new day restates: the AWS bill, the inventory, workloads and sacct.

    Raises ValueError for days outside 1..14 and for a folder that holds another company.
    """
    folder = Path(folder)
    if through is not None:
        days = (through - first_day).days + 1
    company = plan_company(seed, first_day, days)
    _claim(folder, company)
    write_company(company, folder, company.days())
    return company


def extend(folder: Path, *, through: dt.date | None = None) -> Company:
    """Let days pass: write the days after the last written one, up to ``through`` (default: one more), and restate the rest.

    Raises ValueError for a folder without a demo company, and for a day that is not after the last written one.
    """
    folder = Path(folder)
    marker = _marker(folder)
    if marker is None:
        raise ValueError(f"no demo company in {folder}: generate one first")
    first, last = dt.date.fromisoformat(marker["first_day"]), dt.date.fromisoformat(marker["last_day"])
    through = through or last + dt.timedelta(days=1)
    if through <= last:
        raise ValueError(f"{through} is written already; the last written day is {last}")
    company = plan_company(marker["seed"], first, (through - first).days + 1)
    write_company(company, folder, [day for day in company.days() if day > last])
    return company


def write_company(company: Company, folder: Path, days: list[dt.date]) -> None:
    """Write a plan's files: those of ``days``, and those that tell everything known by its last day."""
    write_aws_bill(company, folder / "aws")
    write_gcp_bill(company, folder / "gcp", days)
    write_aws_telemetry(company, folder / "telemetry" / "aws", days)
    write_gcp_telemetry(company, folder / "telemetry" / "gcp", days)
    write_nodes(company, folder / "nodes")
    write_workloads(company, folder / "workloads")
    if _has_slurm(company):
        write_sacct(company, folder / "slurm")
    write_vllm(company, folder / "inference" / "vllm", days)
    if _has_gateway(company):
        write_litellm(company, folder / "inference" / "gateway", days)
    if company.revenue:
        write_revenue(company, folder / "revenue")
    if company.quality:
        write_quality(company, folder / "quality")
    settings: dict[str, Any] = {"sources": sources(company)}
    if company.governance:
        settings["policy"] = write_policy(company.governance, folder).name
    (folder / "apportion.yml").write_text(
        "# The demo company. Locations are relative to this file.\n" + yaml.safe_dump(settings, sort_keys=False), encoding="utf-8"
    )
    marker = {"seed": company.seed, "first_day": company.first_day.isoformat(), "last_day": company.last_day.isoformat()}
    (folder / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")


def _marker(folder: Path) -> dict | None:
    path = folder / MARKER
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _claim(folder: Path, company: Company) -> None:
    """Refuse a folder whose files would be left over from another company or from later days."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = _marker(folder)
    if marker is None:
        return
    same = (marker["seed"], marker["first_day"]) == (company.seed, company.first_day.isoformat())
    if not same or marker["last_day"] > company.last_day.isoformat():
        raise ValueError(f"{folder} holds another demo company or later days; choose an empty folder")
