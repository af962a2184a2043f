"""The nightly attribution: ingest, plan, check at the door, transform, check at the exit, publish, remember.

Belongs here: the order of the stages and what passes between them. Does not: any stage's work. The command line and the Dagster
assets both call these functions; there is no second way to run a night.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines import dbt, planning, warehouse
from pipelines.errors import ApportionError, GateError
from pipelines.history import aside, closing
from pipelines.history.periods import KeptAside, freeze, log_of
from pipelines.landing import Landing
from pipelines.lock import single_writer
from pipelines.policy import load_policy
from pipelines.settings import Settings
from pipelines.source import Delivery, Source, Window

Progress = Callable[[str], None]
MONEY_COLUMNS = ("billed_usd", "attributed_usd", "unattributed_usd", "residual_usd")


@dataclass
class Night:
    """One night in progress."""

    settings: Settings
    window: Window
    deliveries: list[Delivery] = field(default_factory=list)
    plan: planning.Plan | None = None
    dbt_results: list[dbt.NodeResult] = field(default_factory=list)
    door: Any = None
    exit: Any = None
    release: Any = None
    kept_aside: list[dict[str, Any]] = field(default_factory=list)  # deliveries for closed periods, with what they would move
    corrected: list[dict[str, Any]] = field(default_factory=list)  # log entries of the corrections that this night published
    stage: str = ""  # the stage that runs or ran last
    failure: BaseException | None = None  # what ended the night, where its stages are taken one by one

    @property
    def landing(self) -> Landing:
        return Landing(self.settings.raw)

    @property
    def planned(self) -> planning.Plan:
        """The plan; an error where the night has not been planned."""
        if self.plan is None:
            raise ApportionError("the night has not been planned", remedy="call plan() before this stage")
        return self.plan


@contextmanager
def writer(settings: Settings, *, wait_seconds: float = 0) -> Iterator[None]:
    """Be the one writer of this APPORTION_HOME until the block ends, or the process dies."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with single_writer(settings.home, wait_seconds=wait_seconds):
        yield


def ingest_source(source: Source, window: Window, landing: Landing) -> list[Delivery]:
    """Land what ``source`` presents for ``window``; return every delivery of it that counts now."""
    for _ in source.fetch(window, landing):
        pass
    return landing.chosen(source.name)


def ingest(night: Night, progress: Progress) -> None:
    """Land every configured source. The look-back reaches late telemetry and corrections."""
    wide = Window(night.window.first - dt.timedelta(days=night.settings.values.lookback_days), night.window.last)
    for source in night.settings.sources:
        progress(f"ingest {source.name} ({source.kind})")
        ingest_source(source, wide, night.landing)


def chosen_deliveries(settings: Settings) -> list[Delivery]:
    """Every delivery that counts now, of every configured source: what it presents now, and for closed periods what they closed with."""
    return _counted(settings)[0]


def _counted(settings: Settings) -> tuple[list[Delivery], list[KeptAside]]:
    landing = Landing(settings.raw)
    return freeze(log_of(settings), landing, [delivery for source in settings.sources for delivery in landing.chosen(source.name)])


def plan(night: Night, progress: Progress) -> None:
    """Decide the night's days, and point the raw relations at what they need."""
    settings = night.settings
    policy = load_policy(settings.policy_path)
    night.deliveries, kept_aside = _counted(settings)
    log = log_of(settings)
    if not planning.warehouse_is_usable(settings.warehouse):
        progress("the warehouse is damaged: it is set aside and rebuilt from the landed deliveries")
        shutil.move(settings.warehouse, damaged_warehouse(settings))
    with warehouse.connect(settings) as connection:
        warehouse.ensure_bookkeeping(connection)
        if kept_aside and planning.staging_exists(connection):
            night.kept_aside = aside.measure(connection, kept_aside)
        published = {day for (day,) in connection.execute("select usage_date from ops.published_days").fetchall()}
        changed = planning.changed_deliveries(connection, night.deliveries)
        known = published | set(night.window.days())
        candidates = set().union(*planning.component_candidates(known, changed).values()) if changed else set()
        warehouse.write_raw_relations(connection, planning.touching(night.deliveries, candidates | set(night.window.days())))
        night.plan = planning.plan_night(
            connection, settings, night.window, night.deliveries, policy.digest, frozen_days=log.standing, reopened_days=log.reopened_days
        )
        policy.write(connection)
        warehouse.write_deliveries(connection, night.deliveries)
        planning.begin(connection, night.plan)
        needed = planning.touching(night.deliveries, night.plan.dirty_days)
        fresh = planning.unseen(connection, night.plan, night.deliveries)
        warehouse.write_raw_relations(connection, {d.delivery_id: d for d in [*needed, *fresh]}.values())
    progress(f"{len(night.plan.dirty_days)} day(s) to compute, {len(night.plan.dirty_telemetry_days)} of them from telemetry")
    for line in aside.aside_lines(night.kept_aside):
        progress(line)


