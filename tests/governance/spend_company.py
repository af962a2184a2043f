"""A made-up company's ledger by day: clean, or with one thing gone wrong.

Clean means: a week with weekends, growth, noise of up to 15 %, holidays, fees and taxes and credits by the month, a training team whose runs start
and stop, and a small new team that grows up. Everything follows from the seed.

Belongs here: rows of fct_cost_daily. Does not: assertions.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

START = dt.date(2026, 6, 15)
CENT = Decimal("0.01")
Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """GPUs of one team: how many it has on an ordinary day, at what rate, and which part of them stands still."""

    team: str
    model: str
    environment: str
    gpus: float
    gpu_model: str = "H100"
    pricing: str = "on_demand"
    idle: float = 0.2
    source: str = "aws"
    is_lumpy: bool = False
    from_day: int = 0


RATES = {("H100", "on_demand"): 4.0, ("H100", "spot"): 1.6, ("A100", "on_demand"): 2.0, ("L4", "on_demand"): 0.7}
PARTS = (
    Part("nlp", "chat", "production", 24, idle=0.3),
    Part("nlp", "chat-lora", "development", 8, pricing="spot"),
    Part("vision", "detector", "production", 20, gpu_model="A100", idle=0.35, source="gcp"),
    Part("recsys", "ranker", "production", 30, gpu_model="L4", idle=0.4),
    Part("research", "scaling", "development", 24, is_lumpy=True, idle=0.15),
    Part("audio", "tts", "development", 2, gpu_model="A100", from_day=30),
)


@dataclass
class Company:
    """``rows(days)`` is the ledger by day. change: (day, part) -> multipliers of gpus, rate and idle that a test plants."""

    seed: int
    days: int = 75
    change: Callable[[int, Part], dict[str, float]] = lambda day, part: {}
    parts: tuple[Part, ...] = PARTS
    noise: float | None = None
    growth: float | None = None
    has_lumps: bool = True
    storage_change: Callable[[int], float] = lambda day: 1.0
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311
        self.noise = self.rng.uniform(0.02, 0.15) if self.noise is None else self.noise
        self.growth = self.rng.uniform(0, 0.006) if self.growth is None else self.growth
        self.weekend = self.rng.uniform(0.45, 1.0)
        self.holidays = {day for day in range(self.days) if self.rng.random() < 0.03}

    def rows(self) -> dict[str, list[Row]]:
        ledger = [row for day in range(self.days) for row in self._day(day)]
        return {"dim_date": [{"usage_date": START + dt.timedelta(day)} for day in range(self.days)], "fct_cost_daily": ledger}

    def _wave(self, day: int) -> float:
        date = START + dt.timedelta(day)
        low = self.weekend if date.weekday() >= 5 or day in self.holidays else 1.0
        return low * (1 + self.growth) ** day

    def _noisy(self) -> float:
        return self.rng.uniform(1 - self.noise, 1 + self.noise)

    def _day(self, day: int) -> list[Row]:
        date = START + dt.timedelta(day)
        rows = [row for part in self.parts for row in self._gpu(day, date, part)]
        for service, team, usd in (("AmazonS3", "nlp", 180.0), ("AmazonEC2-Other", "recsys", 90.0), ("Cloud Storage", "vision", 60.0)):
            source = "gcp" if service.startswith("Cloud") else "aws"
            cost = usd * self._wave(day) * self._noisy() * self.storage_change(day)
            rows.append(self._row(date, source, team, cost, service=service, component="other", cost_class="not_measured"))
        if self.has_lumps:
            rows += self._lumps(date)
        return rows

    def _gpu(self, day: int, date: dt.date, part: Part) -> list[Row]:
        if day < part.from_day:
            return []
        planted = self.change(day, part)
        gpus = part.gpus * self._noisy()
        if part.is_lumpy:  # runs start and stop: nothing on some days, up to twice the usual on others
            gpus *= self.rng.choice([0.0, 0.3, 0.6, 1.0, 1.0, 1.4, 2.0])
        else:
            gpus *= self._wave(day)
        if part.from_day:
            gpus *= min(1.0, (day - part.from_day + 1) / 25)
        seconds = Decimal(round(gpus * planted.get("gpus", 1) * 86400))
        rate = Decimal(str(RATES[part.gpu_model, part.pricing] * planted.get("rate", 1)))
        idle = min(0.97, part.idle * self.rng.uniform(0.9, 1.1) * planted.get("idle", 1))
        idle_seconds = Decimal(int(float(seconds) * idle))
        rows = []
        for cost_class, count in (("used", seconds - idle_seconds), ("held_idle", idle_seconds)):
            if count:
                cost = float(count * rate / 3600)
                rows.append(
                    self._row(
                        date, part.source, part.team, cost, model=part.model, environment=part.environment, cost_class=cost_class,
                        component="gpu", gpu_model=part.gpu_model, pricing_category=part.pricing, gpu_seconds=count,
                        service="AmazonEC2" if part.source == "aws" else "Compute Engine", pool=f"{part.team}-{part.gpu_model}".lower(),
                    )
                )  # fmt: skip
        return rows

    def _lumps(self, date: dt.date) -> list[Row]:
        found = []
        if date.day == 1:
            found.append(("Purchase", "tax_and_fees", 2500.0, "AWSSupport"))
        if date.day == 3:
            found.append(("Tax", "tax_and_fees", 4000.0, "Tax"))
        if date.day == 20:
            found.append(("Credit", "credit", -3000.0, "Credit"))
        return [
            self._row(date, "aws", None, usd, charge_category=category, cost_class=cost_class, service=service, component="other")
            for category, cost_class, usd, service in found
        ]

    @staticmethod
    def _row(date: dt.date, source: str, team: str | None, usd: float, **values: Any) -> Row:
        cost = Decimal(str(usd)).quantize(CENT)
        given: Row = {
            "usage_date": date, "billing_period": date.replace(day=1), "stage": "allocated", "source": source, "account_id": source, "team": team,
            "owner_team": team, "model": None, "environment": None, "project": None, "service": None, "reason": None, "pricing_category": None,
            "charge_category": "Usage", "gpu_model": None, "pool": None, "gpu_seconds": None, "billed_cost_usd": cost, "cost_usd": cost,
            "list_cost_usd": cost, "list_missing_cost_usd": Decimal(0),
        }  # fmt: skip
        return given | values
