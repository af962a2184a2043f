"""What one team may read: the rows of each published table that are a team's, stated once, for team releases and for exports.

Belongs here: per table the rule, or why the table is left out. Does not: writing files (team_releases.py, exporting/). A table that is
not named here is left out: what nobody has judged is not shown.

Rules are SQL over the table's own columns; ``getvariable('team')`` is the team. A rule of a table by day may look at other tables only
through ``keys``: a day's file is taken over from the last release while its bytes and those keys are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from pipelines.errors import UsageError
from pipelines.warehouse import quote_name

ALL = "(all)"


@dataclass(frozen=True)
class Scope:
    """The rows of one table that are a team's.

    where: the rule. keys: a query for the values that ``where`` compares with, where it looks at another table. has_members: whether the
    dollars that are nobody's are added, by part and class only: no model or environment tells of others.
    """

    where: str
    keys: str | None = None
    has_members: bool = False


_TEAM = Scope("team = getvariable('team')")
_OWNER = Scope("owner_team = getvariable('team')")
_RUNS = "select workload_key from dim_workload where team = getvariable('team')"
_ENDPOINTS = (
    "select workload_id from dim_workload where team = getvariable('team') and starts_with(workload_key, 'endpoint/') order by workload_id"
)
_SHOWN = "team_kind = 'team' and team = getvariable('team')"
_BY_ENDPOINT = Scope(f"endpoint in ({_ENDPOINTS})", keys=_ENDPOINTS)  # noqa: S608 - our own constant

SCOPES: dict[str, Scope] = {
    "dim_date": Scope("true"),
    "dim_metric": Scope("true"),
    "dim_node": _OWNER,
    "dim_showback_member": Scope(
        f"member_kind = 'nobody' or exists (select 1 from fct_showback where {_SHOWN}"  # noqa: S608 - our own constant
        " and case dimension when 'team' then team when 'model' then model when 'environment' then environment else member end = member)"
    ),
    "dim_workload": _TEAM,
    "fct_alert": _TEAM,
    "fct_cost_allocation": _TEAM,
    "fct_cost_daily": _OWNER,
    "fct_idle_cost": _OWNER,
    "fct_idle_gpu": _OWNER,
    "fct_inference_unit_cost": _BY_ENDPOINT,
    "fct_inference_unit_cost_hourly": _BY_ENDPOINT,
    "fct_lever": _TEAM,
    "fct_method_sensitivity": _TEAM,
    "fct_model_version_cost": _TEAM,
    "fct_model_version_run": Scope(f"workload_key in ({_RUNS})"),  # noqa: S608 - our own constant
    "fct_retrain_cadence": _TEAM,
    "fct_run_attempt_cost": Scope(f"workload_key in ({_RUNS})"),  # noqa: S608 - our own constant
    "fct_run_cost": _TEAM,
    "fct_showback": Scope(_SHOWN, has_members=True),
}
# why a table has no rows for one team
LEFT_OUT: dict[str, str] = {
    "dim_tag_policy": "the names of every team",
    "fct_activity_sensitivity": "no team; a workload may change hands, and its days do not follow",
    "fct_charge_bucket": "a charge may be of several teams, and its tags name them",
    "fct_cost_estimate": "no team; a workload may change hands, and its days do not follow",
    "fct_budget_status": "a budget may be of several teams",
    "fct_commitment_coverage": "the company's commitments",
    "fct_commitment_daily": "the company's commitments",
    "fct_data_quality": "no team: it is about inputs",
    "fct_delivery_control": "the company's bills",
    "fct_energy": "no team; a workload may change hands, and its days do not follow",
    "fct_forecast_backtest": "series of every team",
    "fct_gpu_utilization": "no team; holders of one GPU may be of several",
    "fct_gpu_utilization_daily": "no team; holders of one GPU may be of several",
    "fct_guardrail_violation": "subjects of every team, and accounts",
    "fct_managed_api_usage": "the gateway's own names of teams, which the tag policy does not know, and projects that may be nobody's",
    "fct_model_quality": "no team: of a model, whoever trained it",
    "fct_realised_saving": "no team: of a scope, whoever has it",
    "fct_reconciliation": "the company's bills",
    "fct_retrain_gain": "no team: of a model, whoever trained it",
    "fct_serving_configuration": "no team: of an endpoint and its alternatives",
    "fct_spend_anomaly": "an incident may be of several teams, and names who led it",
    "fct_spend_forecast": "series of every team",
    "fct_storage_resource_daily": "disks of every team, and accounts",
    "fct_tag_coverage": "the company's accounts",
    "fct_telemetry_coverage": "no team: it is about machines",
    "fct_telemetry_gap": "no team: it is about machines",
    "fct_untagged_spend": "what nobody owns yet, with guesses whose it is",
    "fct_workload_hourly": "no team; holders of one node may be of several",
    "meta_publication": "the company's bills; a team's release has one row without amounts instead",
}


def scope_of(table: str) -> Scope:
    """The rule of ``table``. Raises UsageError where the table has none."""
    if table not in SCOPES:
        reason = LEFT_OUT.get(table, "nobody has said which of its rows are a team's")
        raise UsageError(f"{table} has no rows of one team: {reason}", remedy=f"tables with rows of a team: {', '.join(sorted(SCOPES))}")
    return SCOPES[table]


def team_rows(table: str, columns: tuple[tuple[str, str], ...], relation: str | None = None) -> str:
    """A query for the rows of ``table`` that are ``getvariable('team')``'s, read from ``relation`` (default: the table by its name).

    columns: the table's columns as (name, type).
    """
    scope, source = scope_of(table), relation or quote_name(table)
    own = f"select * from {source} where {scope.where}"  # noqa: S608
    if not scope.has_members:
        return own
    groups = {"team_kind", "usage_month", "team", "cost_part", "cost_class"}
    told = []
    for name, kind in columns:
        if name in ("model", "environment"):
            told.append(f"'{ALL}' as {quote_name(name)}")
        elif name in groups:
            told.append(quote_name(name))
        else:
            told.append(f"cast(sum({quote_name(name)}) as {kind}) as {quote_name(name)}")
    grouped = ", ".join(name for name, _ in columns if name in groups)
    return f"{own} union all by name select {', '.join(told)} from {source} where team_kind = 'nobody' group by {grouped}"  # noqa: S608


def as_team(connection: duckdb.DuckDBPyConnection, team: str) -> None:
    """Make ``team`` the one whose rows the queries return."""
    connection.execute("set variable team = ?", [team])