def check_door(night: Night, progress: Progress) -> None:
    """Refuse bad input before anything is computed from it."""
    from pipelines.checks import run_door

    progress("checks at the door")
    night.door = run_door(night.settings, night.deliveries, night.window)
    night.door.raise_for_critical()


def transform(night: Night, progress: Progress) -> None:
    """One dbt invocation for all of the night's days."""
    progress("dbt build")
    arguments = dbt.build_arguments(full_refresh=night.planned.full_refresh)
    if night.planned.held_days and night.planned.has_new_code:  # frozen days keep their rows: new columns are added beside them
        arguments += ["--vars", json.dumps({"on_schema_change": "append_new_columns"})]
    night.dbt_results = dbt.invoke(night.settings, arguments)


def check_exit(night: Night, progress: Progress) -> None:
    """Refuse to publish what breaks a law."""
    from pipelines.checks import run_exit

    progress("checks at the exit")
    night.exit = run_exit(night.settings, night.planned.dirty_days)
    night.exit.raise_for_critical()


def publish(night: Night, progress: Progress) -> None:
    """Write, audit and swap the release; then remember what it was built from."""
    from pipelines.history import database
    from pipelines.publish import publish as publish_release

    progress("publish")
    night.release = publish_release(night.settings, night.planned.dirty_days, identity=night.planned.identity)
    with warehouse.connect(night.settings) as connection:
        if night.planned.held_days and night.planned.has_new_code:
            warehouse.write_raw_relations(connection, planning.touching(night.deliveries, planning.remembered_days(night.planned)))
        planning.commit(connection, night.planned, night.deliveries)
    night.corrected = closing.finish_corrections(night.settings)
    database.update(night.settings)


STAGES: tuple[tuple[str, Callable[[Night, Progress], None]], ...] = (
    ("ingest", ingest),
    ("plan", plan),
    ("check_door", check_door),
    ("transform", transform),
    ("check_exit", check_exit),
    ("publish", publish),
)


def run(settings: Settings, window: Window, progress: Progress = lambda _: None, *, wait_seconds: float = 0) -> Night:
    """Run a night over ``window``. Raises GateError where a gate refuses; the last release then stands."""
    if not settings.sources:
        raise ApportionError(
            "no source is configured",
            where=str(settings.config_path or "apportion.yml"),
            remedy="name at least one source; see apportion.example.yml",
        )
    from pipelines.alerting.watch import watched

    night = Night(settings, window)
    with watched(night, progress), writer(settings, wait_seconds=wait_seconds):
        for night.stage, stage in STAGES:
            stage(night, progress)
    return night


def money(settings: Settings, days: set[dt.date] | None = None) -> dict[str, Decimal]:
    """Dollars of ``days`` (default: of every published day) in the warehouse: billed, attributed, unattributed, residual."""
    with warehouse.connect(settings, read_only=True) as connection:
        connection.execute("create temp table wanted_days (usage_date date)")
        if days is None:
            connection.execute("insert into wanted_days select usage_date from ops.published_days")
        elif days:
            connection.executemany("insert into wanted_days values (?)", [(d,) for d in sorted(days)])
        row = connection.execute(
            """
            with ledger as (
                select coalesce(sum(effective_cost), 0) as cost, coalesce(sum(billed_cost), 0) as billed,
                       coalesce(sum(case when cost_class in ('unattributed', 'unknown', 'quarantined') then effective_cost else 0 end), 0) as unattributed
                from published.fct_cost_allocation where usage_date in (select usage_date from wanted_days)
            ), buckets as (
                select coalesce(sum(effective_cost), 0) as cost from published.fct_charge_bucket where usage_date in (select usage_date from wanted_days)
            )
            select ledger.billed, ledger.cost - ledger.unattributed, ledger.unattributed, buckets.cost - ledger.cost from ledger, buckets
            """
        ).fetchone()
    if row is None:
        raise GateError("the ledger could not be summed", where=str(settings.warehouse))
    return dict(zip(MONEY_COLUMNS, row, strict=True))


def window_of(first: dt.date, last: dt.date) -> Window:
    """A checked window: first day not after the last."""
    from pipelines.errors import UsageError

    if first > last:
        raise UsageError(f"--from {first} is after --to {last}", remedy="swap them")
    return Window(first, last)


def damaged_warehouse(settings: Settings) -> Path:
    """Where a warehouse that did not open is set aside."""
    return settings.warehouse.with_suffix(".damaged")
