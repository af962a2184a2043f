"""What holds of levers whatever the fleet: nobody saves more than was paid, idle levers no more than idled, nothing is added twice, order does not matter, and
a fleet that is busy, or of which nobody knows anything, has none. And `apportion levers` says it.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from pipelines.errors import UsageError
from pipelines.savings import find_levers, lever_lines
from tests.governance.fleet import FORTNIGHT, GIB, Row, fill_fleet, free, held, hours, requests

ON_IDLE_TIME = (
    "raise_utilization",
    "share_gpu",
    "use_mig",
    "scale_to_zero",
    "schedule_off",
    "downsize_endpoint",
    "stop_notebook",
    "release_idle_pool",
)
GPUS = ["NVIDIA L4", "NVIDIA-A100-SXM4-40GB", "NVIDIA H100 80GB HBM3", "NVIDIA A30", "something else", None]
ALL_RULES: dict[str, Any] = {
    "minimum_saving_usd_per_month": 0, "minimum_known_ratio": "0.3", "interruption_tolerant_models": ["m1"],
    "compress": [{"scope_type": "model", "scope": "m0", "speedup_ratio": "1.7", "evidence": "bench"}],
    "spot_prices": [{"gpu_model": "A100", "usd_per_gpu_hour": "0.7", "evidence": "price page"}],
}  # fmt: skip


def some_fleet(seed: int) -> tuple[list[Row], list[Row]]:
    """Workloads of every kind, each with its own habits: busy hours, quiet ones, unknown ones, changing prices and pools."""
    chance = random.Random(seed)
    rows: list[Row] = []
    counted: list[Row] = []
    kinds = ["training_run", "endpoint", "notebook", "job"]
    for number in range(12):
        workload = f"{kinds[number % 4]}/w{number}"
        pool, gpu, price = f"pool{chance.randrange(3)}", chance.choice(GPUS), str(chance.choice(["0.7", "2.13", "4.000000000001"]))
        columns: Row = {
            "pool": pool, "gpu_model": gpu, "gpus": chance.choice([1, 1, 2, 8]), "usd": price, "model": f"m{number % 3}" if chance.random() < 0.7 else None,
            "tolerance_basis": chance.choice([None, "checkpoint"]), "peak_memory_kib": chance.choice([None, 3 * GIB, 30 * GIB]), "owner_team": f"t{number % 3}", "instance_type": "m.large",
        }  # fmt: skip
        peak, quiet = Decimal(chance.choice([3, 9, 15, 30, 60, 99])) / 100, chance.randrange(24)
        is_seen, is_left = chance.random() < 0.6, number == 6
        for hour in hours(FORTNIGHT[: chance.choice([14, 14, 9])]):
            if chance.random() < 0.05:
                rows.append(free(hour, pool, node=f"{workload}-node", gpus=columns["gpus"], usd=price, is_known=chance.random() < 0.8))
                continue
            busy = Decimal(0) if hour.hour < quiet or (is_left and hour.date() > FORTNIGHT[7]) else peak * chance.randrange(101) / 100
            unknown = "0" if is_seen else chance.choice(["0", "0", "0", "0.25", "1"])
            pricing = "spot" if number == 3 else "on_demand"
            rows.append(held(hour, workload, busy, unknown=unknown, **columns, peak_activity_ratio=peak, pricing_category=pricing))
            if number % 4 == 1 and chance.random() < 0.9:
                counted.append(requests(hour, f"w{number}", 0 if hour.hour < quiet else 10))
    for hour in hours():
        rows.append(free(hour, "pool0", node="spare", owner_team="infra"))
    return rows, counted


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


@pytest.mark.parametrize("seed", [6, 7])
def test_no_lever_saves_more_than_was_paid_and_order_does_not_matter(governed, seed: int) -> None:
    rows, counted = some_fleet(seed)
    machines = [("one", "l4", 1, "0.4"), ("eight", "a100", 8, "9.7")]

    def fill(rows: list[Row], counted: list[Row]):
        def put_all(connection: duckdb.DuckDBPyConnection) -> None:
            fill_fleet(connection, rows, counted)
            connection.executemany("insert into policy.price_list_machines values (?, ?, ?, ?)", machines)

        return put_all

    connection = governed(fill(rows, counted), {"levers": ALL_RULES})
    found = _rows(
        connection, "select lever_kind, scope_type, scope, observed_cost_usd, saving_usd, is_best_of_group from published.fct_lever"
    )
    assert len({kind for kind, *_ in found}) >= 8, "the fleet has too little in it"
    paid: dict[str, Decimal] = {}
    idled: dict[str, Decimal] = {}
    for row in rows:  # the same roll-up, by hand
        workload = row["workload_key"]
        is_run = workload and not workload.startswith(("endpoint", "notebook"))
        scope = (row.get("model") or row["owner_team"]) if is_run else (workload or row["pool"]).removeprefix("endpoint/")
        paid[scope] = paid.get(scope, Decimal(0)) + row["cost_usd"]
        idled[scope] = idled.get(scope, Decimal(0)) + row["held_idle_cost_usd"] + row["unallocated_idle_cost_usd"]
    # each hour's part is rounded to 1e-12: over 5,000 hours at most 2.5e-9
    rounding = Decimal("0.0000000025")
    for kind, _scope_type, scope, observed, saving, _is_best in found:
        assert 0 < saving <= observed, (kind, scope)
        assert abs(observed - paid[scope]) < rounding, (kind, scope)
        if kind in ON_IDLE_TIME:
            assert saving <= idled[scope] + rounding, (kind, scope)
    best = [(scope_type, scope) for _, scope_type, scope, _, _, is_best in found if is_best]
    assert len(best) == len(set(best)) == len({(scope_type, scope) for _, scope_type, scope, *_ in found})
    assert sum(saving for *_, saving, is_best in found if is_best) <= sum(paid.values())
    if seed == 6:
        random.Random(9).shuffle(rows)
        shuffled = governed(fill(rows, counted[::-1]), {"levers": ALL_RULES})
        everything = "select * from published.fct_lever order by all"
        assert _rows(shuffled, everything) == _rows(connection, everything)


def test_a_busy_fleet_and_an_unknown_one_have_no_lever(governed) -> None:
    rows: list[Row] = []
    columns: Row = {"gpu_model": "NVIDIA A100-SXM4-40GB", "peak_memory_kib": 30 * GIB}
    for hour in hours():
        for kind in ("training_run", "endpoint", "notebook", "job"):
            rows += [
                held(hour, f"{kind}/busy", "0.9", gpus=2, **columns, pool="a"),
                held(
                    hour,
                    f"{kind}/unknown",
                    "0",
                    gpus=2,
                    unknown="1",
                    **columns,
                    peak_activity_ratio=None,
                    tolerance_basis="checkpoint",
                    pool="b",
                ),
            ]
        rows.append(free(hour, "c", is_known=False))
    connection = governed(lambda connection: fill_fleet(connection, rows), {"levers": {"minimum_saving_usd_per_month": 0}})
    assert _rows(connection, "select count(*) from published.fct_workload_hourly") == [(336 * 9,)]
    assert _rows(connection, "select * from published.fct_lever") == []
    connection.execute("set schema = 'published'")
    assert lever_lines(find_levers(connection, team="nlp")) == ["No lever of nlp: nothing above the thresholds of `governance.levers`"]


def test_few_days_and_few_dollars_are_no_lever(governed) -> None:
    # six days are not seven; 462 / 14 / 10 a day at a tenth of the price: $46.2 in 14 days is $100.375 a month, above $50, and at a twentieth $50.19, at $0.099
    # 336 x 0.099 x (1 - 0.25 / 0.8) = 22.869 in 14 days, x 365 / 168 = $49.69
    def one(days: int, usd: str) -> list[tuple[Any, ...]]:
        rows = [held(hour, "training_run/r", "0.25", model="r", usd=usd) for hour in hours(FORTNIGHT[:days])]
        connection = governed(lambda connection: fill_fleet(connection, rows))
        return _rows(connection, "select saving_usd, round(saving_usd_per_month, 2) from published.fct_lever")

    assert one(6, "2") == []
    assert one(14, "0.1") == [(Decimal("23.1"), Decimal("50.19"))]
    assert one(14, "0.099") == []


def test_the_command_counts_no_dollar_twice() -> None:
    connection = duckdb.connect()
    connection.execute(
        "create table fct_lever as select * from (values"
        " ('compress', 'endpoint', 'chat', 'nlp', 90.0, 'medium', 'high', 'endpoint/chat', '{\"used_usd\": 40.5, \"peak\": null}', 'deploy it'),"
        " ('scale_to_zero', 'endpoint', 'chat', 'nlp', 100.0, 'high', 'medium', 'endpoint/chat', '{\"quiet_hours\": 84}', 'let it sleep'),"
        " ('delete_orphaned_disk', 'resource', 'vol-1', null, 5.0, 'high', 'low', null, '{}', 'delete it')"
        ") as v(lever_kind, scope_type, scope, team, saving_usd_per_month, confidence, effort, overlap_group, evidence, action),"
        " (select null as environment, date '2026-10-05' as observed_from, date '2026-10-18' as observed_to, 14 as observed_days)"
    )
    found = find_levers(connection)
    assert (found["counted"], found["saving_usd_per_month"]) == (2, Decimal(105))
    lines = lever_lines(found)
    assert lines[:3] == [
        "     $100.00 a month  scale_to_zero      endpoint chat  nlp  confidence high, effort medium",
        "              2026-10-05 to 2026-10-18 (14 days): quiet_hours 84",
        "              let it sleep",
    ]
    assert lines[3].endswith("(same dollars as a dearer lever: not in the total)")
    assert lines[4].endswith("used_usd 40.5, peak unknown")
    assert lines[-1] == "$105.00 a month from 2 of 3 levers; the others claim the same dollars"
    # asked for one kind, its own dollars count
    assert find_levers(connection, kind="compress")["saving_usd_per_month"] == Decimal(90)
    assert [row["scope"] for row in find_levers(connection, team="")["levers"]] == ["vol-1"]
    with pytest.raises(UsageError, match="no lever of kind 'use_spot'"):
        find_levers(connection, kind="use_spot")
