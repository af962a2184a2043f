"""Which days a night computes: those that were asked for and never computed, and those whose inputs changed.

Belongs here: comparing deliveries and fingerprints with what the last release was built from. Does not: what a day's figures are.

A day's inputs are told apart by component. The charges, workloads, nodes and inference counts of a day have a fingerprint over
their canonical staged rows (without delivery columns): a restatement that changes nothing makes nothing dirty. Telemetry is told
apart by the content-addressed deliveries that touch the day or the day before (whose last samples are filled into it).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from pipelines.facts import FACTS, kinds_of_fact, staged_models
from pipelines.settings import REPOSITORY, Settings
from pipelines.source import Delivery, Window
from pipelines.warehouse import quote_name, replace_days

ONE_DAY = dt.timedelta(days=1)

# Per fact: what of it belongs to day d. `days` has one row (usage_date) for each day to fingerprint.
_VALID = "(f.valid_from is null or f.valid_from < d.usage_date + interval 1 day) and (f.valid_to is null or f.valid_to > d.usage_date)"
_DAY_ROWS = {
    "charges": "coalesce(cast(f.usage_start as date), f.billing_period) = d.usage_date",
    "charge_splits": "cast(f.usage_start as date) = d.usage_date",
    "rates": _VALID,
    "currency_rates": _VALID,
    "workload_intervals": "f.started_at < d.usage_date + interval 1 day and (f.ended_at is null or f.ended_at > d.usage_date - interval 1 day)",
    "nodes": _VALID,
    "inference_counts": "cast(f.window_start as date) = d.usage_date",
    "managed_usage": "cast(f.window_start as date) = d.usage_date",
    "carbon_factors": _VALID,
    # a measurement is the model's quality until the next: it belongs to its own day and to every later one
    "model_quality": "f.measured_at < d.usage_date + interval 1 day",
    "revenue_rates": _VALID,
}
# Per fact: columns of which a day has only a part, so that a price that ends, or is followed by another, touches no day before that.
_DAY_PARTS = {
    "rates": {"valid_to": "least(coalesce(f.valid_to, timestamp '9999-12-31'), d.usage_date + interval 1 day)"},
    "currency_rates": {"valid_from": "d.usage_date", "valid_to": "d.usage_date"},
    "carbon_factors": {"valid_to": "least(coalesce(f.valid_to, date '9999-12-31'), cast(d.usage_date + interval 1 day as date))"},
    "revenue_rates": {"valid_from": "d.usage_date", "valid_to": "d.usage_date"},
}
# not in the figures: where a row came from, and what a bill says of itself without moving a dollar
_DELIVERY_COLUMNS = {"delivery_id", "file_name", "row_number", "charge_description"}


# loaded whole: what holds on a day may have been said at any time before
_SMALL_FACTS = ("workload_intervals", "nodes", "rates", "currency_rates", "carbon_factors", "model_quality", "revenue_rates")


@dataclass
class Plan:
    """What a night does."""

    window: Window
    known_days: set[dt.date]
    dirty_days: set[dt.date]
    dirty_telemetry_days: set[dt.date]
    full_refresh: bool
    identity: dict[str, str]  # the digests of code and policy, taken once: a checkout that changes under a night cannot mix
    fingerprints: dict[tuple[dt.date, str], str] = field(default_factory=dict)
    held_days: set[dt.date] = field(default_factory=set)  # frozen: not computed though code, policy or telemetry changed
    has_new_code: bool = False


def code_digest() -> str:
    """SHA-256 over what the figures are computed by: the dbt project's SQL, YAML and CSV, and the engine's version."""
    digest = hashlib.sha256(duckdb.__version__.encode())
    project = REPOSITORY / "dbt_project"
    for path in sorted(project.rglob("*")):
        if path.suffix in (".sql", ".yml", ".csv") and not {"target", "logs"} & set(path.relative_to(project).parts):
            digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def versions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The code and policy digests of the last release, by subject."""
    return dict(connection.execute("select subject, digest from ops.version_state").fetchall())


