"""Likely revisions, from a hand-made archive of 15 small releases whose quantiles and back-test are worked by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.history import database
from pipelines.history.archive import archived
from pipelines.history.descriptions import DESCRIPTIONS
from pipelines.history.words import night_time_lines, night_told
from pipelines.settings import Settings
from tests.history.bills import Charge, ask, publish_charges, set_clock, settings_for

START = dt.date(2026, 3, 1)
# Day n (n = 0..11) is published at age 1 with $100, and at age 2 with 100 + REVISED[n]; its bill is final at age 2. Day 12 is published at
# age 1 in the last release and still provisional. Sorted: -2 0 0 1 1 2 2 3 4 5 8 20
REVISED = [1, 0, 2, 5, 1, 3, 2, 0, 4, -2, 20, 8]
# p50 of 12 is the 6th: 2 %. p90 is the ceil(10.8) = 11th: 8 %.
P50, P90 = 0.02, 0.08
# Back-test. Day n's figure of $100 is published in release n + 1, in which days 0..n-1 are settled; at least 8 must be: n = 8..11.
#   n = 8: known -- 1 0 2 5 1 3 2 0, p90 = ceil(7.2) = 8th = 5 %; it became 4 %: held
#   n = 9: known 9, with 4; p90 = ceil(8.1) = 9th = 5 %; it became -2 %: held
#   n = 10: known 10, with -2; p90 = 9th = 4 %; it became 20 %: not held
#   n = 11: known 11, with 20; p90 = ceil(9.9) = 10th = 5 %; it became 8 %: not held
COVERAGE = 0.5
DELIVERIES = [("aws", "2026-03", "d")]  # meta_publication, and with it the release, then names code and policy

pytestmark = pytest.mark.slow  # the nights that it needs take half a minute


def charge(number: int, *, is_final: bool, provider: str = "aws") -> Charge:
    """One day has a bill of its own (a period that begins on it), so that each becomes final by itself."""
    day = START + dt.timedelta(days=number)
    return Charge(day, str(100 + REVISED[number] if is_final else 100), period=day, source=provider, provider=provider)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = settings_for(tmp_path_factory.mktemp("revisions"), keep_releases=1)
    # a second provider has one day only, always provisional
    other = Charge(START, "50", source="gcp", provider="gcp", period=START)
    clock = []
    for newest in range(13):
        figures = [charge(n, is_final=n < newest) for n in range(newest + 1) if n < 12]
        figures += [Charge(START + dt.timedelta(days=12), "200", period=START + dt.timedelta(days=12))] if newest == 12 else []
        finality = {("aws", c.day): "final" for c in figures if c.day < START + dt.timedelta(days=newest)}
        publish_charges(made, [*figures, other], finality=finality, deliveries=DELIVERIES)
        clock.append(dt.datetime.combine(START + dt.timedelta(days=newest + 1), dt.time(5)))
    # two more of the last night: the same figures under another policy and code; at the same age the last counts
    for identity in ({"code": "x", "policy": "y"}, {"code": "x", "policy": "z"}):
        publish_charges(made, [*figures, other], finality=finality, identity=identity, deliveries=DELIVERIES)
        clock.append(clock[-1] + dt.timedelta(hours=1))
    set_clock(made, clock)
    database.update(made)
    return made


def test_quantiles_and_coverage_as_worked_by_hand(settings: Settings) -> None:
    assert len(archived(settings)) == 15
    query = (
        "select provider, age_days, observation_count, undefined_count, revision_p50_ratio, revision_p90_ratio, reason, back_test_count,"
        " back_test_coverage_ratio from revision_expectations"
    )
    [row] = ask(settings.published / "history.duckdb", query)
    assert row[:4] == ("aws", 1, 12, 0)
    assert row[4:6] == pytest.approx((P50, P90), abs=1e-12)
    assert row[6:] == (None, 4, COVERAGE)


def test_provisional_figures_carry_the_likely_revision(settings: Settings) -> None:
    query = (
        "select usage_date, source, age_days, effective_cost_usd, expected_revision_p50_usd, expected_revision_p90_usd, observation_count, reason"
        " from provisional_figures order by source"
    )
    aws, gcp = ask(settings.published / "history.duckdb", query)
    assert aws == (START + dt.timedelta(days=12), "aws", 1, Decimal("200"), Decimal("4.000000000000"), Decimal("16.000000000000"), 12, None)
    # gcp's only day is 13 days old and was never settled: nothing is known of how gcp revises
    assert gcp == (START, "gcp", 13, Decimal("50"), None, None, 0, "no settled day of this provider was published at this age")


def test_the_night_says_it(settings: Settings) -> None:
    told = night_told(settings, archived(settings)[-1].release_id, is_new=False)
    assert night_time_lines(told) == [
        "aws: provisional $200.00 on 1 day(s), 2026-03-13 to 2026-03-13; history makes +2.0% (p50) to +8.0% (p90) likely,"
        " 12 or more observations a day, p90 held in 50% of 4 back-tests",
        "gcp: provisional $50.00 on 1 day(s), 2026-03-01 to 2026-03-01; no likely revision can be told:"
        " no settled day of this provider was published at this age",
    ]


def test_the_releases_and_their_files_are_a_bitemporal_table(settings: Settings) -> None:
    path = settings.published / "history.duckdb"
    assert ask(path, "select count(*), count(replaced_at), min(published_at) from releases") == [(15, 14, dt.datetime(2026, 3, 2, 5))]
    query = "select valid_from, valid_to, from_sequence, last_sequence from release_days where table_name = 'fct_charge_bucket' and usage_date = '2026-03-02' order by 1"
    # day 1: $100 from release 2, revised in release 3 (0 %: the same dollars, so the same bytes: one version for ever)
    assert ask(path, query) == [(dt.datetime(2026, 3, 3, 5), None, 2, 15)]
    query = query.replace("2026-03-03", "").replace("2026-03-02", "2026-03-04")
    assert ask(path, query) == [
        (dt.datetime(2026, 3, 5, 5), dt.datetime(2026, 3, 6, 5), 4, 4),
        (dt.datetime(2026, 3, 6, 5), None, 5, 15),
    ]
    as_of = (
        "select sum(row_count) from release_days where table_name = 'fct_charge_bucket' and valid_from <= timestamp '2026-03-06 12:00'"
        " and (valid_to is null or valid_to > timestamp '2026-03-06 12:00')"
    )
    assert ask(path, as_of) == [(6,)]  # five days of aws and one of gcp


def test_restatements_of_every_pair_are_kept(settings: Settings) -> None:
    query = "select cause, sum(effective_move_usd), count(*) from restatements where from_sequence = 5 group by 1 order by 1"
    # release 6: day 4 is revised by $1, day 5 is new with $100
    assert ask(settings.published / "history.duckdb", query) == [("first_published", 100, 1), ("price_change", 1, 1)]
    differences = "select count(*) from (select to_sequence from restatements group by 1)"
    assert ask(settings.published / "history.duckdb", differences) == [(12,)]  # the last two nights moved nothing


def test_every_table_and_column_is_described(settings: Settings) -> None:
    path = settings.published / "history.duckdb"
    assert {t for (t,) in ask(path, "select table_name from duckdb_tables()")} == set(DESCRIPTIONS)
    assert ask(path, "select table_name, column_name from duckdb_columns() where comment is null and not internal") == []
    assert ask(path, "select table_name from duckdb_tables() where comment is null") == []


def test_the_file_is_swapped_and_an_open_reader_keeps_its_own(settings: Settings, tmp_path: Path) -> None:
    import duckdb

    link = settings.published / "history.duckdb"
    old = link.resolve()
    with duckdb.connect(str(old), read_only=True) as reader:
        publish_charges(settings, [charge(0, is_final=True)], finality={("aws", START): "final"})
        database.update(settings)
        assert link.resolve() != old and not old.exists()
        assert reader.execute("select count(*) from releases").fetchone() == (15,)
    assert ask(link, "select count(*) from releases") == [(16,)]
    assert [p.name for p in link.resolve().parent.glob("*history-*")] == [link.resolve().name]
