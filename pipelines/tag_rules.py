"""The policy's tag rules: aliases, value maps and repairs, each with the UTC days on which it holds.

Belongs here: their schema, their validation, and the relations that SQL reads. Does not: how a tag is joined (macros/tags.sql).
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Literal, get_args

import duckdb
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipelines.repeated import repeated
from pipelines.rules import Dated, write_relation

RepairedKey = Literal["team", "model", "environment", "project"]
RepairColumn = Literal["workload_key", "resource_id", "pool", "namespace", "cluster", "service", "account_id", "source"]
# Most selective first: the first that a repair names is the one by which its rows are looked up.
REPAIR_COLUMNS: tuple[str, ...] = get_args(RepairColumn)
REPAIRED_KEYS: tuple[str, ...] = get_args(RepairedKey)
MOST_COMBINATIONS = 1000

_RELATIONS = {
    "tag_aliases": "canonical_key varchar, alias varchar, alias_rank bigint, is_case_folded boolean, valid_from date, valid_to date",
    "tag_values": "canonical_key varchar, raw_value varchar, canonical_value varchar, valid_from date, valid_to date",
    "tag_repairs": "repair_id varchar, repair_rank bigint, canonical_key varchar, canonical_value varchar, is_override boolean,"
    " valid_from date, valid_to date, reason varchar, author varchar, matches varchar, lead_column varchar, lead_value varchar, "
    + ", ".join(f"{column} varchar" for column in REPAIR_COLUMNS),
}


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _mapped(value: object) -> object:
    found = value if isinstance(value, list) else [value]
    return [{"to": one} if isinstance(one, str) else one for one in found]


class Alias(Dated):
    """One tag name that means a key; in the file a name, or a name with days."""

    name: str = Field(min_length=1)


class MappedValue(Dated):
    """What a raw value means; in the file a text, a text with days, or a list of these."""

    to: str = Field(min_length=1)


class TagRule(BaseModel):
    """How one canonical key is read from tags and labels."""

    model_config = ConfigDict(extra="forbid")

    aliases: list[Annotated[Alias, BeforeValidator(_named)]] = Field(min_length=1)
    fold_case: bool = False
    values: dict[str, Annotated[list[MappedValue], BeforeValidator(_mapped)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_one_thing_a_day(self) -> TagRule:
        _refuse_overlaps("alias", ((alias.name.lower(), alias) for alias in self.aliases))
        _refuse_overlaps("value", ((folded(raw), rule) for raw, rules in self.values.items() for rule in rules))
        return self


class TagRepair(BaseModel):
    """A value for a key that nobody tagged: whose resource, workload, pool or account it is, from when on, why, and who says so.

    match: column -> wanted value or values; all columns must hold. set: key -> value. valid_from has no default: a repair does not leak
    into the past unless it says ``beginning``. It fills what is missing; with ``override`` it also replaces what a tag says.
    """

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern="^[a-z0-9][a-z0-9_-]*$")
    match: dict[RepairColumn, Annotated[list[str], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]] = Field(min_length=1)
    set: dict[RepairedKey, str] = Field(min_length=1)
    valid_from: dt.date | Literal["beginning"]
    valid_to: dt.date | None = None
    reason: str = Field(min_length=1)
    author: str = Field(min_length=1)
    override: bool = False

    @model_validator(mode="after")
    def _is_consistent(self) -> TagRepair:
        if self.first_day and self.valid_to and self.first_day >= self.valid_to:
            raise ValueError("valid_to (exclusive) must be after valid_from")
        if empty := [column for column, values in self.match.items() if not values or "" in values]:
            raise ValueError(f"no value for {empty[0]}: a repair names what it is for")
        if empty := [key for key, value in self.set.items() if not value.strip()]:
            raise ValueError(f"no value for {empty[0]}")
        if [text for text in (*self.set.values(), self.author, self.reason) if text.startswith("<")]:
            raise ValueError("a placeholder in angle brackets is still to be filled in")
        if len(list(itertools.product(*self.match.values()))) > MOST_COMBINATIONS:
            raise ValueError(f"more than {MOST_COMBINATIONS} combinations of values: make several repairs of it")
        return self

    @property
    def first_day(self) -> dt.date | None:
        """None: from the beginning."""
        return None if self.valid_from == "beginning" else self.valid_from

    def rows(self, rank: int, folded_keys: Collection[str]) -> list[tuple[object, ...]]:
        """Its rows of policy.tag_repairs: one for each combination of wanted values and each key; values of folded keys in lower case."""
        columns = [column for column in REPAIR_COLUMNS if column in self.match]
        matches = json.dumps({column: sorted(set(self.match[column])) for column in sorted(columns)}, ensure_ascii=False)  # type: ignore[index]
        found = []
        for values in itertools.product(*(sorted(set(self.match[column])) for column in columns)):  # type: ignore[index]
            wanted = dict(zip(columns, values, strict=True))
            for key, value in sorted(self.set.items()):
                said = unicodedata.normalize("NFC", value.strip())
                found.append((
                    self.id, rank, key, said.lower() if key in folded_keys else said, self.override, self.first_day, self.valid_to, self.reason,
                    self.author, matches, columns[0], wanted[columns[0]], *(wanted.get(column) for column in REPAIR_COLUMNS),
                ))  # fmt: skip
        return found


def folded(raw: str) -> str:
    """A raw value as SQL compares it: without outer blanks, in one Unicode form, in lower case."""
    return unicodedata.normalize("NFC", raw.strip()).lower()


def _refuse_overlaps(what: str, rules: Iterable[tuple[str, Dated]]) -> None:
    """Two rules for one name must not hold on one day: which of them counts would be nobody's word."""
    by_name: dict[str, list[Dated]] = {}
    for name, rule in rules:
        by_name.setdefault(name, []).append(rule)
    for name, same in by_name.items():
        same.sort(key=lambda rule: rule.valid_from or dt.date.min)
        for one, following in itertools.pairwise(same):
            if one.valid_to is None or one.valid_to > (following.valid_from or dt.date.min):
                raise ValueError(f"{what} {name} stands twice for the same days")


def unique_repairs(repairs: list[TagRepair]) -> list[TagRepair]:
    """The repairs, if each has an id of its own; ValueError where one stands twice."""
    ids = [repair.id for repair in repairs]
    if twice := repeated(ids):
        raise ValueError(f"repair {twice[0]} stands twice; ids are unique")
    return repairs


def write_tag_rules(connection: duckdb.DuckDBPyConnection, tags: Mapping[str, TagRule], repairs: Iterable[TagRepair]) -> None:
    """Replace policy.tag_aliases, policy.tag_values and policy.tag_repairs."""
    folded_keys = {key for key, rule in tags.items() if rule.fold_case}
    rows: dict[str, list[tuple[object, ...]]] = {
        "tag_aliases": [
            (key, alias.name.lower(), rank, rule.fold_case, alias.valid_from, alias.valid_to)
            for key, rule in sorted(tags.items())
            for rank, alias in enumerate(rule.aliases)
        ],
        "tag_values": [
            (key, folded(raw), value.to, value.valid_from, value.valid_to)
            for key, rule in sorted(tags.items())
            for raw, values in sorted(rule.values.items())
            for value in values
        ],
        "tag_repairs": [row for rank, repair in enumerate(repairs) for row in repair.rows(rank, folded_keys)],
    }
    for name, columns in _RELATIONS.items():
        write_relation(connection, name, columns, rows[name])
