"""Levers over fleets worked by hand: each kind fires where it must, not just under its threshold, and never on time that nobody knows.

Two weeks from Monday 2026-10-05: 336 hours. A month is 365/12 days, so dollars of these 14 days x 365 / 168 are dollars a month.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import duckdb

from tests.governance.fleet import FORTNIGHT, GIB, Row, fill_fleet, free, held, hours, requests

Levers = dict[tuple[str, str], dict[str, Any]]


def levers(connection: duckdb.DuckDBPyConnection) -> Levers:
    """(kind, scope) -> row, the evidence read."""
    cursor = connection.execute("select * from published.fct_lever")
    names = [column[0] for column in cursor.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {(row["lever_kind"], row["scope"]): row | {"evidence": json.loads(row["evidence"])} for row in rows}


def savings(found: Levers, kind: str) -> dict[str, Decimal]:
    return {scope: row["saving_usd"] for (of_kind, scope), row in found.items() if of_kind == kind}


def test_low_utilization_and_shared_gpus(governed) -> None:
    small = {"pool": "l4", "gpu_model": "NVIDIA-L4", "peak_activity_ratio": Decimal("0.2"), "peak_memory_kib": 6 * GIB}
    mig = {"pool": "a100", "gpu_model": "NVIDIA-A100-SXM4-40GB", "peak_activity_ratio": Decimal("0.1"), "usd": "3"}
    rows: list[Row] = []
    for hour in hours():
        rows += [
            held(hour, "training_run/slow-1", "0.25", model="slow", owner_team="nlp", environment="production"),
            held(hour, "training_run/half", "0.5", model="half"),
            held(hour, "training_run/dark", "0.25", unknown="0.25", model="dark"),
            held(hour, "training_run/dusk", "0.25", unknown="0.1", model="dusk"),
            held(hour, "endpoint/e1", "0.1", **small),
            held(hour, "endpoint/e2", "0.1", **small),
            # alone in its pool; memory of 10 of 24 GiB; a peak of 0.41; already shared; memory unknown
            held(hour, "endpoint/alone", "0.1", **small | {"pool": "l4-alone"}),
            held(hour, "endpoint/fat", "0.1", **small | {"peak_memory_kib": 10 * GIB}),
            held(hour, "endpoint/peaky", "0.1", **small | {"peak_activity_ratio": Decimal("0.41")}),
            held(hour, "endpoint/shared", "0.1", **small | {"is_shared": True}),
            held(hour, "endpoint/mute", "0.1", **small | {"peak_memory_kib": None}),
            held(hour, "endpoint/m1", "0.05", **mig, peak_memory_kib=4 * GIB),
            held(hour, "endpoint/m2", "0.05", **mig, peak_memory_kib=4 * GIB + 1),
        ]
    found = levers(governed(lambda connection: fill_fleet(connection, rows)))
    # known - used / 0.8. slow: 336 x $2 = 672 - 168 / 0.8. dusk: nine tenths of that: 604.8 - 151.2 / 0.8. Endpoints at 0.1: 672 - 67.2 / 0.8;
    # m1, m2: 1008 - 50.4 / 0.8. half is not below 0.5; of dark a quarter is unknown, more than a fifth
    raised = savings(found, "raise_utilization")
    small_ones = dict.fromkeys(("e1", "e2", "alone", "fat", "peaky", "shared", "mute"), Decimal(588))
    assert raised == {"slow": Decimal(462), "dusk": Decimal("415.8"), "m1": Decimal(945), "m2": Decimal(945), **small_ones}
    slow = found["raise_utilization", "slow"]
    assert (slow["saving_usd_per_month"], slow["team"], slow["environment"]) == (Decimal("1003.75"), "nlp", "production")  # 462 x 365 / 168
    assert (slow["observed_days"], slow["confidence"], slow["effort"], slow["scope_type"]) == (14, "medium", "high", "model")
    assert slow["evidence"] == {
        "activity_ratio": 0.25, "cost_usd": 672.00, "held_idle_usd": 504.00, "known_gpu_hours": 336.0, "known_ratio": 1.0, "scope_days": 14,
        "target_activity_ratio": 0.8, "workload_count": 1,
    }  # fmt: skip
    # e1 and e2 hold 2 GPUs; min(4, 0.8 / 0.2, 24 GiB x 0.8 / 6) = 3 fit on one, so one is enough: half of 672. m1 and m2 likewise: half of 1008
    assert savings(found, "share_gpu") == {"e1": Decimal(336), "e2": Decimal(336), "m1": Decimal(504), "m2": Decimal(504)}
    assert found["share_gpu", "e1"]["evidence"]["workloads_per_gpu"] == 3
    # 1g has an eighth of 40 GiB, 5, of which 4 may be taken; one KiB more needs 2g, of which three fit
    assert savings(found, "use_mig") == {"m1": Decimal(504), "m2": Decimal(504)}
    assert [found["use_mig", scope]["evidence"]["workloads_per_gpu"] for scope in ("m1", "m2")] == [7, 3]
    # they claim the same dollars: one of them counts
    assert {kind: row["is_best_of_group"] for (kind, scope), row in found.items() if scope == "m1"} == {
        "raise_utilization": True, "share_gpu": False, "use_mig": False,
    }  # fmt: skip


def test_endpoints_without_requests_and_with_too_many_replicas(governed) -> None:
    rows: list[Row] = []
    counted: list[Row] = []
    for hour in hours():
        night = hour.hour < 6
        rows += [
            held(hour, "endpoint/quiet", "0" if night else "0.6"),
            held(hour, "endpoint/hum", "0.02" if night else "0.6"),
            held(hour, "endpoint/blink", "0" if hour.hour % 2 else "0.9"),
            held(hour, "endpoint/dark", "0" if night else "0.6", unknown="1" if hour.hour < 4 else "0"),
            held(hour, "endpoint/asked", "0" if night else "0.6"),
            held(hour, "endpoint/uncounted", "0"),
            held(hour, "endpoint/wide", "0.35" if hour.hour == 12 else "0.3", gpus=4),
            held(hour, "endpoint/tight", "0.41" if hour.hour == 12 else "0.3", gpus=2),
            held(hour, "endpoint/partly", "0.3", gpus=4, unknown="0.5" if hour.hour == 3 else "0"),
        ]
        for endpoint in ("quiet", "hum", "blink", "dark", "wide", "tight", "partly"):
            idle_hour = night if endpoint != "blink" else hour.hour % 2
            counted.append(requests(hour, endpoint, 0 if idle_hour and endpoint not in ("wide", "tight", "partly") else 100))
        counted.append(requests(hour, "asked", 1 if night else 100))
    found = levers(governed(lambda connection: fill_fleet(connection, rows, counted)))
    # quiet: six hours a night, the first is kept: 14 x 5 x $2. uncounted: 336 hours in a row, 335 x $2. dark knows only 04 and 05: 14 x 1 x $2 = 28, which
    # is 28 x 365 / 168 = $60.83 a month; its known part is 20 of 24 hours
    assert savings(found, "scale_to_zero") == {"quiet": Decimal(140), "uncounted": Decimal(670), "dark": Decimal(28)}
    assert [found["scale_to_zero", scope]["confidence"] for scope in ("quiet", "dark", "uncounted")] == ["high", "medium", "low"]
    assert found["scale_to_zero", "quiet"]["evidence"] | {"known_ratio": 1.0} == {
        "cost_usd": 672.00, "held_hours": 336, "known_ratio": 1.0, "quiet_hours": 84, "quiet_hours_counted": 84, "scope_days": 14,
    }  # fmt: skip
    # wide: at most 4 x 0.35 = 1.4 GPUs busy, at 0.8 that is 1.75: 2 of 4 replicas, half of 336 x 4 x $2. tight: 0.82 / 0.8 = 1.025, both are needed.
    # partly: 1.2 / 0.8 = 1.5, 2 of 4, in the 23 hours a day that are known throughout: 14 x 23 x 2 x $2
    assert savings(found, "downsize_endpoint") == {"wide": Decimal(1344), "partly": Decimal(1288)}
    wide = found["downsize_endpoint", "wide"]["evidence"]
    assert (wide["peak_hour_used_gpus"], wide["replicas_needed"], wide["gpus_per_replica"], wide["peak_hour_requests"]) == (1.4, 2, 1, 100)


def test_nights_notebooks_and_pools_that_nobody_needs(governed) -> None:
    rows: list[Row] = []
    for hour in hours():
        night = hour.hour >= 20 or hour.hour < 6
        for pool in ("night", "once", "dim"):
            worked = not night or (pool == "once" and hour.date() == FORTNIGHT[2] and hour.hour == 22)
            place = {"node": f"{pool}-1", "pool": pool}
            rows.append(
                held(hour, f"job/{pool}", "0.9", gpus=8, **place) if worked else free(hour, pool, is_known=pool != "dim" or hour.hour != 23)
            )
        day = FORTNIGHT.index(hour.date())
        rows += [
            held(hour, "notebook/left", "0.3" if day < 10 else "0.02"),
            held(hour, "notebook/recent", "0.3" if day < 12 else "0.02"),
            held(hour, "notebook/five", "0.05"),
            held(hour, "notebook/dark", "0.3" if day < 10 else "0.02", unknown="0.3" if day >= 10 else "0"),
        ]
        if day < 10:
            rows.append(held(hour, "notebook/gone", "0"))
        for pool in ("big", "full", "silent"):
            rows.append(held(hour, f"job/{pool}", "0.9", gpus=8, node=f"{pool}-1", pool=pool))
            second = {"node": f"{pool}-2", "pool": pool}
            rows.append(free(hour, **second) if hour.hour % 2 else held(hour, f"job/{pool}-odd", "0.9", gpus=8, **second))
            third = {"node": f"{pool}-3", "pool": pool}
            last = day == 13 and hour.hour == 4
            if pool == "full" and last:
                rows.append(held(hour, "job/full-once", "0.9", gpus=8, **third))
            else:
                rows.append(free(hour, **third, is_known=not (pool == "silent" and last), owner_team="infra"))
    found = levers(governed(lambda connection: fill_fleet(connection, rows)))
    # night: ten hours a day over midnight, 14 x 10 x 8 x $2. once: one Wednesday at 22 ends the row on weekdays: 23 to 05 are left (20 and 21 are only
    # two): 10 x 7 x $16 on weekdays, 4 x 10 x $16 at weekends. dim: 23 is unknown: 20 to 22 are three, 00 to 05 six hours: 14 x 6 x $16
    assert savings(found, "schedule_off") == {"night": Decimal(2240), "once": Decimal(1760), "dim": Decimal(1344)}
    assert found["schedule_off", "night"]["evidence"]["off_hours_a_weekday"] == 10
    # left: the last four days, 4 x 24 x $2 x 0.98. recent: two days are too few; five: not below 0.05; dark: 0.7 known; gone: held no more
    assert savings(found, "stop_notebook") == {"notebook/left": Decimal("188.16")}
    assert found["stop_notebook", "notebook/left"]["evidence"]["idle_since_date"] == "2026-10-15"
    # one node is free at every hour, in the odd ones two, of which one is counted: 336 x $16. Full had an hour without, silent one that nobody knows
    assert savings(found, "release_idle_pool") == {"big": Decimal(5376)}
    assert found["release_idle_pool", "big"]["evidence"]["nodes"] == 3
    assert found["release_idle_pool", "big"]["team"] == "infra"


def test_spot_a_smaller_gpu_and_a_measured_speed_up(governed) -> None:
    node = {"gpus": 8, "instance_type": "p4d.24xlarge", "usd": "4"}
    batch = {"usd": "0.8", "gpu_model": "NVIDIA L4", "tolerance_basis": "batch"}
    h100 = {"usd": "10", "gpu_model": "NVIDIA H100 80GB HBM3", "peak_memory_kib": 12 * GIB}
    rows: list[Row] = []
    for hour in hours():
        rows += [
            held(hour, "training_run/c", "0.9", model="ckpt", tolerance_basis="checkpoint", **node),
            held(hour, "training_run/p", "0.9", model="plain", **node),
            held(hour, "training_run/e", "0.9", model="elsewhere", tolerance_basis="checkpoint", **node | {"region": "eu-west-1"}),
            held(hour, "training_run/d", "0.9", model="dark", tolerance_basis="checkpoint", unknown="0.3", **node),
            held(hour, "training_run/b", "0.9", model="batchy", **batch),
            held(hour, "training_run/stated", "0.9", model="stated", **batch | {"tolerance_basis": None}),
            held(hour, "training_run/small", "0.6", model="small", **h100, peak_activity_ratio=Decimal("0.1")),
            held(hour, "training_run/smaller", "0.6", model="smaller", **h100, peak_activity_ratio=Decimal("0.0978")),
            held(
                hour, "training_run/large", "0.6", model="large", **h100 | {"peak_memory_kib": 39 * GIB}, peak_activity_ratio=Decimal("0.1")
            ),
            held(hour, "endpoint/llm", "0.6"),
            held(hour, "endpoint/llm-dark", "0.6", unknown="0.3"),
            held(hour, "endpoint/other", "0.6"),
        ]
        if hour.date() == FORTNIGHT[0] and hour.hour < 10:
            rows.append(held(hour, "training_run/spot", "0.9", model="spotty", pricing_category="spot", **node | {"usd": "1.5"}))
    attempts = [
        {"workload_key": "training_run/spot", "attempt_key": f"training_run/spot/{n}", "outcome": "preempted" if n == 0 else "succeeded",
         "run_cost_usd": 30, "rolled_back_cost_usd": 30 if n == 0 else 0}
        for n in range(4)
    ]  # fmt: skip

    def fill(connection: duckdb.DuckDBPyConnection) -> None:
        fill_fleet(connection, rows, attempts=attempts)
        machines = [("l4", "l4", 1, 1), ("l40s", "l40s", 1, 2), ("a100", "a100", 8, 32)]
        connection.executemany("insert into policy.price_list_machines values (?, ?, ?, ?)", machines)

    compress = [
        {"scope_type": "endpoint", "scope": name, "speedup_ratio": 2, "evidence": "load test of 2026-10-01"} for name in ("llm", "llm-dark")
    ]
    stated = [{"gpu_model": "L4", "usd_per_gpu_hour": "0.3", "evidence": "price page of 2026-10-01"}]
    rules = {"compress": compress, "spot_prices": stated, "interruption_tolerant_models": ["stated"]}
    found = levers(governed(fill, {"levers": rules}))
    # ckpt: 2688 GPU-hours for $10,752; at $1.5 $4,032, of which a quarter is done again (30 of the spot runs' 120 was thrown away): - 5,040.
    # batchy, stated: 336 x 0.8 = 268.8 - 336 x 0.3 x 1.1 (no record: the policy's tenth)
    assert savings(found, "use_spot") == {"ckpt": Decimal(5712), "batchy": Decimal("157.92"), "stated": Decimal("157.92")}
    ckpt = found["use_spot", "ckpt"]
    assert {name: ckpt["evidence"][name] for name in ("rework_ratio", "spot_attempts", "spot_attempts_interrupted", "spot_price_from")} == {
        "rework_ratio": 0.25, "spot_attempts": 4, "spot_attempts_interrupted": 1, "spot_price_from": "spot rows of the bill",
    }  # fmt: skip
    assert [found["use_spot", scope]["confidence"] for scope in ("ckpt", "batchy")] == ["medium", "low"]
    # small: 0.1 x 989 / 121 = 0.817 is too much for an L4; 0.1 x 989 / 362 = 0.273 on an L40S: 3,360 - 336 x $2. smaller: 0.0978 x 989 / 121 = 0.7994 fits:
    # 3,360 - 336 x $1. large: 39 GiB is above 0.8 x 48 and 0.8 x 40
    assert savings(found, "right_size") == {"small": Decimal(2688), "smaller": Decimal(3024)}
    assert found["right_size", "small"]["evidence"]["target_machine"] == "l40s"
    # 336 x $2 x 0.6 = 403.2, half of it; llm-dark is unknown for 0.3 of its time, other has no entry
    assert savings(found, "compress") == {"llm": Decimal("201.6")}
    assert found["compress", "llm"]["evidence"]["measured_by"] == "load test of 2026-10-01"
