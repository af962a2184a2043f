"""What a fleet would waste and save: GPUs, price, utilization -> cost, waste, and the fleet that does the same work at a target utilization.

Belongs here: the arithmetic, where its inputs come from (a release, or the caller), its wording. Does not: any rule, any published figure.

With N GPUs, price p, hours h, utilization u, target t:
    cost = N p h;  waste = N p h (1 - u);  $ per used GPU-hour = p / u;  needed = ceil(N u / t);  saving = (N - needed) p h.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from fractions import Fraction
from math import ceil
from typing import Any

from pipelines.errors import UsageError
from pipelines.report import open_release, usd
from pipelines.rows import rows_of
from pipelines.settings import Settings

HOURS_PER_MONTH = Decimal(730)
STATED = "stated"
_CENTS = Context(prec=38)

# what the release holds of the fleet: the GPUs and hours that were billed, and what they cost, on the days whose bill is whole
_FLEET = """
with priced as (
    select *, max(usage_date) over () as priced_to
    from fct_gpu_utilization_daily
    where billed_seconds > 0 and pricing_status = 'priced'
)
select
    min(usage_date) as first_day, max(usage_date) as last_day, count(distinct usage_date) as days,
    sum(cost_usd) as cost_usd, sum(billed_seconds) as billed_seconds, sum(used_seconds) as used_seconds, sum(unknown_seconds) as unknown_seconds,
    count(*) filter (usage_date = priced_to) as gpus
