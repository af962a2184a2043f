"""Energy: the counter, its resets and gaps, power, and how a device's energy is told once and split among its holders.

Belongs here: energy and carbon. Does not: dollars. A counter in these cases stands at 50 kJ x 10^3 or more unless the case is about a young
one. 1 W over 30 s is 30,000 mJ. Samples lie in slots of 30 s; max_gap_seconds is 120.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.gpu_cases.cases import DAY, TEN, Case, Question, node, run
from tests.oracle.plan import Cluster, Interval, Node, Sample

BASE = 50_000_000_000  # mJ
FACTORS = """provider,region,zone,cluster,valid_from,valid_to,grams_co2e_per_kwh,pue,source
,eu-north-1,,,2026-10-01,,30.5,1.2,supplier 2026
,eu-north-1,,,2026-01-01,2026-10-06,99,,superseded
,,,energy-night,,,400,,grid operator 2025
"""


def sources(folder: Path) -> list[str]:
    """The carbon factors of the cases."""
    (folder / "carbon").mkdir(parents=True, exist_ok=True)
    (folder / "carbon" / "factors.csv").write_text(FACTORS)
    return ["{name: carbon, kind: carbon_factors, location: ./carbon}"]


def reading(at: Node, second: int, **values: Any) -> Sample:
    """One sample of the node's first GPU."""
    device = at.gpus[0]
    given = {"exporter": "a:9400", "gpu_model": device.model, **{k: str(v) for k, v in values.items()}}
    return Sample(second * 1_000_000, at.hostname, device.uuid, "0", device.pci, **given)


def counter(at: Node, readings: dict[int, int], start: int = TEN, **values: Any) -> list[Sample]:
    """Counter readings: slot number -> mJ."""
    return [reading(at, start + 30 * slot, energy_mj=millijoules, **values) for slot, millijoules in readings.items()]


def case(at: Node, samples: list[Sample], intervals: list[Interval], energy: list[tuple[Any, ...]], bug: str = "", **more: Any) -> Case:
    """``energy``: (holder, workload, method, joules, held, measured) of the node's rows, text where decimal, in order."""
    name = at.hostname.removesuffix("-n")
    columns = "holder, workload_key, energy_method, round(energy_joules, 3)::decimal(38, 3)::varchar, held_gpu_seconds::bigint, measured_gpu_seconds::bigint"
    query = f"select {columns} from published.fct_energy where node = '{at.hostname}' order by usage_date, holder, workload_key"  # noqa: S608
    questions = [Question(query, energy), *more.get("questions", [])]
    return Case(name, Cluster(name, nodes=[at], samples=samples, intervals=intervals), questions=questions, bug=bug)


def named(name: str, at: Node, first: int, last: int) -> Interval:
    """A run that names the node's GPU."""
    return run(name, at, first, last, gpu_ids=(at.gpus[0].uuid,))


def held_then_free() -> Case:
    """400 W while the run holds it, 100 W after: 60 x 12,000,000 mJ = 720 kJ = 0.2 kWh for the run, whose last 30 s lie between the readings of
    two blocks. Nobody: 10:30:00 to the last reading at 10:59:30, 59 x 3,000,000 mJ = 177 kJ of 86,400 - 1,800 s. 0.2 kWh x 30.5 g x PUE 1.2 =
    7.32 g; 177,000 / 3,600,000 kWh x 36.6 g = 1.7995 g. The factor that began later wins over the one that still holds."""
    at = node("energy-plain", zone="eu-north-1b")
    used = {slot: BASE + 12_000_000 * min(slot, 60) + 3_000_000 * max(slot - 60, 0) for slot in range(120)}
    carbon = Question(
        "select holder, grams_co2e::varchar, grams_co2e_per_kwh::varchar, pue::varchar, carbon_factor_source, carbon_reason, energy_kwh::varchar"
        " from published.fct_energy where node = 'energy-plain-n' and usage_date = '2026-10-06' order by holder",
        [
            ("nobody", "1.799500", "30.500000", "1.200000", "supplier 2026", None, "0.049166666667"),
            ("workload", "7.320000", "30.500000", "1.200000", "supplier 2026", None, "0.200000000000"),
        ],
    )
    rows = [
        ("nobody", None, "counter", "177000.000", 84600, 1770),
        ("workload", "training_run/energy-plain-r", "counter", "720000.000", 1800, 1800),
    ]
    return case(at, counter(at, used), [named("energy-plain-r", at, TEN, TEN + 1800)], rows, questions=[carbon])


def driver_reloaded() -> Case:
    """The counter starts anew between 10:10:00 and 10:10:30, where it reads 6 MJ x 10^-3. 20 x 12,000,000 + 6,000,000 + 18 x 12,000,000 =
    462,000,000 mJ; what was used between the last reading and the reload is in no counter and not invented. Read 10:00:00-10:19:30."""
    at = node("energy-reset")
    used = {slot: BASE + 12_000_000 * slot if slot <= 20 else 6_000_000 + 12_000_000 * (slot - 21) for slot in range(40)}
    rows = [("nobody", None, None, None, 85200, 0), ("workload", "training_run/energy-reset-r", "counter", "462000.000", 1200, 1170)]
    return case(at, counter(at, used), [named("energy-reset-r", at, TEN, TEN + 1200)], rows, bug="dcgm-exporter#417")