def changed_deliveries(connection: duckdb.DuckDBPyConnection, chosen: Iterable[Delivery]) -> list[tuple[str, dt.date, dt.date]]:
    """(kind, first day, last day) of every delivery that came or went since the last release."""
    now = {(d.source, d.period): d for d in chosen}
    seen = {
        (source, period): (delivery_id, kind, first, last)
        for source, period, delivery_id, kind, first, last in connection.execute(
            "select source, period, delivery_id, kind, covers_from, covers_to from ops.seen_deliveries"
        ).fetchall()
    }
    spans: list[tuple[str, dt.date, dt.date]] = []
    for key, delivery in now.items():
        before = seen.get(key)
        if before is not None and before[0] == delivery.delivery_id:
            continue
        if delivery.covers:
            spans.append((delivery.kind, *delivery.covers))
        if before is not None and before[2] is not None:
            spans.append((before[1], before[2], before[3]))
    spans += [(kind, first, last) for key, (_, kind, first, last) in seen.items() if key not in now and first is not None]
    return spans


def telemetry_fingerprint(day: dt.date, deliveries: Sequence[Delivery]) -> str:
    """The deliveries whose samples can reach ``day``: those that touch it or the day before."""
    kinds = kinds_of_fact("gpu_samples")
    touching = sorted(
        f"{d.source}/{d.delivery_id}"
        for d in deliveries
        if d.kind in kinds and d.covers and d.covers[0] <= day and d.covers[1] >= day - ONE_DAY
    )
    return hashlib.sha256("\n".join(touching).encode()).hexdigest()


def staged_fingerprints(connection: duckdb.DuckDBPyConnection, fact: str, days: Iterable[dt.date]) -> dict[dt.date, str]:
    """Per day an order-independent fingerprint of the fact's canonical rows; a day without rows has one too."""
    wanted = sorted(days)
    if not wanted:
        return {}
    connection.execute("create or replace temp table fingerprint_days (usage_date date)")
    connection.executemany("insert into fingerprint_days values (?)", [(d,) for d in wanted])
    totals: dict[dt.date, list[str]] = {day: [] for day in wanted}
    for model in staged_models(fact):
        columns = [c for c in _columns(connection, model) if c not in _DELIVERY_COLUMNS]
        parts = _DAY_PARTS.get(fact, {})
        row = ", ".join(parts.get(c, f"f.{quote_name(c)}") for c in columns)
        query = (
            f"select d.usage_date, count(*), sum(cast(hash({row}) as hugeint)), sum(cast(hash('second', {row}) as hugeint))"  # noqa: S608
            f" from staging.{quote_name(model)} as f inner join fingerprint_days as d on {_DAY_ROWS[fact]} group by d.usage_date"
        )
        for day, count, first, second in connection.execute(query).fetchall():
            totals[day].append(f"{model}:{count}:{first}:{second}")
    return {day: hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest() for day, parts in totals.items()}


def _columns(connection: duckdb.DuckDBPyConnection, model: str) -> list[str]:
    rows = connection.execute(
        "select column_name from information_schema.columns where table_schema = 'staging' and table_name = ? order by column_name", [model]
    ).fetchall()
    return [name for (name,) in rows]


def component_candidates(known: set[dt.date], spans: Iterable[tuple[str, dt.date, dt.date]]) -> dict[str, set[dt.date]]:
    """Known days, per fact, that a changed delivery can touch."""
    candidates: dict[str, set[dt.date]] = {fact: set() for fact in FACTS}
    for kind, first, last in spans:
        for fact in FACTS:
            if kind in kinds_of_fact(fact):
                # the day after too: samples are filled, counters continued and labels outlived into it
                candidates[fact] |= {day for day in known if first <= day <= last or first <= day - ONE_DAY <= last}
    return candidates


def plan_night(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    window: Window,
    deliveries: Sequence[Delivery],
    policy_digest: str,
    *,
    frozen_days: Collection[dt.date] = (),
    reopened_days: Collection[dt.date] = (),
) -> Plan:
    """Decide the night's days. Staging views of the last night and the raw relations of the candidates must be in place.

    frozen_days: days of closed periods. They are computed only where they never were, or where a bill that is open brings charges for
    them. reopened_days: days of a period that is being corrected; they are always computed.
    """
    published = {day for (day,) in connection.execute("select usage_date from ops.published_days").fetchall()}
    known = published | set(window.days())
    stored = {(day, component): value for day, component, value in connection.execute("select * from ops.day_state").fetchall()}
    complete = {day for day in known if all((day, fact) in stored for fact in FACTS)}
    last = versions(connection)
    identity = {"code": code_digest(), "policy": policy_digest}
    held = complete & set(frozen_days)
    has_new_code = last.get("code") != identity["code"]
    if not published or (last != identity and not held):
        return Plan(window, known, set(known), set(known), full_refresh=True, identity=identity, has_new_code=has_new_code)
    candidates = component_candidates(complete, changed_deliveries(connection, deliveries))
    always = known - complete | known & set(reopened_days) | (known - held if last != identity else set())
    dirty, telemetry = set(always), set(always)
    fingerprints: dict[tuple[dt.date, str], str] = {}
    for fact in FACTS:
        if fact == "gpu_samples":
            found = {day: telemetry_fingerprint(day, deliveries) for day in candidates[fact]}
        else:
            found = staged_fingerprints(connection, fact, candidates[fact])
        changed = {day for day, value in found.items() if stored[(day, fact)] != value}
        fingerprints |= {(day, fact): value for day, value in found.items()}
        if fact != "charges":
            changed -= held
        dirty |= changed
        if fact in ("gpu_samples", "workload_intervals", "nodes"):
            telemetry |= changed
    return Plan(
        window, known, dirty, telemetry, full_refresh=False, identity=identity, fingerprints=fingerprints,
        held_days=held - dirty, has_new_code=has_new_code,
    )  # fmt: skip


