"""The schema of the GCP usage cost exports, detailed and standard: raw columns and where each lies in the export.

The standard export lacks ``resource`` and ``subscription``, older tables lack prices and consumption models: what is not there is NULL.

Belongs here: names, types, paths. Does not: reading (sources/gcp_billing.py, bigquery.py), conversion (gcp_rows.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.source import Column, ColumnType, RawTable

# raw column, type, path in the export's schema, description
_COLUMNS: tuple[tuple[str, ColumnType, str, str], ...] = (
    ("billing_account_id", "VARCHAR", "billing_account_id", "Cloud Billing account that pays"),
    ("invoice_month", "VARCHAR", "invoice.month", "invoice the row is on, YYYYMM (months begin at midnight US/Pacific)"),
    ("invoice_publisher_type", "VARCHAR", "invoice.publisher_type", "GOOGLE or PARTNER"),
    ("cost_type", "VARCHAR", "cost_type", "regular, tax, adjustment or rounding_error"),
    ("service_id", "VARCHAR", "service.id", "service, e.g. 6F81-5844-456A for Compute Engine"),
    ("service_description", "VARCHAR", "service.description", "name of the service"),
    ("sku_id", "VARCHAR", "sku.id", "SKU"),
    ("sku_description", "VARCHAR", "sku.description", "name of the SKU"),
    ("usage_start_time", "TIMESTAMP", "usage_start_time", "start of the hour of usage; NULL where unreadable"),
    ("usage_end_time", "TIMESTAMP", "usage_end_time", "end of usage; NULL where unreadable"),
    ("project_id", "VARCHAR", "project.id", "project; missing on account-level rows and at times in a project's first day"),
    ("project_number", "VARCHAR", "project.number", "project's number"),
    ("project_name", "VARCHAR", "project.name", "project's name"),
    ("project_labels", "JSON", "project.labels", "object label -> value (array where a key repeats), keys sorted"),
    ("labels", "JSON", "labels", "resource labels, including GKE's and reservations'; object as above"),
    ("system_labels", "JSON", "system_labels", "machine_spec, cores, memory and the like; object as above"),
    ("tags", "JSON", "tags", "resource tags; object as above"),
    ("location_location", "VARCHAR", "location.location", "location the price depends on"),
    ("location_region", "VARCHAR", "location.region", "region"),
    ("location_zone", "VARCHAR", "location.zone", "zone"),
    ("cost", "MONEY", "cost", "cost before credits, negotiated prices included; never NULL"),
    ("currency", "VARCHAR", "currency", "currency of every amount of the row"),
    ("currency_conversion_rate", "MONEY", "currency_conversion_rate", "rate from USD to the currency"),
    ("usage_amount", "MONEY", "usage.amount", "quantity in usage_unit (GPUs: seconds x GPUs)"),
    ("usage_unit", "VARCHAR", "usage.unit", "unit of usage_amount"),
    ("usage_amount_in_pricing_units", "MONEY", "usage.amount_in_pricing_units", "quantity in usage_pricing_unit"),
    ("usage_pricing_unit", "VARCHAR", "usage.pricing_unit", "unit the SKU is priced in"),
    ("credits", "JSON", "credits", 'array of {"id","full_name","type","name","amount"} in the export\'s order; amount is canonical text'),
    ("adjustment_info_id", "VARCHAR", "adjustment_info.id", "adjustment the row belongs to"),
    ("adjustment_info_type", "VARCHAR", "adjustment_info.type", "USAGE_CORRECTION, GOODWILL, ..."),
    ("adjustment_info_mode", "VARCHAR", "adjustment_info.mode", "COMPLETE_NEGATION, PARTIAL_CORRECTION, ..."),
    ("adjustment_info_description", "VARCHAR", "adjustment_info.description", "why it was adjusted"),
    ("export_time", "TIMESTAMP", "export_time", "when the row was appended to the export; only grows"),
    ("cost_at_list", "MONEY", "cost_at_list", "cost at list price"),
    ("transaction_type", "VARCHAR", "transaction_type", "GOOGLE, THIRD_PARTY_RESELLER or THIRD_PARTY_AGENCY"),
    ("seller_name", "VARCHAR", "seller_name", "legal seller"),
    ("price_list_price", "MONEY", "price.list_price", "list price of one pricing unit (since July 2025)"),
    ("price_effective_price_default", "MONEY", "price.effective_price_default", "price had the default consumption model applied"),
    ("price_list_price_consumption_model", "MONEY", "price.list_price_consumption_model", "list price of the consumption model"),
    ("price_effective_price", "MONEY", "price.effective_price", "price charged for one pricing unit"),
    ("price_unit", "VARCHAR", "price.unit", "unit of the price"),
    ("consumption_model_id", "VARCHAR", "consumption_model.id", "consumption model (since July 2025)"),
    ("consumption_model_description", "VARCHAR", "consumption_model.description", "its name; Default is on demand"),
    ("cost_at_effective_price_default", "MONEY", "cost_at_effective_price_default", "cost had the default consumption model applied"),
    ("cost_at_list_consumption_model", "MONEY", "cost_at_list_consumption_model", "list cost of the consumption model"),
    ("resource_name", "VARCHAR", "resource.name", "name of the resource (detailed export only)"),
    ("resource_global_name", "VARCHAR", "resource.global_name", "full name; a VM's GPU, core and RAM rows share it"),
    ("subscription_instance_id", "VARCHAR", "subscription.instance_id", "commitment the row belongs to (detailed export only)"),
)

ROWS = RawTable(
    "rows",
    "One row of the export, as appended: corrections and repeats are rows of their own, nothing is merged.",
    tuple(Column(name, type_, description) for name, type_, _, description in _COLUMNS),
)
PATHS: dict[str, str] = {name: path for name, _, path, _ in _COLUMNS}
REPEATED: dict[str, tuple[str, ...]] = {
    "project_labels": ("key", "value"),
    "labels": ("key", "value"),
    "system_labels": ("key", "value"),
    "tags": ("key", "value"),
    "credits": ("id", "full_name", "type", "name", "amount"),
}
# without these a table or file is another export, and reading it would misstate money
REQUIRED = ("cost", "currency", "credits", "invoice_month", "sku_id", "usage_start_time", "export_time")


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str | Path) -> str:
    """An SQL text literal (paths: the engine takes no parameter there)."""
    return "'" + str(text).replace("'", "''") + "'"


def json_columns() -> str:
    """The export's schema for ``read_json``: every leaf is text, so that numbers and numeric texts arrive alike."""
    tree: dict[str, Any] = {}
    for name, path in PATHS.items():
        *parents, leaf = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = "STRUCT(" + ", ".join(f'"{f}" VARCHAR' for f in REPEATED[name]) + ")[]" if name in REPEATED else "VARCHAR"

    def spell(node: str | dict[str, Any]) -> str:
        return node if isinstance(node, str) else "STRUCT(" + ", ".join(f'"{k}" {spell(v)}' for k, v in node.items()) + ")"

    return "{" + ", ".join(f"{literal(name)}: {literal(spell(node))}" for name, node in tree.items()) + "}"
