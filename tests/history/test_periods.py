"""Periods: open, closed, corrected; and that nothing closed changes by any other way."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import ApportionError, GateError, UsageError
from pipelines.history import aside as kept
from pipelines.history.archive import archived
from pipelines.history.closing import close, correct, finish_corrections
from pipelines.history.periods import append, freeze, log_of
from pipelines.history.words import period_lines
from pipelines.landing import Landing
from pipelines.publish import current_release
from pipelines.settings import Settings
from tests.history.bills import BUCKET, IDENTITY, Bearer, Charge, publish_charges, settings_for

SEPTEMBER, OCTOBER = dt.date(2026, 9, 1), dt.date(2026, 10, 1)
D29, D30, NOW = dt.date(2026, 9, 29), dt.date(2026, 9, 30), dt.date(2026, 10, 5)
AWS = Charge(D29, "10", bearers=(Bearer("training_run/r", "6", "vision"), Bearer(None, "4", None, "unallocated_idle")))
AWS_LAST = Charge(D30, "20")
GCP = Charge(D29, "5", source="gcp", provider="gcp", resource="g-1")
# Google bills the last evening of September with October
GCP_LATE = Charge(D30, "3", source="gcp", provider="gcp", resource="g-1", period=OCTOBER)
OPEN = Charge(NOW, "7")
ALL = [AWS, AWS_LAST, GCP, GCP_LATE, OPEN]
FINAL = {("aws", SEPTEMBER): "final", ("gcp", SEPTEMBER): "final"}
DELIVERIES = [("aws", "2026-09", "d-sep"), ("aws", "2026-10", "d-oct"), ("gcp", "2026-09", "g-sep")]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    made = settings_for(tmp_path / "home")
    publish_charges(made, ALL, finality=FINAL, deliveries=DELIVERIES)
    yield made


def again(settings: Settings, charges: list[Charge], **more: object) -> object:
    return publish_charges(settings, charges, **{"finality": FINAL, "deliveries": DELIVERIES, **more})  # type: ignore[arg-type]


def changed(old: Charge, **changes: object) -> list[Charge]:
    return [old.but(**changes) if c is old else c for c in ALL]


def test_what_closing_freezes(settings: Settings) -> None:
    """Both bills of September are closed: the 29th is frozen as a whole; the 30th also has a bill of October, so only its bill rows are."""
    entry = close(settings, "2026-09")
    told = current_release(settings)
    assert told is not None
    shas = {(f["table"], f["name"]): f["sha256"] for f in told["files"]}
    assert entry["sources"] == ["aws", "gcp"] and entry["release_id"] == told["release_id"] and entry["sequence"] == 1
    assert entry["bill_days"] == {"aws": ["2026-09-29", "2026-09-30"], "gcp": ["2026-09-29"]}
    assert entry["frozen_days"] == {
        "2026-09-29": {
            "pairs": [("aws", "2026-09"), ("gcp", "2026-09")],
            "fct_charge_bucket": shas["fct_charge_bucket", "2026-09-29.parquet"],
            "fct_cost_allocation": shas["fct_cost_allocation", "2026-09-29.parquet"],
        }
    }
    assert [(d["source"], d["delivery_id"], d["billing_periods"]) for d in entry["deliveries"]] == [
        ("aws", "d-sep", ["2026-09"]),
        ("gcp", "g-sep", ["2026-09"]),
    ]
    log = log_of(settings)
    assert set(log.standing) == {D29} and log.is_closed(("aws", "2026-09")) and not log.is_closed(("aws", "2026-10"))
    assert period_lines(entry) == [
        f"period 2026-09 of aws, gcp is closed with release {told['release_id']}: 1 day(s) frozen, 2026-09-29 to 2026-09-29",
        "1 day(s) have bills of open periods as well: there only the bill rows of aws, gcp are frozen, 2026-09-30 to 2026-09-30",
    ]


def test_a_day_is_frozen_when_its_last_bill_is_closed(settings: Settings) -> None:
    assert close(settings, "2026-09", source="aws")["frozen_days"] == {}
    assert set(close(settings, "2026-09", source="gcp")["frozen_days"]) == {"2026-09-29"}
    assert set(close(settings, "2026-10", provisional=True)["frozen_days"]) == {"2026-09-30", "2026-10-05"}


def test_what_cannot_be_closed(settings: Settings) -> None:
    with pytest.raises(UsageError, match="(?s)bill of aws, gcp for 2026-10 is still provisional.*--provisional"):
        close(settings, "2026-10")
    with pytest.raises(UsageError, match="(?s)period 2026-08 is not published.*2026-09 of aws"):
        close(settings, "2026-08")
    with pytest.raises(UsageError, match="not a billing period"):
        close(settings, "september")
    with pytest.raises(UsageError, match="2026-09 is not closed"):
        correct(settings, "2026-09", reason="x")
    close(settings, "2026-09")
    with pytest.raises(UsageError, match="closed already"):
        close(settings, "2026-09")
    with pytest.raises(UsageError, match="a correction needs a reason"):
        correct(settings, "2026-09", reason=" ")
    assert [e["event"] for e in log_of(settings).entries] == ["close"]


CHANGES = {
    "a bill row of a frozen day": (changed(AWS, cost="11", bearers=()), "4 row.s. of fct_charge_bucket|2 row.s. of fct_charge_bucket on 2026-09-29 would change, effective cost by 1.0+ US"),
    "attribution on a frozen day": (
        changed(AWS, bearers=(Bearer("training_run/r", "10", "vision"),)),
        "3 row.s. of fct_cost_allocation on 2026-09-29 would change, effective cost by 0",
    ),
    "a closed bill row on a day that is not frozen": (
        changed(AWS_LAST, cost="21"),
        "period 2026-09 of aws is closed, but 2 row.s. of fct_charge_bucket on 2026-09-30 would change, effective cost by 1.0+ US",
    ),
    "a frozen day that is gone": ([AWS_LAST, GCP_LATE, OPEN], "2026-09-29 of the closed period 2026-09 would no longer be published"),
    "a late charge of a closed bill": ([*ALL, AWS.but(hour=3, cost="0.5", bearers=())], "1 row.s. of fct_charge_bucket on 2026-09-29"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_release_that_changes_what_is_closed_is_refused(settings: Settings, change: str) -> None:
    close(settings, "2026-09")
    standing = current_release(settings)
    charges, message = CHANGES[change]
    with pytest.raises(GateError, match=message) as refusal:
        again(settings, charges)
    assert "nothing was published" in str(refusal.value.remedy)
    assert current_release(settings) == standing and len(archived(settings)) == 1


def test_what_is_open_may_change(settings: Settings) -> None:
    close(settings, "2026-09")
    moved = [c.but(cost="8") if c is OPEN else c.but(cost="4") if c is GCP_LATE else c for c in ALL]
    again(settings, moved)
    # attribution on the 30th, which has a bill of October too, is not frozen
    again(settings, [c.but(bearers=(Bearer("endpoint/chat", "20", "nlp"),)) if c is AWS_LAST else c for c in moved])
    assert len(archived(settings)) == 3


def test_an_open_bill_may_bring_rows_to_a_frozen_day(settings: Settings) -> None:
    """A correction by the provider comes as new rows of a later bill: the day's file changes, what is closed on it does not."""
    close(settings, "2026-09")
    late = AWS.but(hour=1, cost="-2", charge_class="Correction", period=OCTOBER, bearers=())
    again(settings, [*ALL, late])
    with pytest.raises(GateError, match="2026-09-29 would change"):
        again(settings, [*changed(AWS, bearers=(Bearer("training_run/r", "10", "vision"),)), late])