from priced
where usage_date > priced_to - 28
"""


@dataclass(frozen=True)
class Input:
    """One figure that goes in: its value, and whether it was measured (and how) or stated."""

    value: Decimal
    origin: str


def fleet_inputs(settings: Settings) -> dict[str, Input]:
    """gpus, price_per_gpu_hour_usd and utilization of the own fleet, from the release: at most its last 28 priced days.

    gpus: those billed on the last priced day. price: effective dollars / billed GPU-hours. utilization: used / (billed - unknown)
    GPU-seconds; how much was unknown is told. An input that the release cannot tell is absent. Raises ApportionError without a release.
    """
    with open_release(settings) as connection:
        [fleet] = rows_of(connection, _FLEET)
    if not fleet["days"]:
        return {}
    span = f"measured, {fleet['first_day']} to {fleet['last_day']}"
    billed, unknown = Fraction(fleet["billed_seconds"]), Fraction(fleet["unknown_seconds"])
    found = {"gpus": Input(Decimal(fleet["gpus"]), f"measured: GPUs billed on {fleet['last_day']}")}
    found["price_per_gpu_hour_usd"] = Input(
        _rounded(Fraction(fleet["cost_usd"]) * 3600 / billed, 6),
        f"{span}: {usd(fleet['cost_usd'])} for {_plain(_rounded(billed / 3600, 1))} billed GPU-hours",
    )
    if billed > unknown:
        measured = Fraction(fleet["used_seconds"]) / (billed - unknown)
        share = f"{_plain(_rounded(unknown * 100 / billed, 1))} % of billed GPU time is unknown and not counted"
        found["utilization"] = Input(_rounded(measured, 6), f"{span}: used / known billed GPU time; {share}")
    return found


def inputs(settings: Settings | None, stated: dict[str, str | None]) -> dict[str, Input]:
    """What is stated, and for what is not: what the release measured. ``settings`` None: nothing is looked up.

    Raises UsageError for a number that cannot be, and where an input is neither stated nor measured.
    """
    given = {name: Input(_number(name, text), STATED) for name, text in stated.items() if text is not None}
    given.setdefault("hours", Input(HOURS_PER_MONTH, "stated: an average month (365 x 24 / 12)"))
    wanted = ("gpus", "price_per_gpu_hour_usd", "utilization")
    if settings is not None and any(name not in given for name in wanted):
        given = fleet_inputs(settings) | given
    if absent := [name for name in (*wanted, "target") if name not in given]:
        raise UsageError(
            f"{absent[0]} is neither stated nor measured",
            remedy=f"state {_option(absent[0])}; the release has no priced GPU time that tells it",
        )
    return given


def what_if(given: dict[str, Input]) -> dict[str, Any]:
    """The answer: every input with its origin, and exact figures rounded once, half-even, to six places (GPUs: up to the next whole one).

    Raises UsageError for an input that cannot be: utilization or target outside 0 to 1, a target of 0, less than one GPU, negative prices.
    """
    values = {name: entry.value for name, entry in given.items()}
    _check(values)
    gpus, price, hours, used, target = (Fraction(values[n]) for n in ("gpus", "price_per_gpu_hour_usd", "hours", "utilization", "target"))
    needed = Fraction(ceil(gpus * used / target))
    cost, useful = gpus * price * hours, gpus * price * hours * used
    saving = (gpus - needed) * price * hours
    reached = gpus * used / needed if needed else None
    return {
        "inputs": {name: {"value": entry.value, "origin": entry.origin} for name, entry in sorted(given.items())},
        "cost_usd": _rounded(cost),
        "useful_usd": _rounded(useful),
        "waste_usd": _rounded(cost - useful),
        "cost_per_used_gpu_hour_usd": _rounded(price / used) if used else None,
        "gpus_needed": int(needed),
        "utilization_reached": None if reached is None else _rounded(reached),
        "cost_per_used_gpu_hour_at_target_usd": None if reached is None else _rounded(price / reached),
        "saving_usd": _rounded(saving),
        "formulas": {
            "cost_usd": "gpus x price x hours",
            "useful_usd": "cost x utilization",
            "waste_usd": "cost x (1 - utilization)",
            "cost_per_used_gpu_hour_usd": "price / utilization",
            "gpus_needed": "ceil(gpus x utilization / target)",
            "utilization_reached": "gpus x utilization / gpus_needed",
            "cost_per_used_gpu_hour_at_target_usd": "price / utilization_reached",
            "saving_usd": "(gpus - gpus_needed) x price x hours",
        },
    }


def what_if_lines(found: dict[str, Any]) -> list[str]:
    """The answer in words: inputs with their origin, figures with their formulas."""
    named = found["inputs"]
    lines = ["Inputs", *[f"  {name:<24}{_plain(named[name]['value']):>14}   {named[name]['origin']}" for name in named], "", "Figures"]
    for name, formula in found["formulas"].items():
        value = found[name]
        text = "-" if value is None else _money(name, value) if name.endswith("_usd") else _plain(Decimal(value))
        lines.append(f"  {name:<38}{text:>16}   = {formula}")
    saving, needed, gpus = found["saving_usd"], found["gpus_needed"], _plain(named["gpus"]["value"])
    return [*lines, "", _verdict(saving, needed, gpus, found)]


def _verdict(saving: Decimal, needed: int, gpus: str, found: dict[str, Any]) -> str:
    target, hours = _plain(found["inputs"]["target"]["value"]), _plain(found["inputs"]["hours"]["value"])
    if saving > 0:
        return f"The same work at {target} utilization needs {needed} of {gpus} GPUs: {usd(saving)} less in {hours} hours."
    if saving < 0:
        return f"At {target} utilization the same work needs {needed} GPUs, more than {gpus}: the fleet is fuller than the target already."
    return f"At {target} utilization the same work needs all {gpus} GPUs: nothing is saved."


def _money(name: str, value: Decimal) -> str:
    return f"${_plain(value)}" if "per_used" in name else usd(value)


def _check(values: dict[str, Decimal]) -> None:
    for name, is_sound, wanted in (
        ("gpus", values["gpus"] >= 1 and values["gpus"] % 1 == 0, "a whole number from 1 on"),
        ("price_per_gpu_hour_usd", values["price_per_gpu_hour_usd"] >= 0, "0 or more"),
        ("hours", values["hours"] > 0, "more than 0"),
        ("utilization", 0 <= values["utilization"] <= 1, "between 0 and 1 (0.4 is 40 %)"),
        ("target", 0 < values["target"] <= 1, "above 0 and at most 1 (0.7 is 70 %)"),
    ):
        if not is_sound:
            raise UsageError(f"{_option(name)} {_plain(values[name])} cannot be", remedy=f"it is {wanted}")


def _number(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or abs(value) >= Decimal("1e15") or -value.as_tuple().exponent > 12:  # type: ignore[operator]
        raise UsageError(
            f"{_option(name)} {text!r} is not a number that can be reckoned with",
            remedy="write it plainly, such as 2.5; at most 12 decimals",
        )
    return value


def _option(name: str) -> str:
    return "--" + {"price_per_gpu_hour_usd": "price-per-gpu-hour"}.get(name, name)


def _rounded(value: Fraction, places: int = 6) -> Decimal:
    """Half-even at ``places``: exact until here."""
    return Decimal(round(value * 10**places)).scaleb(-places, context=_CENTS)


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