def touching(deliveries: Iterable[Delivery], days: set[dt.date]) -> list[Delivery]:
    """Deliveries that the computation of ``days`` reads: small facts whole, the others where they touch a day or the day before."""
    small = frozenset().union(*map(kinds_of_fact, _SMALL_FACTS))
    wanted = days | {day - ONE_DAY for day in days}
    return [d for d in deliveries if d.kind in small or (d.covers is not None and any(d.covers[0] <= day <= d.covers[1] for day in wanted))]


def unseen(connection: duckdb.DuckDBPyConnection, plan: Plan, deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Bill deliveries whose control totals are still to be taken: new since the last release, or all where all is built anew."""
    seen = set() if plan.full_refresh else {row[0] for row in connection.execute("select delivery_id from ops.seen_deliveries").fetchall()}
    return [d for d in deliveries if d.kind in kinds_of_fact("charges") and d.delivery_id not in seen]


def begin(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Write the night's days down, and forget what the dirty ones were built from: a killed night leaves them dirty."""
    replace_days(connection, "dirty_days", plan.dirty_days)
    replace_days(connection, "dirty_telemetry_days", plan.dirty_telemetry_days)
    replace_days(connection, "published_days", plan.known_days)
    connection.execute("delete from ops.day_state where usage_date in (select usage_date from ops.dirty_days)")
    connection.execute("checkpoint")


def commit(connection: duckdb.DuckDBPyConnection, plan: Plan, deliveries: Sequence[Delivery]) -> None:
    """After publication: remember what each day was built from. With new code held days are fingerprinted anew: staging may differ."""
    days = remembered_days(plan)
    rows: dict[tuple[dt.date, str], str] = dict(plan.fingerprints)
    for fact in FACTS:
        if fact == "gpu_samples":
            rows |= {(day, fact): telemetry_fingerprint(day, deliveries) for day in days}
        else:
            rows |= {(day, fact): value for day, value in staged_fingerprints(connection, fact, days).items()}
    connection.execute("begin")
    if rows:
        connection.executemany("delete from ops.day_state where usage_date = ? and component = ?", sorted(rows))
        connection.executemany(
            "insert into ops.day_state values (?, ?, ?)", [(day, fact, value) for (day, fact), value in sorted(rows.items())]
        )
    connection.execute("delete from ops.seen_deliveries")
    seen = [(d.source, d.period, d.delivery_id, d.kind, *(d.covers or (None, None))) for d in deliveries]
    if seen:
        connection.executemany("insert into ops.seen_deliveries values (?, ?, ?, ?, ?, ?)", seen)
    connection.execute("delete from ops.version_state")
    connection.executemany("insert into ops.version_state values (?, ?)", sorted(plan.identity.items()))
    connection.execute("commit")


def remembered_days(plan: Plan) -> set[dt.date]:
    """The days whose inputs are written down after publication; the raw relations must hold them."""
    return plan.dirty_days | (plan.held_days if plan.has_new_code else set())


def staging_exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the last night left its staging views."""
    found = connection.execute("select count(*) from information_schema.tables where table_schema = 'staging'").fetchone()
    return bool(found and found[0])


def warehouse_is_usable(path: Path) -> bool:
    """Whether the warehouse opens; a damaged one is rebuilt from the landed deliveries, never repaired."""
    if not path.exists():
        return True
    try:
        duckdb.connect(str(path)).close()
    except duckdb.Error as error:
        return "lock" in str(error).lower()
    return True
