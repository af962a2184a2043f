"""An explanation as people read it.

Belongs here: the lines that `apportion explain` prints. Does not: any figure or sentence (explain.py, words.py).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pipelines.explaining.ledger import PLACEMENT
from pipelines.report import usd

_GROUP = tuple("is_received" if "=" in column else column for column in PLACEMENT)


def answer_lines(answer: dict[str, Any], most: int) -> list[str]:
    """Sum, placements, distribution pools, ledger rows (with bill rows), and last the release's figures. most: bill rows of each; 0: all."""
    keys = f" ({', '.join(answer['workload_keys'])})" if answer["workload_keys"] else ""
    text = [f"{answer['question']}{keys}: {usd(answer['cost_usd'])}, exactly {_exact(answer['cost_usd'])} (release {answer['release_id']})"]
    numbers: dict[tuple[Any, ...], int] = {}
    for charge in answer.get("charges", []):
        text += _charge_lines(charge)
    text += ["", "What placed it"]
    for number, entry in enumerate(answer["placements"], start=1):
        numbers[tuple(entry[name] for name in _GROUP)] = number
        cost = "" if "charges" in answer else f"{usd(entry['cost_usd']):>14}  "
        text.append(f"  [{number}] {cost}{entry['cost_class']}, {entry['component']}: {entry['placed_by']}")
    for pool in answer["pools"][: most or None]:
        text += _pool_lines(pool, most)
    text += _more(answer["pools"], most, "taken_usd", "pool(s)")
    text += ["", "Ledger rows, dearest first" if "charges" not in answer else "What became of it"]
    shares = {(s["line_id"]): s for charge in answer.get("charges", []) for s in charge["shares"]}
    for row in answer["rows"]:
        number = numbers.get(tuple(row[name] for name in _GROUP), 0)
        text.append(f"  [{number}] {_row_line(row, shares.get(row['line_id']))}")
        if row.get("tag"):
            text.append(f"        {row['tag']}")
        text += _share_lines(row, most)
    hidden = answer["row_count"] - len(answer["rows"])
    if hidden:
        rest = answer["cost_usd"] - sum((row["cost_usd"] for row in answer["rows"]), Decimal(0))
        text.append(f"      and {hidden:,} more row(s): {_exact(rest)} (all with --rows 0 or --json)")
    return text + _sum_lines(answer)


def _row_line(row: dict[str, Any], share: dict[str, Any] | None) -> str:
    place = row["node"] or row["resource_id"] or row["account_id"] or row["source"]
    whose = row["attempt_key"] or row["workload_key"] or (f"team {row['team']}" if row["team"] else "nobody")
    what = " ".join(str(v) for v in (row["sku"], row["line_item_type"]) if v) or row["service"] or row["charge_category"]
    start = f"{row['window_start']:%Y-%m-%d %H:%M} {place} {what}"
    if share is not None:
        sign = "" if row["stage"] == "allocated" else f" by rule {row['rule_id']}"
        return f"{start} -> {whose}, {row['cost_class']}{sign}: {_exact(share['cost_usd'])}"
    ratio = row["allocation_weight"] / row["bucket_weight"]
    seconds = "" if row["gpu_seconds"] is None else f", {row['gpu_seconds'].normalize():f} GPU-s"
    if row["stage"] == "distributed":
        origin = (
            f"pool of {usd(row['bucket_cost_usd'])} x {ratio:.9f}" if row["is_received"] else f"taken from bucket {row['bucket_key'][:12]}"
        )
        return f"{start} -> {whose}, {row['cost_class']} by rule {row['rule_id']}: {origin} = {_exact(row['cost_usd'])}"
    bucket = f"{row['charge_count']} charge(s) {usd(row['bucket_cost_usd'])} [bucket {row['bucket_key'][:12]}]"
    return f"{start}: {bucket} x {ratio:.9f} -> {whose}, {row['cost_class']}: {_exact(row['cost_usd'])}{seconds}"


def _share_lines(row: dict[str, Any], most: int) -> list[str]:
    shares = row.get("charges", [])
    text = []
    for share in shares[: most or None]:
        of = share["charge_description"] or share["line_item_type"]
        text.append(f"        {_exact(share['cost_usd'])} of {_exact(share['charge_usd'])}: bill row {share['charge']} ({of})")
    return text + [f"        {line.strip()}" for line in _more(shares, most, "cost_usd", "bill row(s)")]


def _charge_lines(charge: dict[str, Any]) -> list[str]:
    rate = "" if charge["exchange_rate"] == 1 else f" at {_exact(charge['exchange_rate'])} USD"
    amounts = f"{_exact(charge['source_cost'])} {charge['currency']} on the bill{rate}, effective {_exact(charge['effective_cost'])} USD"
    start = f"{charge['usage_start']:%Y-%m-%d %H:%M}" if charge["usage_start"] else f"{charge['usage_date']}"
    what = " ".join(str(v) for v in (charge["service"], charge["sku"], charge["line_item_type"], charge["resource_id"]) if v)
    place = f"charge {charge['charge_rank']} of {charge['charge_count']} in bucket {charge['bucket_key']}"
    return [f"  {charge['charge']}: {start} {what}", f"    {amounts}; {place} of {charge['usage_date']}"]


def _pool_lines(pool: dict[str, Any], most: int) -> list[str]:
    seen = ", ".join(f"{name} {pool[name]}" for name in ("cost_class", "source", "account_id", "service", "reason") if pool[name])
    text = [f"  pool {pool['distribution_key'][:12]} of {pool['usage_date']}, rule {pool['rule_id']}: {pool['rule']}"]
    text.append(f"    took {_exact(pool['taken_usd'])} in {pool['taken_rows']} row(s): {seen}")
    for got in pool["recipients"][: most or None]:
        text.append(
            f"    gave {_exact(got['cost_usd'])} to {got['recipient']}: {got['allocation_weight']}/{got['bucket_weight']} by {got['weight']}"
        )
    return text + [f"  {line}" for line in _more(pool["recipients"], most, "cost_usd", "recipient(s)")]


def _sum_lines(answer: dict[str, Any]) -> list[str]:
    text = ["", f"Sum: {_exact(answer['cost_usd'])}"]
    if answer.get("distributed_usd"):
        text[-1] += (
            f" = {_exact(answer['allocated_usd'])} before distribution {answer['distributed_usd'].normalize():+f} by distribution rules"
        )
    for figure in answer["figures"]:
        verdict = "equal" if figure["is_equal"] else "NOT EQUAL"
        text.append(f"  {_exact(figure['explained_usd'])} | {_exact(figure['published_usd'])} {figure['figure']}: {verdict}")
    return text


def _more(entries: list[dict[str, Any]], most: int, amount: str, what: str) -> list[str]:
    hidden = entries[most:] if most else []
    return [f"  and {len(hidden):,} more {what}: {_exact(sum(e[amount] for e in hidden))}"] if hidden else []


def _exact(value: Any) -> str:
    """A decimal with all its digits and no trailing zeros."""
    return "-" if value is None else f"{Decimal(value).normalize():f}"