def wrapped_at_32_bits() -> Case:
    """20 W = 600,000 mJ in 30 s. 4,294,000,000; 4,294,600,000; 4,295,200,000 - 2^32 = 232,704; 832,704: 3 x 600,000 = 1,800,000 mJ."""
    at = node("energy-wrap")
    rows = [("nobody", None, None, None, 86310, 0), ("workload", "training_run/energy-wrap-r", "counter", "1800.000", 90, 90)]
    used = {0: 4_294_000_000, 1: 4_294_600_000, 2: 232_704, 3: 832_704}
    return case(at, counter(at, used), [named("energy-wrap-r", at, TEN, TEN + 90)], rows, bug="B33")


def counter_jumps() -> Case:
    """One reading of 4 x 10^15: neither the step up nor the step down can be power (5 kW x 30 s = 150,000,000 mJ). 8 of 10 steps are known:
    96,000,000 mJ in 240 s."""
    at = node("energy-jump")
    used = {slot: 4_000_000_000_000_000 if slot == 5 else BASE + 12_000_000 * slot for slot in range(11)}
    rows = [("nobody", None, None, None, 86100, 0), ("workload", "training_run/energy-jump-r", "counter", "96000.000", 300, 240)]
    return case(at, counter(at, used), [named("energy-jump-r", at, TEN, TEN + 300)], rows, bug="B30")


def instances_repeat_the_devices_power() -> Case:
    """350 W on both 3g instances is 350 W, not 700. 20 readings to 10:09:30, the last holds 120 s: 690 s x 350 W = 241,500 J. The pod's 3/7 of
    600 s x 350 W = 90,000 J; the rest is nobody's: the other instance, the stranded 1/7, and 90 s after 10:10: 151,500 J.
    Held: 3/7 x 600 = 257 s (nobody 86,143); nobody measured: 4/7 x 600 + 90 = 433 s, rounded."""
    at = node("energy-mig")
    labels = {"1": {"namespace": "ns", "pod": "energy-mig-pod"}, "2": {}}
    samples = [
        reading(at, TEN + 30 * slot, power_w="350", gr_engine_active="0", mig_profile="3g.40gb", mig_instance_id=instance, **label)
        for slot in range(20)
        for instance, label in labels.items()
    ]
    pod = Interval("energy-mig-r", "1", TEN, TEN + 600, at.hostname, namespace="ns", pod="energy-mig-pod")
    rows = [("nobody", None, "power", "151500.000", 86143, 433), ("workload", "training_run/energy-mig-r", "power", "90000.000", 257, 257)]
    return case(at, samples, [pod], rows, bug="dcgm-exporter#317")


def two_exporters() -> Case:
    """The second exporter sees the same counter, ten seconds late and with stale values, and dies after five minutes: one device, 400 W over
    19 steps of the first = 228,000,000 mJ."""
    at = node("energy-two")
    first = counter(at, {slot: BASE + 12_000_000 * slot for slot in range(20)})
    second = [replace(s, exporter="b:9400", micros=s.micros + 10_000_000) for s in first[:10]]
    rows = [("nobody", None, None, None, 85800, 0), ("workload", "training_run/energy-two-r", "counter", "228000.000", 600, 570)]
    return case(at, [*second, *first], [named("energy-two-r", at, TEN, TEN + 600)], rows)


def missing_scrapes() -> Case:
    """300 W = 9,000,000 mJ a step. No reading for ten minutes after 10:05: the counter tells 20 steps = 180,000,000 mJ, of which nobody knows
    when; they are not the run's. One missing scrape (slot 35) lies within max_gap. Known: 10 + 10 steps in 600 s."""
    at = node("energy-gap")
    used = {slot: BASE + 9_000_000 * slot for slot in [*range(11), *range(30, 35), *range(36, 41)]}
    rows = [
        ("nobody", None, None, None, 84600, 0),
        ("unknown_time", None, "counter", "180000.000", None, None),
        ("workload", "training_run/energy-gap-r", "counter", "180000.000", 1800, 600),
    ]
    ratio = Question(
        "select energy_coverage_ratio::varchar from published.fct_energy where workload_key = 'training_run/energy-gap-r'", [("0.333333",)]
    )
    return case(at, counter(at, used), [named("energy-gap-r", at, TEN, TEN + 1800)], rows, questions=[ratio], bug="B31")


