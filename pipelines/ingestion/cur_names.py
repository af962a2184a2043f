"""The names of a legacy Cost and Usage Report's columns, and where each leads: they vary from month to month.

Belongs here: a header -> the raw columns, tags, cost categories and product attributes it provides. Does not: reading files
(cur_files.py), the raw columns themselves (cur_columns.py).

CSV names are ``category/Name`` (``lineItem/UnblendedCost``), Parquet names are CUR 2.0's own (``line_item_unblended_cost``). Letters'
case and underscores are passed over, so that every spelling of one column leads to one raw column: ``reservation/ReservationARN`` and
``reservation_reservation_a_r_n``, ``savingsPlan/SavingsPlanARN`` and ``savingsPlan/SavingsPlanArn``. Tags and cost categories are data:
their names are kept as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.cur_columns import LINE_ITEMS, REQUIRED

COLLECTED = {"resource_tags": "resourcetags", "cost_category": "costcategory", "product": "product"}
# a raw column that a legacy report tells under several names: the first that is not empty counts
ALTERNATIVES = {"product_region_code": ("product_region_code", "product_region")}
_CATEGORIES = {
    "identity", "bill", "lineitem", "product", "pricing", "reservation", "savingsplan", "discount", "splitlineitem",
}  # fmt: skip
_PLAIN = [c.name for c in LINE_ITEMS.columns if c.type != "JSON"]


@dataclass(frozen=True)
class Names:
    """Where a header leads, by column position.

    plain: raw column -> positions, of which the first that is not empty counts. collected: raw JSON column -> {key: position}.
    ignored: names that lead nowhere, as they stand.
    """

    plain: dict[str, tuple[int, ...]]
    collected: dict[str, dict[str, int]]
    ignored: tuple[str, ...]


def legacy_names(header: Sequence[str], where: str) -> Names:
    """Read a legacy report's header.

    Raises DeliveryRefused for a required column that is missing, and where two columns mean the same raw column, tag or category.
    """
    wanted = {_compact(name): (raw, rank) for raw in _PLAIN for rank, name in enumerate(ALTERNATIVES.get(raw, (raw,)))}
    plain: dict[str, dict[int, int]] = {}
    collected: dict[str, dict[str, int]] = {raw: {} for raw in COLLECTED}
    ignored = []
    for position, name in enumerate(header):
        found = wanted.get(_compact_header(name))
        if found is not None:
            raw, rank = found
            other = plain.setdefault(raw, {}).setdefault(rank, position)
            if other != position:
                raise _twice(raw, header[other], name, where)
            continue
        raw, key = _collected(name)
        if not raw:
            ignored.append(name)
            continue
        if raw == "product" and key in collected[raw]:  # attributes that differ by case only: the later one keeps its own spelling
            key = name
        if key in collected[raw]:
            raise _twice(f"{raw} {key!r}", header[collected[raw][key]], name, where)
        collected[raw][key] = position
    if absent := [raw for raw in REQUIRED if raw not in plain]:
        raise DeliveryRefused(
            f"column missing from the report: {', '.join(absent)}",
            where=where,
            remedy="have AWS deliver the report with all columns (is it a legacy Cost and Usage Report?)",
        )
    return Names({raw: tuple(ranks[r] for r in sorted(ranks)) for raw, ranks in plain.items()}, collected, tuple(ignored))


def _collected(name: str) -> tuple[str, str]:
    """(raw JSON column, key) of a column that is collected; ('', '') for one that is not."""
    category, slash, key = name.partition("/")
    if slash:
        raw = next((raw for raw, compact in COLLECTED.items() if compact == _compact(category)), "")
    else:
        raw = next((raw for raw in COLLECTED if name.lower().startswith(f"{raw}_")), "")
        key = name[len(raw) + 1 :]
    if not raw or not key:
        return "", ""
    return raw, _snake(key) if raw == "product" else key


def _compact_header(name: str) -> str:
    category, slash, rest = name.partition("/")
    if not slash:
        return _compact(name)
    return _compact(category) + _compact(rest) if _compact(category) in _CATEGORIES else name


def _compact(name: str) -> str:
    return name.replace("_", "").lower()


def _snake(name: str) -> str:
    """AWS's own rule for the Parquet names: an underscore before each capital, but none at the front."""
    return re.sub(r"(?<!^)(?<!_)([A-Z])", r"_\1", name).lower()


def _twice(what: str, one: str, other: str, where: str) -> DeliveryRefused:
    return DeliveryRefused(f"two columns mean {what}: {one!r} and {other!r}", where=where, remedy="have the report delivered again")
