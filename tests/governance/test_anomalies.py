"""Spend out of the ordinary: nothing on clean companies, the right driver on planted ones, parts that sum exactly.

Belongs here: fct_spend_anomaly. Does not: the company (spend_company.py).
"""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.governance.spend_company import PARTS, START, Company
from tests.governance.test_budgets import spend

MODELS = ("int_spend_series", "fct_spend_anomaly")
SUMS = "change_usd = actual_usd - baseline_usd and change_usd = price_usd + volume_usd + mix_usd + utilization_usd + other_usd"


def incidents(models, rows):
    connection = models(rows, {}, only=MODELS)
    cursor = connection.execute("select * from published.fct_spend_anomaly order by since_date, series_kind, series")
    names = [d[0] for d in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert connection.execute(f"select count(*) from published.fct_spend_anomaly where not ({SUMS})").fetchone() == (0,)  # noqa: S608
    return found


@pytest.mark.parametrize("seeds", [range(0, 4), pytest.param([*range(4, 12), *range(40, 52)], marks=pytest.mark.slow)])
def test_clean_companies_have_no_incident(spend_models, seeds) -> None:
    found = {seed: incidents(spend_models, Company(seed, days=60 + seed % 31).rows()) for seed in seeds}
    assert {seed: rows for seed, rows in found.items() if rows} == {}


DAY = 60
PLANTED = {
    "price": (lambda day, part: {"rate": 2} if day >= DAY and part.model == "chat" else {}, "price", "spend"),
    "volume": (lambda day, part: {"gpus": 2} if day >= DAY and part.team == "vision" else {}, "volume", "spend"),
    "idle": (lambda day, part: {"idle": 2.8} if day >= DAY and part.team == "vision" else {}, "utilization", "idle"),
    # twice the GPUs for the same work: the idle share of 0.35 becomes 0.68
    "idle_gpus": (lambda day, part: {"gpus": 2, "idle": 1.93} if day >= DAY and part.team == "vision" else {}, "utilization", "spend"),
}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", PLANTED)
def test_what_was_planted_is_found_once_with_its_driver(spend_models, case, seed) -> None:
    change, driver, measure = PLANTED[case]
    (found,) = incidents(spend_models, Company(seed, days=75, change=change).rows())
    team = "nlp" if case == "price" else "vision"
    assert (found["team"], found["driver"], found["measure"], found["direction"]) == (team, driver, measure, "up")
    assert found["since_date"] == START + dt.timedelta(DAY)
    # a new level is ordinary after a week
    assert found["until_date"] <= START + dt.timedelta(DAY + 6)


def test_a_slow_leak_is_found(spend_models) -> None:
    def leak(day, part):
        return {"gpus": 1.03 ** max(0, day - 40)} if part.model == "chat" else {}

    (found,) = incidents(spend_models, Company(2, days=75, change=leak, growth=0.0).rows())
    assert (found["team"], found["shape"], found["driver"]) == ("nlp", "leak", "volume")


def test_storage_that_doubles_names_its_service(spend_models) -> None:
    # three services double; of them AmazonS3 is the largest. $330 a day become $990: floor and share of the company are passed
    parts = tuple(part for part in PARTS if part.team == "recsys")
    (found,) = incidents(spend_models, Company(3, days=75, parts=parts, storage_change=lambda day: 6.0 if day >= DAY else 1.0).rows())
    assert (found["driver"], found["leading_service"]) == ("other", "AmazonS3")


def test_fourteen_days_are_enough_for_a_clear_jump_and_runs_that_start_and_stop_are_none(spend_models) -> None:
    def tripled(day, part):
        return {"gpus": 3} if day == 11 and part.team == "nlp" else {}

    (found,) = incidents(spend_models, Company(5, days=14, change=tripled).rows())
    assert (found["team"], found["driver"], found["since_date"], found["incident_days"]) == ("nlp", "volume", START + dt.timedelta(11), 1)
    lumpy = tuple(part for part in PARTS if part.is_lumpy)
    assert [incidents(spend_models, Company(seed, days=14, parts=lumpy).rows()) for seed in range(4)] == [[]] * 4


def gpu(number, usd, hours, idle=0, **values):
    """One day of a team on one sort of GPU: ``hours`` GPU-hours at ``usd`` in all, ``idle`` of them still."""
    rows = []
    for cost_class, part in (("used", hours - idle), ("held_idle", idle)):
        if part:
            rows.append(
                spend(1, 0, cost_class=cost_class, **values)
                | {"usage_date": START + dt.timedelta(number), "gpu_seconds": Decimal(3600 * part), "cost_usd": Decimal(usd) * part / hours}
            )
    return rows


def test_the_parts_by_hand(spend_models) -> None:
    """Ten days of 100 GPU-hours at $4 (80 busy) and $50 of storage; then a day of 200 GPU-hours at $6 (100 busy) and $80.

    Change: 1,280 - 450 = 830. Price: (6 - 4) x (100 + 200) / 2 = 300. Mean rate (4 + 6) / 2 = 5; busy per hour v: 100/80 = 1.25, 200/100 = 2.
    Utilization: (2 - 1.25) x (80 + 100) / 2 x 5 = 337.50. Volume: (100 - 80) x (1.25 + 2) / 2 x 5 = 162.50. Other: 80 - 50 = 30. Sum: 830.
    """
    ledger = [row for n in range(10) for row in gpu(n, 400, 100, 20)] + gpu(10, 1200, 200, 100)
    ledger += [
        spend(1, 80 if n == 10 else 50, component="other", cost_class="not_measured", gpu_seconds=None, gpu_model=None, service="AmazonS3")
        | {"usage_date": START + dt.timedelta(n)}
        for n in range(11)
    ]
    dates = [{"usage_date": START + dt.timedelta(n)} for n in range(11)]
    (found,) = incidents(spend_models, {"dim_date": dates, "fct_cost_daily": ledger})
    parts = {name: found[f"{name}_usd"] for name in ("price", "volume", "mix", "utilization", "other", "change", "baseline", "actual")}
    assert parts == {
        "price": 300, "volume": Decimal("162.5"), "mix": 0, "utilization": Decimal("337.5"), "other": 30, "change": 830, "baseline": 450,
        "actual": 1280,
    }  # fmt: skip
    assert (found["driver"], found["baseline_gpu_seconds"], found["actual_idle_gpu_seconds"]) == ("utilization", 360000, 360000)


def oracle(base, new):
    """Exact parts of a change: (GPU model -> (dollars, hours, busy)) before and after, by the formulas of docs/anomalies.md."""
    hours = {k: (Fraction(base[k][1]), Fraction(new[k][1])) for k in base}
    rate = {k: (Fraction(base[k][0]) / hours[k][0], Fraction(new[k][0]) / hours[k][1]) for k in base}
    price = sum((rate[k][1] - rate[k][0]) * sum(hours[k]) / 2 for k in base)
    mid = {k: sum(rate[k]) / 2 for k in base}
    mean = sum(mid[k] * sum(hours[k]) for k in base) / sum(sum(hours[k]) for k in base)
    mix = sum((hours[k][1] - hours[k][0]) * (mid[k] - mean) for k in base)
    whole = [sum(hours[k][side] for k in base) for side in (0, 1)]
    busy = [sum(Fraction(rows[k][2]) for k in rows) for rows in (base, new)]
    per_busy = [whole[side] / busy[side] for side in (0, 1)]
    utilization = (per_busy[1] - per_busy[0]) * sum(busy) / 2 * mean
    volume = (busy[1] - busy[0]) * sum(per_busy) / 2 * mean
    return {"price": price, "mix": mix, "utilization": utilization, "volume": volume}


def test_the_parts_are_those_of_an_exact_oracle_in_any_order_of_rows(spend_models) -> None:
    rng = random.Random(7)  # noqa: S311
    for _ in range(4):
        base = {model: (rng.randint(300, 900), rng.randint(80, 200), 0) for model in ("A100", "H100", "L4")}
        base = {model: (usd, hours, hours - rng.randint(5, 30)) for model, (usd, hours, _) in base.items()}
        new = {
            model: (usd * rng.randint(2, 5), hours * rng.randint(1, 4), busy + rng.randint(0, 40))
            for model, (usd, hours, busy) in base.items()
        }
        rows = [
            row for n in range(12) for model, (usd, hours, busy) in (new if n == 11 else base).items()
            for row in gpu(n, usd, hours, hours - min(busy, hours), gpu_model=model)
        ]  # fmt: skip
        exact_new = {model: (usd, hours, min(busy, hours)) for model, (usd, hours, busy) in new.items()}
        exact = oracle(base, exact_new)
        rng.shuffle(rows)
        dates = [{"usage_date": START + dt.timedelta(n)} for n in range(12)]
        (found,) = incidents(spend_models, {"dim_date": dates, "fct_cost_daily": rows})
        assert {name: abs(Fraction(found[f"{name}_usd"]) - part) < Fraction(1, 100000) for name, part in exact.items()} == dict.fromkeys(
            exact, True
        )
        rng.shuffle(rows)
        assert incidents(spend_models, {"dim_date": dates, "fct_cost_daily": rows}) == [found]


def test_a_fall_on_the_last_told_day_may_be_missing_data(spend_models) -> None:
    rows = Company(4, days=40, parts=PARTS[:4]).rows()
    last = START + dt.timedelta(39)
    rows["fct_cost_daily"] = [
        row | {"cost_usd": row["cost_usd"] / 100} if row["usage_date"] == last and row["source"] == "aws" else row
        for row in rows["fct_cost_daily"]
    ]
    found = incidents(spend_models, rows)
    assert found
    assert {(row["direction"], row["is_maybe_incomplete"]) for row in found} == {("down", True)}


OCTOBER_5 = dt.date(2026, 10, 5)
COPY = 11  # Friday 2026-10-16


def services(usual=7.0, peak=1380.60, gpu_usd=5693, count=14, peak_days=(COPY,), gpu_source="aws", teams=((None, 1),)):
    """``count`` days from Monday 2026-10-05 with one GPU team and data transfer of ``usual`` dollars a day, on ``peak_days`` of ``peak``.

    usual: dollars, or dollars of a day by its number. teams: who has which part of the transfer.
    """
    dates = [OCTOBER_5 + dt.timedelta(n) for n in range(count)]
    ledger = [spend(1, gpu_usd, team="nlp", model="chat", source=gpu_source) | {"usage_date": date} for date in dates]
    for n, date in enumerate(dates):
        usd = peak if n in peak_days else usual(n) if callable(usual) else usual
        ledger += [
            spend(
                1, Decimal(str(usd)) * part, team=team, component="other", cost_class="not_measured", service="AWSDataTransfer",
                gpu_seconds=None, gpu_model=None, pricing_category=None, pool=None,
            ) | {"usage_date": date}
            for team, part in teams if usd
        ]  # fmt: skip
    return {"dim_date": [{"usage_date": date} for date in dates], "fct_cost_daily": ledger}


def test_a_data_set_copied_once_is_found_in_its_service(spend_models) -> None:
    """$7 a day of transfer that nobody tagged, $1,380.60 on one day: $1,373.60 more. The company goes from $5,700 to $7,073.60: 24 % are no jump."""
    (found,) = incidents(spend_models, services())
    assert (found["series_kind"], found["series"], found["source"], found["service"]) == (
        "service", "aws / AWSDataTransfer", "aws", "AWSDataTransfer",
    )  # fmt: skip
    assert (found["driver"], found["leading_service"], found["team"], found["leading_team"]) == ("other", "AWSDataTransfer", None, None)
    assert (found["since_date"], found["until_date"], found["has_ended"]) == (dt.date(2026, 10, 16), dt.date(2026, 10, 16), True)
    figures = [
        found[f"{name}_usd"] for name in ("baseline", "actual", "change", "other", "price", "volume", "mix", "utilization", "excess")
    ]
    assert figures == [7, Decimal("1380.6"), Decimal("1373.6"), Decimal("1373.6"), 0, 0, 0, 0, Decimal("1373.6")]


def test_a_service_is_told_from_the_floors_on_and_not_a_cent_below(spend_models) -> None:
    # 3 % of the company's median day of $5,700 are $171: $7 + $171 = $178. Over 40 % of $1,000 is over $1,400
    # (the company's day: $5,700 again)
    assert len(incidents(spend_models, services(peak=178.00))) == 1
    assert incidents(spend_models, services(peak=177.99)) == []
    assert len(incidents(spend_models, services(usual=1000, peak=1400.01, gpu_usd=4700))) == 1
    assert incidents(spend_models, services(usual=1000, peak=1400.00, gpu_usd=4700)) == []
    # a small company has the other floor: $7 + $100, where 3 % of $1,000 are $30
    assert len(incidents(spend_models, services(peak=107.00, gpu_usd=993))) == 1
    assert incidents(spend_models, services(peak=106.99, gpu_usd=993)) == []


def test_the_dollars_of_a_service_are_told_once(spend_models) -> None:
    """What a service explains is not told again of its source or of all; what a team's incident has of it is told by the team."""
    # the source bills nothing else: $7 to $1,380.60 is its jump too
    alone = incidents(spend_models, services(gpu_source="gcp"))
    # $1,000 of the company become $2,373.60: all and aws jump as well
    small = incidents(spend_models, services(gpu_usd=993))
    assert [(row["series_kind"], row["driver"]) for row in alone + small] == [("service", "other")] * 2
    # all of it is vision's, which has nothing else: the team is told, and names the service
    (owned,) = incidents(spend_models, services(teams=(("vision", 1),)))
    assert (owned["series_kind"], owned["team"], owned["leading_service"], owned["driver"]) == (
        "team",
        "vision",
        "AWSDataTransfer",
        "other",
    )
    # half of it is vision's and half audio's: both jump, and the service is what they have in common
    half = Decimal("0.5")
    (shared,) = incidents(spend_models, services(teams=(("vision", half), ("audio", half))))
    assert (shared["series_kind"], shared["service"], shared["change_usd"]) == ("service", "AWSDataTransfer", Decimal("1373.6"))


def test_a_service_and_a_team_that_jump_apart_are_two_incidents(spend_models) -> None:
    rows = services(gpu_usd=4993)
    # on the day of the copy vision's GPUs cost $2,800 instead of $700: the company goes from $5,700 to $9,173.60, no one has seven tenths of it but
    # 3,473.60 / 5,700 = 61 % are a jump of all, and vision is the only team: 2,100 / 3,473.60 = 60 % are not most. All is told, and only all
    for n in range(14):
        rows["fct_cost_daily"] += [spend(1, 2800 if n == COPY else 700, team="vision") | {"usage_date": OCTOBER_5 + dt.timedelta(n)}]
    (both,) = incidents(spend_models, rows)
    assert both["series_kind"] == "all"
    # in a company of $20,000 a day it is no jump of all (17 %): each is told by itself
    rows["fct_cost_daily"] += [spend(1, 14300, team="nlp", model="chat") | {"usage_date": OCTOBER_5 + dt.timedelta(n)} for n in range(14)]
    assert [(row["series_kind"], row["series"], row["change_usd"]) for row in incidents(spend_models, rows)] == [
        ("service", "aws / AWSDataTransfer", Decimal("1373.6")), ("team", "vision", 2100),
    ]  # fmt: skip


def test_idle_gpus_are_told_beside_a_service(spend_models) -> None:
    """A copy hides no idle GPUs: ten GPU-hours of 100 stood still at $4, then 80 on the day of the copy."""
    rows = services(gpu_usd=5293)
    for n in range(14):
        for row in gpu(n, 400, 100, 80 if n == COPY else 10, team=None):
            rows["fct_cost_daily"].append(row | {"usage_date": OCTOBER_5 + dt.timedelta(n)})
    assert {(row["series_kind"], row["measure"]) for row in incidents(spend_models, rows)} == {("service", "spend"), ("all", "idle")}


def swinging(seed):
    """Storage of $1,500 a day that swings by 20 %, grows by 1 % a day and is a third dearer on the last day of a month."""
    rng = random.Random(seed)  # noqa: S311

    def usual(n):
        tomorrow = OCTOBER_5 + dt.timedelta(n + 1)
        return round(1500 * 1.01**n * rng.uniform(0.8, 1.2) * (1.33 if tomorrow.day == 1 else 1), 2)

    return usual


@pytest.mark.parametrize("seeds", [range(4), pytest.param(range(4, 20), marks=pytest.mark.slow)])
def test_storage_and_transfer_as_they_are_every_month_are_silent(spend_models, seeds) -> None:
    found = {seed: incidents(spend_models, services(usual=swinging(seed), count=75, peak_days=())) for seed in seeds}
    assert found == {seed: [] for seed in seeds}


@pytest.mark.parametrize(("lowest", "told"), [(501, ["aws / AWSDataTransfer"]), (500, [])])
def test_a_day_without_anything_is_a_fall_only_where_no_day_came_near_it(spend_models, lowest, told) -> None:
    """$1,000 a day, and once less. Nothing on the 20th day is below 501 by more than 501 is below 1,000 (499), not more than 500 is (500).

    Two teams that share a node by turns: on some day one of them has no turn.
    """
    rows = services(usual=lambda n: {5: lowest, 19: 0}.get(n, 1000), count=21, peak_days=())
    assert [row["series"] for row in incidents(spend_models, rows)] == told


def test_a_service_that_appears_is_no_jump_of_a_service(spend_models) -> None:
    # nothing until the 30th day, then $1,000 a day at once, or $100 more every day up to $2,000: nothing to compare with, then a new level
    at_once = services(usual=lambda n: 0 if n < 30 else 1000, count=60, peak_days=())
    growing = services(usual=lambda n: max(0, min(2000, 100 * (n - 29))), count=60, peak_days=())
    assert [incidents(spend_models, rows) for rows in (at_once, growing)] == [[], []]
