"""The monthly statement: figures worked by hand, the same bytes from the same release, and what a changed file is told.

nlp's October by hand (one priced day). Spot A100: R1 used $6, held idle $2, 14,400 GPU-s. On demand A100, 3,600 GPU-s: R2 used $1, endpoint chat $3,
its pool idle $4. Unmeasured in its pool $0.50. Rule `platform` brings $2.50 and takes $0.50. Together 6 + 2 + 1 + 3 + 4 + 0.5 + 2 = 18.50.
September: spot A100 $5 for 7,200 GPU-s. Change 13.50: hours +5 (twice the hours at $5 per 7,200 s) and +8 (no on-demand hour before) = 13; price
8 - 10 = -2; no GPU time 0.5; rules 2.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines import warehouse
from pipelines.cli import app
from pipelines.errors import ApportionError, UsageError
from pipelines.history.archive import archived, object_path
from pipelines.publish import publish
from pipelines.settings import Settings, SettingsFile
from pipelines.statement.figures import Asked, Figure, digest, finality_figures, volume_effect
from pipelines.statement.lines import one_line
from pipelines.statement.making import make_statement, verify_statement
from tests.empty_warehouse import put
from tests.governance.compiled_models import CompiledModels

DAY, EARLIER, UNPRICED = dt.date(2026, 10, 5), dt.date(2026, 9, 30), dt.date(2026, 10, 6)
HOSTILE = "=cmd|'/C'!A1\n\x1b[31mred"
IDENTITY = {"code": "c0de", "policy": "b011c7"}


def daily(cost: str, cost_class: str = "used", day: dt.date = DAY, **values: object) -> dict[str, object]:
    row = {
        "usage_date": day,
        "stage": "allocated",
        "source": "aws",
        "owner_team": "nlp",
        "owner_basis": "workload",
        "cost_class": cost_class,
    }
    return row | {"cost_usd": Decimal(cost), "billed_cost_usd": Decimal(cost), "list_missing_cost_usd": Decimal(cost)} | values


def rows(r1: str) -> list[dict[str, object]]:
    run = {"model": "m1", "environment": "production", "workload_type": "training_run", "gpu_model": "A100"}
    spot = run | {"pricing_category": "spot", "list_missing_cost_usd": Decimal(0)}
    od = {"pricing_category": "on_demand", "gpu_model": "A100"}
    return [
        daily(r1, **spot | {"gpu_seconds": Decimal(10800), "list_cost_usd": Decimal(9)}),
        daily("2", "held_idle", **spot | {"gpu_seconds": Decimal(3600), "list_cost_usd": Decimal(3)}),
        daily("1", **run | od | {"gpu_seconds": Decimal(600)}),
        daily("3", **od | {"model": "chat", "environment": "production", "workload_type": "endpoint", "gpu_seconds": Decimal(1000)}),
        daily("4", "unallocated_idle", owner_basis="pool", pool="a100", gpu_seconds=Decimal(2000), **od),
        daily("0.5", "unknown", owner_basis="pool", pool="a100"),
        daily("2.5", "unattributed", stage="distributed", rule_id="platform", owner_basis="tag"),
        daily("-0.5", "unattributed", stage="distributed", rule_id="platform", owner_basis="tag", account_id="other"),
        daily("7", "used", owner_team="vision", workload_type="training_run"),
        daily("0.25", "used", owner_team=HOSTILE, model=HOSTILE, workload_type="training_run"),
        daily("5", "used", EARLIER, **run | {"pricing_category": "spot", "gpu_seconds": Decimal(7200)}),
    ]


def ledger(r1: str) -> list[dict[str, object]]:
    found = []
    for day, key, kind, team, cost_class, cost in [
        (DAY, "training_run/R1", "training_run", "nlp", "used", r1),
        (DAY, "training_run/R1", "training_run", "nlp", "held_idle", "2"),
        (DAY, "training_run/R2", "training_run", "nlp", "used", "1"),
        (DAY, "endpoint/chat", "endpoint", "nlp", "used", "3"),
        (DAY, "training_run/V", "training_run", "vision", "used", "7"),
        (EARLIER, "training_run/R0", "training_run", "nlp", "used", "5"),
    ]:
        row = {"usage_date": day, "bucket_key": f"b{day}", "stage": "allocated", "workload_key": key, "workload_type": kind, "team": team}
        cost_of = {f"{basis}_cost": Decimal(cost) for basis in ("billed", "effective", "net")}
        found.append(row | {"attempt_key": f"{key}@1", "cost_class": cost_class, "component": "gpu", "route": "telemetry"} | cost_of)
    return found


def publish_it(settings: Settings, models: CompiledModels, r1: str) -> str:
    """Publish the days with R1's used dollars; returns the release's id."""
    with warehouse.connect(settings) as connection:
        for table in ("dim_date", "fct_cost_daily", "fct_cost_allocation", "fct_charge_bucket", "fct_reconciliation"):
            connection.execute(f"delete from published.{table}")  # noqa: S608 - our own names
        days = [{"usage_date": day, "month_start": day.replace(day=1)} for day in (EARLIER, DAY, UNPRICED)]
        put(connection, "dim_date", days)
        put(connection, "fct_cost_daily", rows(r1))
        put(connection, "fct_cost_allocation", ledger(r1))
        totals = {DAY: Decimal(r1) + 13, EARLIER: Decimal(5)}
        buckets = [
            {"usage_date": day, "bucket_key": f"b{day}", "billed_cost": cost, "effective_cost": cost, "net_cost": cost}
            for day, cost in totals.items()
        ]
        put(connection, "fct_charge_bucket", buckets)
        bill = {"source": "aws", "finality": "provisional", "billing_period": DAY.replace(day=1), "usage_month": DAY.replace(day=1)}
        put(connection, "fct_reconciliation", [bill, bill | {"source": "gcp"}])  # gcp has no dollar of the month: it does not matter
        models.run(connection, ("fct_showback", "dim_showback_member"))
    return publish(settings, {EARLIER, DAY, UNPRICED}, identity=IDENTITY).release_id


@pytest.fixture(scope="module")
def home(built: Settings, compiled_models: CompiledModels, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str, str]:
    """A home whose first release has R1 at $6, the second at $7; only the second is still on disk."""
    settings = Settings(SettingsFile.model_validate({"publish": {"keep_releases": 1}}), tmp_path_factory.mktemp("statement"), None)
    settings.warehouse.parent.mkdir(parents=True)
    shutil.copy(built.warehouse, settings.warehouse)
    first, second = publish_it(settings, compiled_models, "6"), publish_it(settings, compiled_models, "7")
    assert not (settings.published / "releases" / first).exists()
    return settings, first, second


def amounts(settings: Settings, release: str, team: str = "nlp") -> dict[tuple[str, str, str], Decimal | str]:
    """(section, item, measure) -> amount or text, from the CSV statement."""
    text = make_statement(settings, team, "2026-10", release=release, file_format="csv")["bytes"].decode()
    lines = csv.DictReader(text.splitlines())
    return {
        (r["section"], r["item"], f"{r['measure']} {r['unit']}".strip()): Decimal(r["amount"]) if r["amount"] else r["text"] for r in lines
    }


def test_the_figures_are_those_worked_by_hand(home) -> None:
    settings, first, _ = home
    found = amounts(settings, first)
    total = {item: amount for (section, item, measure), amount in found.items() if section == "total" and measure == "effective usd"}
    assert total == {"total": Decimal("18.5"), "own": 12, "idle": 4, "unexplained": Decimal("0.5"), "company": 0, "shared": 2}
    own = {item: amount for (section, item, _), amount in found.items() if section == "own by model and environment"}
    assert own == {"m1 / production": 9, "chat / production": 3}
    bought = {item: amount for (section, item, measure), amount in found.items() if section == "what it bought" and measure == "usd"}
    assert bought == {"used": 10, "unallocated_idle": 4, "held_idle": 2, "unknown": Decimal("0.5")}
    # used: 10,800 + 600 + 1,000 s = 3.444444 GPU-hours
    assert found["what it bought", "used", "gpu_hours"] == Decimal("3.444444")
    assert found["idle by pool", "a100", "usd"] == 4
    assert (found["shared by rule", "platform", "received usd"], found["shared by rule", "platform", "handed on usd"]) == (
        Decimal("2.5"),
        Decimal("-0.5"),
    )
    savings = {key[1:]: amount for key, amount in found.items() if key[0] == "list price against paid"}
    # spot: list 9 + 3 against 8; on demand: 1 + 3 + 4 without a list price; the unmeasured 0.5 is no usage that names its pricing
    assert savings == {
        ("spot", "list price usd"): 12, ("spot", "paid for it usd"): 8, ("spot", "saved usd"): 4, ("on_demand", "without a list price usd"): 8,
        ("(no usage)", "without a list price usd"): Decimal("0.5"), ("commitments that nothing used", "usd"): 0,
    }  # fmt: skip
    assert found["dearest runs", "training_run/R1", "usd"] == 8 and found["dearest runs", "training_run/R1", "of it held and idle usd"] == 2
    assert found["dearest endpoints", "endpoint/chat", "usd"] == 3
    assert not any("/V" in item or "R0" in item for _, item, _ in found)


def test_the_change_is_explained_to_the_last_digit(home) -> None:
    settings, first, _ = home
    found = {key[1:]: amount for key, amount in amounts(settings, first).items() if key[0] == "change against the month before"}
    reasons = {item: amount for (item, measure), amount in found.items() if measure == "reason usd"}
    assert reasons == {
        "more or fewer GPU hours": 13,
        "another price of a GPU hour": -2,
        "what is no GPU time": Decimal("0.5"),
        "distribution rules": 2,
    }
    assert found["total", "usd"] == sum(reasons.values()) == Decimal("13.5")
    assert found["m1 / production", "own usd"] == 4 and found["chat / production", "own usd"] == 3


def test_hours_and_price_part_a_change_exactly() -> None:
    # $1 for 3 s, then $2 for 4 s: one more second at a third of a dollar, the rest is the price
    more = volume_effect(Decimal(1), Decimal(3), Decimal(2), Decimal(4))
    assert more == Decimal("0.333333333333") and Decimal(2) - 1 - more == Decimal("0.666666666667")
    assert volume_effect(Decimal(0), Decimal(0), Decimal(2), Decimal(4)) == 2


def test_it_says_what_may_still_move(home) -> None:
    settings, first, _ = home
    found = {key[1:]: value for key, value in amounts(settings, first).items() if key[0] == "finality"}
    assert found == {
        ("days published", "of 31 days"): 2, ("state", "text"): "provisional", ("bill that may still change", "aws 2026-10 text"): "provisional",
        ("days not yet priced", "days"): 1, ("day not yet priced", "2026-10-06 text"): "awaiting_bill",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("finality", "days", "state"), [("final", 31, "final"), ("final", 30, "provisional"), ("provisional", 31, "provisional")]
)
def test_a_month_is_final_with_all_its_days_and_bills(finality: str, days: int, state: str) -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"create table dim_date as select date '2026-10-01' + cast(i as int) as usage_date from range({days}) as r(i)")  # noqa: S608
        connection.execute("create table daily as select usage_date, 'aws' as source, date '2026-10-01' as month from dim_date")
        connection.execute(f"create table fct_reconciliation as select 'aws' as source, '{finality}' as finality, date '2026-10-01' as usage_month,"
                           " date '2026-10-01' as billing_period")  # fmt: skip
        connection.execute("create table fct_gpu_utilization_daily as select usage_date, 'priced' as pricing_status from dim_date")
        waiting = "'awaiting_bill' as pricing_status, 3600.0 as gpu_seconds, 2.5 as estimated_cost_usd"
        connection.execute(
            f"create table fct_cost_estimate as select date '2026-10-01' as usage_date, 'training_run/R' as workload_key, {waiting}"
        )
        connection.execute("create table dim_workload as select 'training_run/R' as workload_key, 'nlp' as team")
        ask = Asked(connection, {"team": "nlp", "month": dt.date(2026, 10, 1), "before": dt.date(2026, 9, 1)})
        found = {(f.item, f.unit): f.text or f.amount for f in finality_figures(ask, dt.date(2026, 10, 1))}
    assert found["state", "text"] == state
    assert found["days not yet priced", "days"] == 0
    assert found["GPU time of the team that waits for its bill", "gpu_hours"] == 1 and found["estimate for it", "usd"] == Decimal("2.5")


@pytest.mark.parametrize("file_format", ["text", "csv"])
def test_a_statement_makes_itself_again_from_the_archive(home, tmp_path: Path, file_format: str) -> None:
    settings, first, second = home
    out = tmp_path / "a"
    made = make_statement(settings, "nlp", "2026-10", release=first, file_format=file_format, out=out)
    assert out.read_bytes() == made["bytes"] == make_statement(settings, "nlp", "2026-10", release=first, file_format=file_format)["bytes"]
    assert verify_statement(settings, out)["is_equal"]
    newer = make_statement(settings, "nlp", "2026-10", file_format=file_format)
    assert newer["identity"]["release"] == second and newer["bytes"] != made["bytes"]
    # the release that was current at a time: between the two publications it is the first
    times = [release.published_at for release in archived(settings)]
    if times[0] < times[1]:
        assert make_statement(settings, "nlp", "2026-10", release=times[0].isoformat(), file_format=file_format)["bytes"] == made["bytes"]


def test_a_changed_figure_is_named(home, tmp_path: Path) -> None:
    settings, first, _ = home
    out = tmp_path / "a.txt"
    make_statement(settings, "nlp", "2026-10", release=first, out=out)
    text = out.read_text()
    out.write_text(text.replace("$18.50", "$17.50", 1))
    result = CliRunner().invoke(app, ["statement", "--verify", str(out), "--home", str(settings.home)])
    number = 1 + next(n for n, line in enumerate(text.splitlines()) if "$18.50" in line)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f'NOT equal: team "nlp", 2026-10, release {first}: 1 line(s) differ',
        f"  line {number}",
        "    the file says    total (effective) $17.50",
        "    the release says total (effective) $18.50",
    ]
    out.write_text(text)
    equal = CliRunner().invoke(app, ["statement", "--verify", str(out), "--home", str(settings.home)])
    assert (equal.exit_code, equal.stdout) == (0, f'equal: team "nlp", 2026-10, release {first}: every byte is what the release says\n')
    # a statement of another release of the same month is not this one
    out.write_text(text.replace(first, "0" * 16))
    with pytest.raises(ApportionError, match="not in the archive"):
        verify_statement(settings, out)
    out.write_text("hello")
    with pytest.raises(UsageError, match="does not say which statement"):
        verify_statement(settings, out)


def test_the_foot_names_release_digest_and_command(home) -> None:
    settings, first, _ = home
    made = make_statement(settings, "nlp", "2026-10", release=first)
    *_, told, again, last = made["bytes"].decode().splitlines()
    assert told == f"release {first}; sha256 of the figures, to the last digit, {made['identity']['sha256']}"
    assert again == f"again: apportion statement --team nlp --month 2026-10 --release {first} --format text"
    assert json.loads(last.removeprefix("statement ")) == made["identity"]
    result = CliRunner().invoke(app, [*again.removeprefix("again: apportion ").split(), "--home", str(settings.home)])
    assert result.stdout_bytes == made["bytes"]
    # the digest is over exact amounts: a change of 1e-12 that no cent shows changes it
    figures = [Figure("total", "total", "", "usd", Decimal(1))]
    assert digest(figures) != digest([Figure("total", "total", "", "usd", Decimal("1.000000000001"))])


@pytest.mark.parametrize("file_format", ["text", "csv"])
def test_hostile_names_move_no_cursor_and_start_no_formula(home, tmp_path: Path, file_format: str) -> None:
    settings, first, _ = home
    out = tmp_path / "a"
    made = make_statement(settings, HOSTILE, "2026-10", release=first, file_format=file_format, out=out)
    assert verify_statement(settings, out)["is_equal"]
    text = made["bytes"].decode()
    if file_format == "text":
        assert all(line.isprintable() for line in text.splitlines())
    else:
        cells = [cell for row in csv.reader(text.splitlines(keepends=True)) for cell in row]
        assert [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t", "\r", "\n", "\0")] == []
        assert f"'{HOSTILE} / (no environment)" in cells
    assert one_line("a\nb\x1b") == "a\\nb\\x1b"


def test_what_cannot_be_stated_is_refused(home, tmp_path: Path) -> None:
    settings, first, _ = home
    with pytest.raises(UsageError, match="no dollar of team 'nobody' in 2026-10") as told:
        make_statement(settings, "nobody", "2026-10", release=first)
    assert "nlp, vision" in str(told.value)
    with pytest.raises(UsageError, match="2026-11 is not in release"):
        make_statement(settings, "nlp", "2026-11", release=first)
    with pytest.raises(UsageError, match="not a month"):
        make_statement(settings, "nlp", "2026-13", release=first)
    with pytest.raises(UsageError, match="neither of text, csv"):
        make_statement(settings, "nlp", "2026-10", file_format="pdf")
    with pytest.raises(UsageError, match="neither a release nor a time"):
        make_statement(settings, "nlp", "2026-10", release="what")


def test_a_damaged_archive_is_told(home, tmp_path: Path) -> None:
    settings, first, _ = home
    copied = Settings(settings.values, tmp_path / "home", None)
    shutil.copytree(settings.published / "history", copied.published / "history")
    [file] = [f for (table, _), f in archived(copied)[0].files.items() if table == "fct_showback"]
    path = object_path(copied, file.sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ApportionError, match="not in the archive as it was published"):
        make_statement(copied, "nlp", "2026-10", release=first)
