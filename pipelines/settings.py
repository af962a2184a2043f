"""Where things are: one YAML file and the environment. Nothing else in the project reads either.

Belongs here: the settings' schema, their loading and the paths derived from APPORTION_HOME. Does not: any business rule
(policy.yml has those).
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipelines.alerting.routes import AlertSettings
from pipelines.errors import UsageError
from pipelines.repeated import repeated
from pipelines.source import Source, SourceConfig, source_kinds

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_CONFIG = "apportion.yml"
DEFAULT_POLICY = REPOSITORY / "policy.yml"


class EngineSettings(BaseModel):
    """Limits of the embedded engine."""

    model_config = ConfigDict(extra="forbid")

    memory_limit: str = Field(
        default="1500MB", pattern=r"^[0-9]+ ?[KMGT]i?B$", description="what the engine may use before it spills to disk"
    )
    threads: int = Field(default=2, ge=1, description="threads of the engine; the figures do not depend on it")


class PublishSettings(BaseModel):
    """What publication keeps."""

    model_config = ConfigDict(extra="forbid")

    keep_releases: int = Field(default=7, ge=1, description="how many releases stay readable after a new one")
    keep_history_days: int | None = Field(
        default=None, ge=1, description="days for which the archive keeps releases that were replaced; default: for ever"
    )
    team_releases: list[str] | Literal["all"] = Field(
        default=[], description="teams that get files with their own rows only, under `published/teams/`: their names, or `all`"
    )


class SettingsFile(BaseModel):
    """The schema of ``apportion.yml``."""

    model_config = ConfigDict(extra="forbid")

    sources: list[dict[str, Any]] = Field(default=[], description="where the inputs are: see below")
    policy: Path | None = Field(default=None, description="your own copy of the policy file; default: the one that is shipped")
    lookback_days: int = Field(default=3, ge=0, description="days before the window that are looked at again for late telemetry")
    engine: EngineSettings = EngineSettings()
    publish: PublishSettings = PublishSettings()
    alerts: AlertSettings = AlertSettings()

    @field_validator("sources")
    @classmethod
    def _names_are_unique(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [str(entry.get("name")) for entry in value]
        twice = repeated(names)
        if twice:
            raise ValueError(f"source names must be unique: {', '.join(twice)}")
        return value


class Settings:
    """Loaded settings with the paths of one APPORTION_HOME."""

    def __init__(self, values: SettingsFile, home: Path, config_path: Path | None) -> None:
        self.values = values
        self.home = home
        self.config_path = config_path

    @property
    def engine(self) -> EngineSettings:
        return self.values.engine

    @property
    def raw(self) -> Path:
        """Landed deliveries."""
        return self.home / "raw"

    @property
    def warehouse(self) -> Path:
        """The file the pipeline writes; nobody else opens it."""
        return self.home / "warehouse" / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """What BI reads."""
        return self.home / "published"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def policy_path(self) -> Path:
        """The policy file; relative paths are relative to the settings file."""
        if self.values.policy is None:
            return DEFAULT_POLICY
        base = self.config_path.parent if self.config_path else Path.cwd()
        return base / self.values.policy

    def secret(self, name: str) -> str | None:
        """What the environment variable ``name`` holds, ``None`` where it is unset or empty. Never written, logged or put into an error."""
        return os.environ.get(name) or None

    @cached_property
    def sources(self) -> list[Source]:
        """Every configured source, in the order of the file."""
        return [_source(entry, self.config_path) for entry in self.values.sources]


def _source(entry: dict[str, Any], config_path: Path | None) -> Source:
    where = f"{config_path or DEFAULT_CONFIG}: source {entry.get('name')!r}"
    kinds = source_kinds()
    kind = kinds.get(str(entry.get("kind")))
    if kind is None:
        raise UsageError(f"unknown source kind {entry.get('kind')!r}", where=where, remedy=f"use one of: {', '.join(kinds)}")
    location = entry.get("location")
    if isinstance(location, str) and "://" not in location and config_path is not None:
        entry = {**entry, "location": str((config_path.parent / Path(location).expanduser()).resolve())}
    try:
        config: SourceConfig = kind.config_model.model_validate(entry)
    except ValidationError as error:
        raise UsageError(_explain(error), where=where, remedy="see docs/settings.md for the options of this kind") from error
    return kind(config)


def _explain(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())


def load_settings(config: Path | str | None = None, home: Path | str | None = None) -> Settings:
    """Read the settings.

    Args:
        config: the YAML file; default ``$APPORTION_CONFIG``, else ``apportion.yml`` in the working directory if it is there.
        home: where everything a run writes lies; default ``$APPORTION_HOME``, else ``data``.

    Raises UsageError for a missing or invalid file.
    """
    home_path = Path(home or os.environ.get("APPORTION_HOME") or "data").expanduser().resolve()
    named = config or os.environ.get("APPORTION_CONFIG")
    path = Path(named).expanduser() if named else Path(DEFAULT_CONFIG)
    if not path.exists():
        if named:
            raise UsageError(
                "settings file not found", where=str(path), remedy="name an existing file with --config, or copy apportion.example.yml"
            )
        return Settings(SettingsFile(), home_path, None)
    path = path.resolve()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if not isinstance(content, dict):
            raise UsageError("settings file is not a mapping", where=str(path), remedy="see apportion.example.yml")
        return Settings(SettingsFile.model_validate(content), home_path, path)
    except yaml.YAMLError as error:
        raise UsageError(f"settings file is not valid YAML: {error}", where=str(path), remedy="correct the line named above") from error
    except ValidationError as error:
        raise UsageError(_explain(error), where=str(path), remedy="see docs/settings.md") from error
