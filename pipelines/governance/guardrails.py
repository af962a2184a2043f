"""The section `governance.guardrails` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal, get_args

import duckdb
from pydantic import BeforeValidator, Field, field_validator, model_validator

from pipelines.repeated import repeated
from pipelines.rules import Dated, write_relation

Kind = Literal["required_tags", "allowed_instance_types", "allowed_regions", "max_run_cost", "max_gpus_per_run", "untagged_share"]
Column = Literal["source", "account_id", "service", "charge_category", "environment", "team", "model", "project", "pool"]
Key = Literal["team", "model", "environment", "project"]
COLUMNS: tuple[str, ...] = get_args(Column)
ABOUT_RUNS = ("max_run_cost", "max_gpus_per_run")
RUN_COLUMNS = ("environment", "team", "model", "project")
# kind -> the one field that says what is allowed
_NEEDS = {
    "required_tags": "keys", "untagged_share": "keys", "allowed_instance_types": "allowed", "allowed_regions": "allowed",
    "max_run_cost": "limit", "max_gpus_per_run": "limit",
}  # fmt: skip


class Guardrail(Dated):
    """One rule: what it watches (match: all columns must hold; ``(none)`` is what has no value), what is allowed there, and what to do else.

    warn raises an alert; block stops publication until it is mended, exempt, or the rule says warn.
    """

    id: str = Field(pattern="^[a-z][a-z0-9_]*$")
    kind: Kind
    action: Literal["warn", "block"] = "warn"
    description: str = ""
    match: dict[Column, Annotated[list[str], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]] = Field(default_factory=dict)
    keys: list[Key] = Field(default_factory=list)
    allowed: list[str] = Field(default_factory=list)
    limit: Decimal | None = Field(default=None, gt=0)
    threshold_ratio: Decimal = Field(default=Decimal("0.2"), gt=0, lt=1)
    floor_usd: Decimal = Field(default=Decimal(1), ge=0)
    window_days: int = Field(default=7, ge=1, le=35)
    exempt: list[str] = Field(default_factory=list)
    remedy: str = ""

    @field_validator("allowed")
    @classmethod
    def _patterns_are_plain(cls, allowed: list[str]) -> list[str]:
        if odd := [pattern for pattern in allowed if not pattern or set(pattern) & set("%_|")]:
            raise ValueError(f"{odd[0]!r}: a name, in which * stands for anything")
        return allowed

    @model_validator(mode="after")
    def _is_consistent(self) -> Guardrail:
        needed = _NEEDS[self.kind]
        if not getattr(self, needed):
            raise ValueError(f"{self.kind} needs `{needed}`")
        if odd := [name for name in ("keys", "allowed", "limit") if name != needed and getattr(self, name)]:
            raise ValueError(f"`{odd[0]}` does not go with {self.kind}")
        if self.kind in ABOUT_RUNS and (odd_columns := [column for column in self.match if column not in RUN_COLUMNS]):
            raise ValueError(f"a run has no {odd_columns[0]}: match by {', '.join(RUN_COLUMNS)}")
        if empty := [column for column, values in self.match.items() if not values or [v for v in values if not v or "|" in v]]:
            raise ValueError(f"`match` has no usable value for {empty[0]}")
        return self

    def row(self) -> tuple[object, ...]:
        """Its row of policy.guardrails; lists as `|a|b|`."""
        return (
            self.id, self.kind, self.action, self.limit, self.threshold_ratio, self.floor_usd, self.window_days, self.valid_from,
            self.valid_to, self.remedy or None, _listed(self.keys), _listed(self.allowed), *(_listed(self.match.get(column)) for column in COLUMNS),  # type: ignore[call-overload]
        )  # fmt: skip


def _listed(values: Sequence[str] | None) -> str | None:
    return f"|{'|'.join(values)}|" if values else None


def write_guardrails(connection: duckdb.DuckDBPyConnection, entries: Sequence[Guardrail]) -> None:
    """Replace this section's relations of the schema ``policy``."""
    columns = ", ".join(f"match_{column} varchar" for column in COLUMNS)
    tables = {
        "guardrails": (
            "guardrail_id varchar, guardrail_kind varchar, guardrail_action varchar, limit_value decimal(38,12),"
            " threshold_ratio decimal(9,6), floor_usd decimal(38,12), window_days bigint, valid_from date, valid_to date, remedy varchar,"
            f" required_keys varchar, allowed varchar, {columns}",
            [entry.row() for entry in entries],
        ),
        "guardrail_allowed": (
            "guardrail_id varchar, pattern varchar",
            [(entry.id, pattern.lower().replace("*", "%")) for entry in entries for pattern in entry.allowed],
        ),
        "guardrail_exempt": (
            "guardrail_id varchar, subject varchar",
            [(entry.id, subject) for entry in entries for subject in entry.exempt],
        ),
    }
    for name, (schema, rows) in tables.items():
        write_relation(connection, name, schema, rows)


def unique_guardrails(entries: list[Guardrail]) -> list[Guardrail]:
    """The rules, if each has an id of its own; ValueError where one stands twice."""
    ids = [entry.id for entry in entries]
    if twice := repeated(ids):
        raise ValueError(f"guardrail {twice[0]} stands twice; ids are unique")
    return entries
