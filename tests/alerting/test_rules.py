"""When something is told, and when not: the cases by hand, and two promises over any course of events."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alerting.routes import AlertSettings, Route, routes_of
from pipelines.alerting.rules import Told, is_worse, judge

NOW = dt.datetime(2026, 10, 12, 6, tzinfo=dt.UTC)
RULES = AlertSettings()  # cool-down 20 h, worse by 50 %, reminder after 168 h, of critical ones after 24 h


def told(hours: float, amount: str | None = "100", severity: str = "warning", is_open: bool = True) -> Told:
    return Told(NOW - dt.timedelta(hours=hours), None if amount is None else Decimal(amount), severity, is_open)


@pytest.mark.parametrize(
    ("last", "state", "expected"),
    [
        (None, {}, ("new", None)),
        (None, {"is_standing": False}, (None, "nothing")),
        (told(19.9), {"amount_usd": Decimal(900)}, (None, "cool_down")),  # nine times as bad: the cool-down holds
        (told(20), {"amount_usd": Decimal("149.99")}, (None, "unchanged")),
        (told(20), {"amount_usd": Decimal(150)}, ("worse", None)),  # 100 and 50 %
        (told(20), {"severity": "critical"}, ("worse", None)),
        (told(24, severity="critical"), {"severity": "critical"}, ("reminder", None)),
        (told(167), {}, (None, "unchanged")),
        (told(168), {}, ("reminder", None)),
        (told(24), {"is_standing": False}, ("resolved", None)),
        (told(19), {"is_standing": False}, (None, "cool_down")),
        (told(24, is_open=False), {"is_standing": False}, (None, "nothing")),
        (told(24, is_open=False), {}, ("new", None)),  # it is back
        (told(19, is_open=False), {}, (None, "cool_down")),
        (None, {"snoozed_until": NOW + dt.timedelta(hours=1)}, (None, "snoozed")),
        (None, {"snoozed_until": NOW}, ("new", None)),
        (told(30), {"snoozed_until": NOW - dt.timedelta(hours=1)}, ("reminder", None)),  # the snooze ended since it was told
        (told(30), {"snoozed_until": NOW - dt.timedelta(hours=31)}, (None, "unchanged")),
        (told(24), {"snoozed_until": NOW + dt.timedelta(hours=1), "is_standing": False}, (None, "closed")),
        (told(-1000), {}, ("reminder", None)),  # told by a clock that was six weeks ahead: no six weeks of silence
        (told(-1), {}, (None, "cool_down")),
    ],
)
def test_what_is_told(last, state, expected) -> None:
    wanted = {"is_standing": True, "severity": "warning", "amount_usd": Decimal(100)} | state
    assert judge(RULES, NOW, last=last, **wanted) == expected


def test_the_end_is_not_told_where_that_is_switched_off() -> None:
    rules = AlertSettings(resolved=False)
    assert judge(rules, NOW, is_standing=False, severity="info", amount_usd=None, last=told(30)) == (None, "closed")


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        ("0", "0.01", True),
        ("0", "0", False),
        (None, "0.01", True),
        (None, "0", False),
        ("5", None, False),
        ("-10", "-5", True),
        ("-10", "-5.01", False),
    ],
)
def test_worse_knows_unknown_and_negative_amounts(before, now, worse) -> None:
    # -10 and half of 10 is -5
    assert is_worse(before and Decimal(before), now and Decimal(now), 50) is worse


def test_routes_match_by_all_conditions_and_the_default_takes_the_rest() -> None:
    routes = [
        Route(name="vision", url_env="A", teams=["vision"]),
        Route(name="money", url_env="B", kinds=["budget_threshold"], severities=["critical"]),
        Route(name="all", url_env="C", default=True),
    ]

    def names(kind: str, severity: str, team: str | None) -> list[str]:
        return [route.name for route in routes_of(routes, kind, severity, team)]

    assert names("idle_gpu", "warning", "vision") == ["vision"]
    assert names("budget_threshold", "critical", "vision") == ["vision", "money"]
    assert names("budget_threshold", "warning", "nlp") == ["all"]
    assert names("idle_gpu", "warning", None) == ["all"]  # no owner is nobody's: not vision's
    assert [r.name for r in routes_of(routes[:1], "idle_gpu", "info", None)] == []


events = st.lists(
    st.tuples(
        st.floats(0.1, 60),  # hours until the next look
        st.booleans(),  # the condition holds
        st.sampled_from(["info", "warning", "critical"]),
        st.one_of(st.none(), st.decimals(0, 1000, places=2)),
        st.booleans(),  # the address takes messages
        st.one_of(st.none(), st.none(), st.floats(0, 200)),  # somebody asks for silence for so many hours
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(events, st.floats(0, 48), st.floats(1, 200), st.booleans())
def test_never_twice_within_the_cool_down_and_never_silent_for_ever(course, cool_down, remind, resolved) -> None:
    rules = AlertSettings(cool_down_hours=cool_down, remind_after_hours=remind, remind_critical_after_hours=remind, resolved=resolved)
    now, last, snoozed_until, messages = NOW, None, None, []
    for hours, stands, severity, amount, works, silence in course:
        now += dt.timedelta(hours=hours)
        if silence is not None:
            snoozed_until = now + dt.timedelta(hours=silence)
        reason, why = judge(rules, now, is_standing=stands, severity=severity, amount_usd=amount, last=last, snoozed_until=snoozed_until)
        assert (reason is None) != (why is None)
        is_quiet = snoozed_until is not None and now < snoozed_until
        if reason is not None and works:
            assert not is_quiet
            assert not messages or now - messages[-1] >= dt.timedelta(hours=cool_down)
            messages.append(now)
            last = Told(now, amount, severity, reason != "resolved")
        elif why == "closed" and last is not None:
            last = Told(last.told_at, last.amount_usd, last.severity, False)
        if stands and works and not is_quiet and reason is None:
            # it is silent although it stands: only because it was told, and neither longer ago than the cool-down and the reminder allow
            assert last is not None
            assert now - last.told_at < dt.timedelta(hours=max(cool_down, remind))
