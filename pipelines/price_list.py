"""The weights of the split method ``price_list``: what a GPU, a vCPU and a GiB cost an hour, regressed from the user's own price list.

Belongs here: the schema of an entry, non-negative least squares in exact rationals, and the relation that SQL reads. Does not: which nodes the weights split (SQL),
the policy file (policy.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import duckdb
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.rules import write_relation

MICRO = 1_000_000
VCPU, MEMORY = "vCPU", "GiB of memory"

Row = list[Fraction]


class PriceListEntry(BaseModel):
    """One machine of the price list: what it has, and its price per hour. A machine without GPUs has no ``gpu_model``."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    gpu_model: str | None = None
    gpus: int = Field(default=0, ge=0)
    vcpus: Decimal = Field(ge=0)
    memory_gib: Decimal = Field(ge=0)
    hourly_price: Decimal = Field(gt=0)

    @model_validator(mode="after")
    def _names_what_it_counts(self) -> PriceListEntry:
        if (self.gpus > 0) != bool(self.gpu_model and model_words(self.gpu_model)):
            raise ValueError(f"{self.name}: gpus and gpu_model go together")
        return self


@dataclass(frozen=True)
class Weight:
    """The weight of one ``resource`` (gpu, vcpu, memory_gib), in whole micro-dollars an hour; ``gpu_model`` in words, for gpu only.

    ``is_zeroed``: the prices give it no positive value.
    """

    resource: str
    gpu_model: str | None
    micro_usd: int
    is_zeroed: bool


def write_price_list(connection: duckdb.DuckDBPyConnection, entries: Sequence[PriceListEntry]) -> None:
    """Replace ``policy.price_list_weights`` by the weights of ``entries``, and ``policy.price_list_machines`` by those with GPUs; without entries both are empty."""
    weights = [(w.resource, w.gpu_model, w.micro_usd, w.is_zeroed) for w in regress(entries)] if entries else []
    write_relation(connection, "price_list_weights", "resource varchar, gpu_model varchar, weight bigint, is_zeroed boolean", weights)
    machines = [(e.name, model_words(e.gpu_model), e.gpus, e.hourly_price) for e in entries if e.gpu_model]
    columns = "machine varchar, gpu_model varchar, gpus bigint, hourly_price decimal(38, 12)"
    write_relation(connection, "price_list_machines", columns, machines)


def model_words(name: str) -> str:
    """A GPU model as words: lower case, letters and digits, one blank between two (the macro ``model_words`` in SQL)."""
    return re.sub("[^a-z0-9]+", " ", name.lower()).strip()


def regress(entries: Sequence[PriceListEntry]) -> list[Weight]:
    """The weights that explain the prices best: minimal sum of squared differences, none negative.

    One unknown for each GPU model, one for vCPUs, one for GiB. Exact: fractions all the way, rounded (half-even) to whole micro-dollars
    once, at the end. Raises ValueError, saying what is missing, where the entries do not determine every unknown.
    """
    models = sorted({model_words(e.gpu_model) for e in entries if e.gpu_model})
    names = [*(f"GPU {m}" for m in models), VCPU, MEMORY]
    rows = [
        [
            *(Fraction(e.gpus if e.gpu_model and model_words(e.gpu_model) == m else 0) for m in models),
            Fraction(e.vcpus),
            Fraction(e.memory_gib),
        ]
        for e in entries
    ]
    prices = [Fraction(e.hourly_price) for e in entries]
    _require_determined(rows, names)
    solution = non_negative_least_squares(rows, prices)
    resources = [*(("gpu", m) for m in models), ("vcpu", None), ("memory_gib", None)]
    return [Weight(resource, model, round(value * MICRO), value == 0) for (resource, model), value in zip(resources, solution, strict=True)]


def non_negative_least_squares(rows: Sequence[Row], prices: Row) -> Row:
    """The one x >= 0 that minimises |rows x - prices|, for rows of full column rank: the active-set method of Lawson and Hanson
    (Solving Least Squares Problems, 1974, chapter 23), which ends after finitely many steps because nothing is rounded."""
    width = len(rows[0])
    x: Row = [Fraction(0)] * width
    passive: list[int] = []
    while True:
        rest = [price - _dot(row, x) for row, price in zip(rows, prices, strict=True)]
        gradient = {j: sum(row[j] * r for row, r in zip(rows, rest, strict=True)) for j in range(width) if j not in passive}
        entering = min((j for j, slope in gradient.items() if slope > 0), key=lambda j: (-gradient[j], j), default=None)
        if entering is None:
            return x
        passive.append(entering)
        while True:
            z = least_squares(rows, prices, passive)
            blocking = [j for j in passive if z[j] <= 0]
            if not blocking:
                x = z
                break
            step = min(x[j] / (x[j] - z[j]) for j in blocking)
            x = [a + step * (b - a) for a, b in zip(x, z, strict=True)]
            passive = [j for j in passive if x[j] > 0]


def least_squares(rows: Sequence[Row], prices: Row, columns: Sequence[int]) -> Row:
    """Least squares over ``columns`` alone (normal equations, Gauss-Jordan); the others are 0."""
    system = [
        [*(sum((row[i] * row[j] for row in rows), Fraction(0)) for j in columns),
         sum((row[i] * p for row, p in zip(rows, prices, strict=True)), Fraction(0))]
        for i in columns
    ]  # fmt: skip
    reduced, _ = _reduce(system, len(system))
    x = [Fraction(0)] * len(rows[0])
    for line, j in enumerate(columns):
        x[j] = reduced[line][-1]
    return x


def _require_determined(rows: Sequence[Row], names: Sequence[str]) -> None:
    if len(rows) < len(names):
        raise ValueError(
            f"{len(rows)} entries for {len(names)} unknowns ({', '.join(names)}): add at least {len(names) - len(rows)} more, "
            "for example machines without GPUs, one with much and one with little memory per vCPU"
        )
    for column, name in enumerate(names):
        if all(row[column] == 0 for row in rows):
            raise ValueError(f"no entry has any {name}")
    reduced, pivots = _reduce(rows, len(names))
    if free := [j for j in range(len(names)) if j not in pivots]:
        bound = [names[pivots[line]] for line in range(len(pivots)) if reduced[line][free[0]] != 0]
        raise ValueError(
            f"{names[free[0]]} cannot be told apart from {', '.join(bound)}: on every entry they stand in the same proportion; "
            "add a machine where they do not"
        )


def _reduce(matrix: Sequence[Row], width: int) -> tuple[list[Row], list[int]]:
    """Reduced row echelon form over the first ``width`` columns, and the column of each pivot."""
    rows = [list(row) for row in matrix]
    pivots: list[int] = []
    for column in range(width):
        line = len(pivots)
        found = next((i for i in range(line, len(rows)) if rows[i][column] != 0), None)
        if found is None:
            continue
        rows[line], rows[found] = rows[found], rows[line]
        head = rows[line][column]
        rows[line] = [v / head for v in rows[line]]
        for i, row in enumerate(rows):
            if i != line and row[column] != 0:
                rows[i] = [v - row[column] * p for v, p in zip(row, rows[line], strict=True)]
        pivots.append(column)
    return rows, pivots


def _dot(row: Row, x: Row) -> Fraction:
    return sum((a * b for a, b in zip(row, x, strict=True)), Fraction(0))