def test_another_schema_of_the_same_content_stands(tmp_path: Path) -> None:
    """New code that adds columns rewrites closed days: the columns that both have are compared."""
    settings = settings_for(tmp_path / "home")
    older = {name: kind for name, kind in BUCKET.items() if name not in ("invoice_id", "usage_quantity")}
    again(settings, ALL, bucket_columns=older)
    close(settings, "2026-09")
    again(settings, ALL, identity={**IDENTITY, "code": "new"})
    assert len(archived(settings)) == 2
    with pytest.raises(GateError, match="effective cost by 1.0+ US"):
        again(settings, changed(AWS, cost="11", bearers=()), identity={**IDENTITY, "code": "new"})


def test_a_correction_is_logged_with_what_it_moved_and_closes_again(settings: Settings) -> None:
    close(settings, "2026-09")
    before = archived(settings)[0]
    entry = correct(settings, "2026-09", source="aws", reason="tags of the vision team were repaired")
    log = log_of(settings)
    assert log.reopened_days == {D29, D30} and log.standing == {}
    assert period_lines(entry) == [
        "period 2026-09 of aws: the next night may change it (tags of the vision team were repaired), then it is closed again"
    ]
    again(
        settings,
        [
            c.but(cost="11", bearers=()) if c is AWS else c.but(cost="18") if c is AWS_LAST else c.but(cost="9") if c is OPEN else c
            for c in ALL
        ],
    )
    [told] = finish_corrections(settings)
    after = archived(settings)[1]
    assert (told["event"], told["release_before"], told["release_id"]) == ("corrected", before.release_id, after.release_id)
    # +1 on the 29th, -2 on the 30th; what moved in October is not the correction's
    assert told["moved_usd"] == {"billed": "-1.000000000000", "effective": "-1.000000000000", "list": "-1.000000000000"}
    assert set(told["frozen_days"]) == {"2026-09-29"} and told["sequence"] == 2
    assert period_lines(told)[0].startswith("correction published (tags of the vision team were repaired): billed -$1.00, effective -$1.00")
    assert finish_corrections(settings) == []
    with pytest.raises(GateError, match="period 2026-09 of aws, gcp is closed"):
        again(settings, ALL)


