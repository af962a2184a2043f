"""Control totals: what a bill's files sum to when they come in, measured without the warehouse.

Belongs here: the measuring, in whole units of digits (no decimal or floating point arithmetic of the engine takes part), and the
refusal of a conversion that loses more than rounding may. Does not: whether text is money at all (money.py), comparing with what was
published (dbt models).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from pathlib import Path

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.engine import connect, literal
from pipelines.source import ControlTotal

DIMENSIONS = ("currency", "account_id", "invoice_id")
_STORED_PLACES, _EXACT_PLACES = 12, 24
_HALF = 500_000_000_000  # half of the last stored place, in units of the 24th
_PRECISION = 80

# A distinct amount `text`, found `n` times. Exponents are written out (at most 40 zeros before the digits, at most 20 behind them:
# amounts are below 1e14), then the digits before the 13th place and those from the 13th to the 24th are read as whole numbers.
_UNITS = """
    WITH texts AS (SELECT *, lower(ltrim(text, '+-')) AS bare, starts_with(text, '-') AS negative FROM amounts),
    scientific AS (SELECT *, split_part(bare, 'e', 1) AS mantissa, coalesce(TRY_CAST(split_part(bare, 'e', 2) AS BIGINT), 0) AS exponent FROM texts),
    digits AS (
        SELECT *, replace(mantissa, '.', '') AS digit, strlen(split_part(mantissa, '.', 1)) + exponent AS point FROM scientific
    ),
    plain AS (
        SELECT *, CASE
            WHEN contains(bare, 'e') AND point <= 0 THEN '0.' || repeat('0', least(-point, 40)) || digit
            WHEN contains(bare, 'e') AND point >= strlen(digit) THEN digit || repeat('0', least(point - strlen(digit), 20))
            WHEN contains(bare, 'e') THEN left(digit, point) || '.' || substr(digit, point + 1)
            ELSE bare
        END AS number FROM digits
    ),
    places AS (SELECT *, split_part(number, '.', 1) AS whole, rpad(split_part(number, '.', 2), 25, '0') AS fraction FROM plain),
    units AS (
        SELECT *,
            coalesce(TRY_CAST(ltrim(whole, '0') AS HUGEINT), 0) * 1000000000000 + left(fraction, 12)::BIGINT AS head,
            substr(fraction, 13, 12)::BIGINT + CASE WHEN substr(fraction, 25, 1) >= '5' THEN 1 ELSE 0 END AS tail
        FROM places
    ),
    rounded AS (
        SELECT *, CASE WHEN negative THEN -1 ELSE 1 END AS sign,
            CASE WHEN tail > {half} OR (tail = {half} AND head % 2 = 1) THEN 1 ELSE 0 END AS up
        FROM units
    )
    SELECT {dimensions}, sum(n)::BIGINT AS amounts, sum(sign * (head + up) * n) AS stored,
        sum(sign * (tail - up * 1000000000000)::HUGEINT * n) AS delta
    FROM rounded GROUP BY ALL
"""


def control_totals(
    parquet: Path,
    money: str,
    dimensions: Mapping[str, str],
    *,
    money_lists: Sequence[str] = (),
    where: str,
    scratch: Path,
) -> tuple[ControlTotal, ...]:
    """Measure one landed Parquet file whose money ``check_money`` has passed.

    Args:
        money: SQL over the file's columns: one amount a row, as decimal text or a number; NULL and '' are no amount. Numbers are taken
            at their shortest round-trip text, as the raw views take them.
        dimensions: for each of ``currency``, ``account_id``, ``invoice_id`` the SQL that gives it; '' is NULL, absent is NULL.
        money_lists: SQL of lists of further amounts of the row (credits); each amount is converted by itself, then added.
        where: what to call the file in messages.

    Returns one total for each combination of the dimensions, ordered by them, NULL first. ``amount`` is the sum of the amounts, each
    rounded half-even from 24 to 12 places (the money rule); ``conversion_delta`` is the sum of what that rounding took away.
    Raises DeliveryRefused where the delta is more than half of the last place for each amount.
    """
    unknown = set(dimensions) - set(DIMENSIONS)
    if unknown:
        raise ValueError(f"not a dimension of control totals: {sorted(unknown)}")
    keys = ", ".join(f"nullif(CAST({dimensions.get(d, 'NULL')} AS VARCHAR), '') AS {d}" for d in DIMENSIONS)
    names = ", ".join(DIMENSIONS)
    with connect(scratch) as con:
        con.execute(f"CREATE VIEW file AS SELECT * FROM read_parquet({literal(parquet)}, hive_partitioning=false)")  # noqa: S608
        sources = [f"SELECT {keys}, {money} AS value FROM file"]  # noqa: S608 - SQL of the caller's own columns
        sources += [f"SELECT {keys}, unnest({each}) AS value FROM file" for each in money_lists]  # noqa: S608
        for number, select in enumerate(sources):
            # equal amounts are many in a bill: they are converted once
            con.execute(
                f"CREATE TABLE part_{number} AS SELECT {names}, CAST(value AS VARCHAR) AS text, n FROM"  # noqa: S608
                f" (SELECT {names}, value, count(*) AS n FROM ({select}) GROUP BY ALL) WHERE coalesce(CAST(value AS VARCHAR), '') <> ''"
            )
        union = " UNION ALL ".join(f"SELECT * FROM part_{number}" for number in range(len(sources)))  # noqa: S608
        con.execute(f"CREATE VIEW amounts AS {union}")
        rows = {tuple(row[:3]): row[3] for row in con.execute(f"SELECT {keys}, count(*) FROM file GROUP BY ALL").fetchall()}  # noqa: S608
        found = {tuple(row[:3]): row[3:] for row in con.execute(_UNITS.format(half=_HALF, dimensions=names)).fetchall()}
    totals = []
    for key in sorted(rows, key=lambda k: [(v is not None, v or "") for v in k]):
        amounts, stored, delta = found.get(key, (0, 0, 0))
        total = ControlTotal(*key, rows=rows[key], amount=_scaled(stored, _STORED_PLACES), conversion_delta=_scaled(delta, _EXACT_PLACES))
        _check(total, amounts, where)
        totals.append(total)
    return tuple(totals)


def merged(totals: Iterable[ControlTotal]) -> tuple[ControlTotal, ...]:
    """The totals of several files as those of one delivery."""
    sums: dict[tuple[str | None, str | None, str | None], ControlTotal] = {}
    with localcontext() as context:
        context.prec = _PRECISION
        for each in totals:
            key = (each.currency, each.account_id, each.invoice_id)
            so_far = sums.get(key, ControlTotal(*key, rows=0, amount=Decimal(0), conversion_delta=Decimal(0)))
            sums[key] = ControlTotal(
                *key,
                rows=so_far.rows + each.rows,
                amount=so_far.amount + each.amount,
                conversion_delta=so_far.conversion_delta + each.conversion_delta,
            )
    return tuple(sums[key] for key in sorted(sums, key=lambda k: [(v is not None, v or "") for v in k]))


def _check(total: ControlTotal, amounts: int, where: str) -> None:
    with localcontext() as context:
        context.prec = _PRECISION
        most = amounts * Decimal("0.5e-12")
    if abs(total.conversion_delta) > most:
        raise DeliveryRefused(
            f"converting {amounts} amounts changed their sum by {total.conversion_delta}; rounding may change it by {most}",
            where=where,
            remedy="report this file: the engine converts money otherwise than the money rule says",
        )


def _scaled(units: int, places: int) -> Decimal:
    with localcontext() as context:
        context.prec = _PRECISION
        return Decimal(int(units)).scaleb(-places)
