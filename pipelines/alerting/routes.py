"""Where alerts go: the settings' section `alerts`, and which routes an alert takes.

Belongs here: the schema and the choice. Does not: an address (the environment has those), sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipelines.repeated import repeated

Severity = Literal["critical", "warning", "info"]
SEVERITY_RANK: dict[str, int] = {"critical": 3, "warning": 2, "info": 1}


class Route(BaseModel):
    """One address and what it is for. All conditions must hold; an alert takes every route that it matches."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern="^[a-z0-9][a-z0-9_-]*$", description="how messages and `apportion alert list` call it")
    url_env: str = Field(
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        description="the environment variable that has the Apprise URL; a URL is a secret and never stands here",
    )
    default: bool = Field(default=False, description="gets what no other route matches: has no conditions")
    teams: list[str] = Field(default=[], description="owners whose alerts it gets; default: any")
    severities: list[Severity] = Field(default=[], description="critical, warning, info; default: any")
    kinds: list[str] = Field(default=[], description="alert kinds, see alerts.md; default: any")

    @model_validator(mode="after")
    def _default_has_no_conditions(self) -> Route:
        if self.default == bool(self.teams or self.severities or self.kinds):
            raise ValueError("a route has conditions (teams, severities, kinds), or it is the default")
        return self

    def matches(self, kind: str, severity: str, team: str | None) -> bool:
        """Whether an alert meets every condition; an alert without an owner meets no condition on teams."""
        return (
            not self.default
            and (not self.teams or team in self.teams)
            and (not self.severities or severity in self.severities)
            and (not self.kinds or kind in self.kinds)
        )


class AlertSettings(BaseModel):
    """Who is told, and how often."""

    model_config = ConfigDict(extra="forbid")

    routes: list[Route] = Field(default=[], description="where alerts go: see below; none: alerts are recorded, and nobody is told")
    link: str | None = Field(
        default=None,
        description="a page of your BI in each message; {alert_key}, {alert_kind}, {team}, {subject} and {until_date} are filled in."
        " Default: the command that explains the alert",
    )
    cool_down_hours: float = Field(default=20, ge=0, description="no two messages about one alert on one route within these hours")
    worse_by_percent: float = Field(default=50, ge=0, description="told again when the dollars grew by this much since they were last told")
    remind_after_hours: float = Field(default=168, gt=0, description="told again after this long while nothing changed")
    remind_critical_after_hours: float = Field(default=24, gt=0, description="the same for critical alerts")
    resolved: bool = Field(default=True, description="whether the end of what was told is told too")
    most_told: int = Field(default=10, ge=1, description="alerts written out in one message; the others are counted")
    timeout_seconds: float = Field(default=20, gt=0, description="how long one address may take to accept a message")

    @field_validator("routes")
    @classmethod
    def _names_are_unique_and_one_is_the_default(cls, routes: list[Route]) -> list[Route]:
        names = [route.name for route in routes]
        if twice := repeated(names):
            raise ValueError(f"route names must be unique: {', '.join(twice)}")
        if sum(route.default for route in routes) > 1:
            raise ValueError("one route at most is the default")
        return routes

    @field_validator("link")
    @classmethod
    def _link_can_be_filled(cls, link: str | None) -> str | None:
        try:
            (link or "").format(alert_key="", alert_kind="", team="", subject="", until_date="")
        except (KeyError, IndexError, ValueError, AttributeError):
            raise ValueError("link names something else than {alert_key}, {alert_kind}, {team}, {subject}, {until_date}") from None
        return link


def routes_of(routes: Sequence[Route], kind: str, severity: str, team: str | None) -> list[Route]:
    """Every route that matches the alert; where none does, the default; an empty list where there is none either."""
    return [r for r in routes if r.matches(kind, severity, team)] or [r for r in routes if r.default]