def test_a_correction_of_one_source_does_not_open_the_other(settings: Settings) -> None:
    close(settings, "2026-09")
    correct(settings, "2026-09", source="aws", reason="x")
    with pytest.raises(GateError, match="period 2026-09 of gcp is closed, but 2 row"):
        again(settings, changed(GCP, cost="6"))
    assert log_of(settings).correcting.keys() == {("aws", "2026-09")}


def test_the_log_cannot_be_changed_unseen(settings: Settings) -> None:
    close(settings, "2026-09", source="aws")
    close(settings, "2026-09", source="gcp")
    path = settings.home / "periods.jsonl"
    first, second = path.read_text().splitlines()
    entry = json.loads(first)
    assert {"event", "at", "by", "period", "release_id", "previous"} <= entry.keys() and entry["previous"] == ""
    path.write_text(first + "\n" + second[: len(second) // 2])  # a command that was killed while it wrote
    assert [e["sources"] for e in log_of(settings).entries] == [["aws"]]
    append(settings, json.loads(second))
    assert [e["sources"] for e in log_of(settings).entries] == [["aws"], ["gcp"]]
    path.write_text(path.read_text().replace('"2026-09-29"', '"2026-09-28"', 1))
    with pytest.raises(ApportionError, match="log of periods was changed"):
        log_of(settings)


def land(landing: Landing, period: str, content: str) -> str:
    import duckdb

    with landing.stage("aws", "aws_cur", period) as staging:
        path = staging.path("line_items")
        duckdb.connect().execute("create table t as select ? as content", [content]).execute(f"copy t to '{path}' (format parquet)")
        staging.add("line_items", path, rows=1)
        return staging.seal(order=content, covers=(D29, D30), finality="final").delivery_id


def test_a_newer_delivery_of_a_closed_period_is_kept_aside(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home")
    landing = Landing(settings.raw)
    sep, october = land(landing, "2026-09", "1"), land(landing, "2026-10", "1")
    deliveries = [("aws", "2026-09", sep), ("aws", "2026-10", october)]
    publish_charges(settings, [AWS, OPEN], finality=FINAL, deliveries=deliveries)
    close(settings, "2026-09")
    newer, october = land(landing, "2026-09", "2"), land(landing, "2026-10", "2")
    counted, aside = freeze(log_of(settings), landing, landing.chosen("aws"))
    assert [d.delivery_id for d in counted] == [sep, october]
    assert [(a.frozen.delivery_id, a.newer.delivery_id, a.periods) for a in aside] == [(sep, newer, ("2026-09",))]
    correct(settings, "2026-09", reason="take the newer bill")
    counted, aside = freeze(log_of(settings), landing, landing.chosen("aws"))
    assert ([d.delivery_id for d in counted], aside) == ([newer, october], [])


def test_what_a_kept_aside_delivery_would_move_is_said() -> None:
    told = {"periods": ["2026-09"], "source": "aws", "delivery_id": "d2", "currency": "USD", "effective_move": 12, "billed_move": -3}
    assert kept.aside_lines([told]) == [
        "period 2026-09 of aws is closed; delivery d2 would move its bill by +12.00 USD effective, -3.00 billed;"
        " `apportion correct 2026-09 --reason ...` takes it"
    ]