def power_only() -> Case:
    """No counter. 30 readings of 200 W, 30 of 300 W, each until the next: 900 s x 200 + 900 s x 300 = 450,000 J for the run; the last reading
    (10:29:30) holds 120 s, 90 of them nobody's: 27,000 J."""
    at = node("energy-power")
    samples = [reading(at, TEN + 30 * slot, power_w=200 if slot < 30 else 300, sm_active="0.5") for slot in range(60)]
    rows = [
        ("nobody", None, "power", "27000.000", 84600, 90),
        ("workload", "training_run/energy-power-r", "power", "450000.000", 1800, 1800),
    ]
    return case(at, samples, [named("energy-power-r", at, TEN, TEN + 1800)], rows)


def neither() -> Case:
    """Activity only: nothing is known of its energy, and nothing is not 0."""
    at = node("energy-neither")
    samples = [reading(at, TEN + 30 * slot, sm_active="0.9") for slot in range(60)]
    rows = [("nobody", None, None, None, 84600, 0), ("workload", "training_run/energy-neither-r", None, None, 1800, 0)]
    reason = Question(
        "select distinct energy_kwh, grams_co2e, carbon_reason, energy_coverage_ratio::varchar from published.fct_energy where node = 'energy-neither-n'"
        " and usage_date = '2026-10-06'",
        [(None, None, "no_energy", "0.000000")],
    )
    return case(at, samples, [named("energy-neither-r", at, TEN, TEN + 1800)], rows, questions=[reason])


def shared_in_turn() -> Case:
    """a until 10:05:10 at 600 W (10 steps of 18,000,000), b after it at 200 W (9 of 6,000,000). The step of 12,000,000 in which they change lies
    10 s on a, 20 s on b: 184,000,000 and 62,000,000 mJ. The hour's energy by seconds alone would have given each its 310 : 290."""
    at = node("energy-turn")
    used = {slot: BASE + 18_000_000 * min(slot, 10) + 12_000_000 * (slot > 10) + 6_000_000 * max(slot - 11, 0) for slot in range(21)}
    rows = [
        ("nobody", None, None, None, 85800, 0),
        ("workload", "training_run/energy-turn-a", "counter", "184000.000", 310, 310),
        ("workload", "training_run/energy-turn-b", "counter", "62000.000", 290, 290),
    ]
    holders = [named("energy-turn-a", at, TEN, TEN + 310), named("energy-turn-b", at, TEN + 310, TEN + 600)]
    return case(at, counter(at, used), holders, rows)


def shared_at_once() -> Case:
    """A 4g and a 3g instance, each with its pod, and the device's counter on both: 20 steps of 21,000,001 mJ = 420,000,020. 4/7 = 240,000,011.43,
    3/7 = 180,000,008.57: the millijoule that is left goes to the larger remainder. Held 600 x 4/7 = 343 s and 257 s, rounded."""
    at = node("energy-once")
    samples = [
        reading(
            at, TEN + 30 * slot, energy_mj=BASE + 21_000_001 * slot, gr_engine_active="0.5", mig_profile=profile, mig_instance_id=instance,
            namespace="ns", pod=f"energy-once-{instance}",
        )
        for slot in range(21)
        for profile, instance in (("4g.40gb", "1"), ("3g.40gb", "2"))
    ]  # fmt: skip
    pods = [Interval(f"energy-once-{n}", "1", TEN, TEN + 600, at.hostname, namespace="ns", pod=f"energy-once-{n}") for n in "12"]
    rows = [
        ("nobody", None, None, None, 85800, 0),
        ("workload", "training_run/energy-once-1", "counter", "240000.011", 343, 343),
        ("workload", "training_run/energy-once-2", "counter", "180000.009", 257, 257),
    ]
    return case(at, samples, pods, rows)


def across_midnight() -> Case:
    """400 W, read every 30 s from 23:50:15 to 00:09:45: 39 steps = 468,000,000 mJ. The step across midnight counts on the day it ends: 19 on
    the eve (570 s), 20 after (585 s). 240 kJ = 1/15 kWh x 400 g = 26.666667 g without a PUE."""
    at = node("energy-night", first=DAY - 1200, last=DAY + 1200, cluster="energy-night")
    used = {slot: BASE + 12_000_000 * slot for slot in range(40)}
    samples = counter(at, used, DAY - 585)
    rows = [
        ("nobody", None, None, None, 85800, 0),
        ("workload", "training_run/energy-night-r", "counter", "228000.000", 600, 570),
        ("nobody", None, None, None, 85800, 0),
        ("workload", "training_run/energy-night-r", "counter", "240000.000", 600, 585),
    ]
    grams = Question(
        "select grams_co2e::varchar, pue, carbon_factor_source from published.fct_energy where node = 'energy-night-n' and usage_date = '2026-10-06'"
        " and holder = 'workload'",
        [("26.666667", None, "grid operator 2025")],
    )
    return case(at, samples, [named("energy-night-r", at, DAY - 600, DAY + 600)], rows, questions=[grams])


CASES = [
    held_then_free(), driver_reloaded(), wrapped_at_32_bits(), counter_jumps(), instances_repeat_the_devices_power(), two_exporters(),
    missing_scrapes(), power_only(), neither(), shared_in_turn(), shared_at_once(), across_midnight(),
]  # fmt: skip
