"""Forecasts and their back-tests, worked by hand.

Belongs here: fct_spend_forecast, fct_forecast_backtest. Does not: budgets (test_budgets.py).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from tests.governance.test_budgets import spend

MONDAY = dt.date(2026, 9, 7)


def company(models, usd, lumps=(), least=None):
    """One team that spends ``usd[n]`` on the n-th day from a Monday on; None: the day is not published. lumps: (day, category, dollars)."""
    dates = [{"usage_date": MONDAY + dt.timedelta(n)} for n, amount in enumerate(usd) if amount is not None]
    ledger = [spend(1, amount) | {"usage_date": MONDAY + dt.timedelta(n)} for n, amount in enumerate(usd) if amount is not None]
    ledger += [
        spend(
            1, amount, team=None, owner_team=None, charge_category=category, cost_class="tax_and_fees", gpu_seconds=None, component="other"
        )
        | {"usage_date": MONDAY + dt.timedelta(n)}
        for n, category, amount in lumps
    ]
    rows = {"dim_date": dates, "fct_cost_daily": ledger}
    return models(rows, least or {}, only=("int_spend_series", "fct_forecast_backtest", "fct_spend_forecast"))


def expected(connection, series="all", column="forecast_usd", count=7):
    return [
        value
        for (value,) in connection.execute(
            f"select {column} from published.fct_spend_forecast where series = ? order by forecast_date limit {count}",  # noqa: S608
            [series],
        ).fetchall()
    ]


def test_each_weekday_is_the_median_of_its_own(spend_models) -> None:
    # four weeks of 100 on Monday to Friday and 40 on the weekend; one Monday of 900 moves nothing
    weeks = [100] * 5 + [40] * 2
    found = company(spend_models, [*weeks, 900, *weeks[1:], *weeks, *weeks])
    assert expected(found) == [100, 100, 100, 100, 100, 40, 40]
    assert expected(found, column="cumulative_usd")[-1] == Decimal(580)
    assert set(expected(found, column="method")) == {"weekday_median"}
    assert set(expected(found, column="weekly_drift_usd")) == {Decimal(0)}


def test_growth_is_carried_on(spend_models) -> None:
    # 100 in the first week, 110, 120, 130: each day rises by 10 a week, so the next is 140 and the one after 150
    found = company(spend_models, [100 + 10 * (n // 7) for n in range(28)])
    assert expected(found, column="weekly_drift_usd", count=1) == [Decimal(10)]
    assert expected(found, count=14) == [Decimal(140)] * 7 + [Decimal(150)] * 7


def test_ten_days_of_history_give_their_mean_and_no_interval(spend_models) -> None:
    # the last seven of ten days: 70, 80, ... 130, mean 100; six days give nothing
    found = company(spend_models, [0, 0, 0, 70, 80, 90, 100, 110, 120, 130])
    assert expected(found, count=2) == [Decimal(100), Decimal(100)]
    assert expected(found, column="method", count=1) == ["recent_mean"]
    assert expected(found, column="interval_reason", count=1) == ["too_few_backtests"]
    assert expected(found, column="cumulative_low_usd", count=1) == [None]
    short = company(spend_models, [10] * 6)
    assert (expected(short, count=1), expected(short, column="reason", count=1)) == ([None], ["too_little_history"])


def test_a_fee_of_last_month_comes_again_and_a_credit_does_not(spend_models) -> None:
    # day 0 is 7 September, so day 4 is the 11th and day 34 is 11 October; the last day is 4 October
    found = company(spend_models, [10] * 28, lumps=[(4, "Tax", 500), (5, "Credit", -300)])
    lumps = dict(
        found.execute("select forecast_date, lump_usd from published.fct_spend_forecast where series = 'all' and lump_usd <> 0").fetchall()
    )
    assert lumps == {dt.date(2026, 10, 11): Decimal(500)}
    assert expected(found, count=1) == [Decimal(10)]


def test_back_tests_tell_error_bias_and_coverage(spend_models) -> None:
    # 100 a day for 40 days, then 120 for two: from day 6 on the next day is forecast. 35 one-day tests: 34 of 100 and the first 120 (error 20);
    # the second 120 is the 36th of 41 - 6 + 0 origins
    found = company(spend_models, [100] * 40 + [120] * 2)
    (row,) = found.execute(
        "select backtest_count, actual_usd, absolute_error_usd, bias_usd, low_error_usd, high_error_usd, interval_count, covered_count"
        " from published.fct_forecast_backtest where series = 'all' and horizon_days = 1"
    ).fetchall()
    # origins day 6 to day 40: 35 tests, 33 x 100 + 2 x 120 came, both 120s were forecast at 100
    assert row[:4] == (35, Decimal(3540), Decimal(40), Decimal(-40))
    assert row[4:6] == (Decimal(0), Decimal(0))
    # an interval needs ten errors known by its origin (origins 6 to o - 1): from origin 16 on, 25 of them; both 120s fell outside [0, 0]
    assert row[6:] == (25, 23)


def test_nothing_depends_on_the_order_of_rows(spend_models) -> None:
    usd = [100 + (n * 37) % 41 for n in range(40)]
    query = "select * from published.fct_spend_forecast order by all"
    first = company(spend_models, usd).execute(query).fetchall()
    dates = [{"usage_date": MONDAY + dt.timedelta(n)} for n in reversed(range(40))]
    ledger = [spend(1, usd[n]) | {"usage_date": MONDAY + dt.timedelta(n)} for n in reversed(range(40))]
    models = ("int_spend_series", "fct_forecast_backtest", "fct_spend_forecast")
    assert spend_models({"dim_date": dates, "fct_cost_daily": ledger}, {}, only=models).execute(query).fetchall() == first
    # 37 rows a series: 31 days ahead of each of all and nlp
    assert len(first) == 62
