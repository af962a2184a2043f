"""What `apportion doctor` looks at. Belongs here: checks of the installation and of one APPORTION_HOME. Does not: repairs."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import shutil
import sys
from typing import Any

from pipelines import __version__
from pipelines.errors import ApportionError
from pipelines.ingestion.objects import open_store
from pipelines.settings import Settings

PACKAGES = ("duckdb", "dbt-core", "dbt-duckdb", "dagster", "great-expectations", "boto3", "google-cloud-bigquery", "apprise")
STALE_AFTER = dt.timedelta(hours=36)


def _check(subject: str, ok: bool, finding: str, remedy: str = "") -> dict[str, Any]:
    return {"subject": subject, "ok": ok, "finding": finding, "remedy": "" if ok else remedy}


def examine(settings: Settings) -> dict[str, Any]:
    """Every check with its finding; ``ok`` is False where one failed."""
    checks = [
        *_versions(),
        *_paths(settings),
        *_price_list(settings),
        *_sources(settings),
        *_alerts(settings),
        _lock(settings),
        _freshness(settings),
    ]
    return {"ok": all(c["ok"] for c in checks), "checks": checks}


def _versions() -> list[dict[str, Any]]:
    checks = [
        _check("apportion", True, __version__),
        _check("python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or newer"),
    ]
    for package in PACKAGES:
        try:
            checks.append(_check(package, True, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            checks.append(_check(package, False, "not installed", "run `make install`"))
    return checks


def _paths(settings: Settings) -> list[dict[str, Any]]:
    home = settings.home
    existing = next(p for p in (home, *home.parents) if p.exists())
    writable = os.access(existing, os.W_OK)
    free = shutil.disk_usage(existing).free
    return [
        _check(
            "settings",
            settings.config_path is not None,
            str(settings.config_path or "no apportion.yml"),
            "copy apportion.example.yml to apportion.yml",
        ),
        _check("policy", settings.policy_path.exists(), str(settings.policy_path), "correct `policy` in the settings"),
        _check("home", writable, str(home), "make the folder writable"),
        _check("disk", free > 2 << 30, f"{free / (1 << 30):.1f} GiB free", "a night needs room for a copy of the release"),
    ]


def _price_list(settings: Settings) -> list[dict[str, Any]]:
    """What the policy's price list makes of a GPU, a vCPU and a GiB; a resource that the prices give no value is named."""
    from pipelines.policy import load_policy
    from pipelines.price_list import regress

    try:
        entries = load_policy(settings.policy_path).price_list
    except ApportionError as error:
        return [_check("policy rules", False, error.what, error.remedy or "")]
    if not entries:
        return []
    weights = [(" ".join(filter(None, (w.resource, w.gpu_model))), w) for w in regress(entries)]
    priced = ", ".join(f"{name} {w.micro_usd / 1_000_000:.6f}" for name, w in weights if not w.is_zeroed)
    zeroed = ", ".join(name for name, w in weights if w.is_zeroed)
    return [_check("price list", True, f"an hour, fitted: {priced}" + (f"; no value of its own: {zeroed}" if zeroed else ""))]


def _sources(settings: Settings) -> list[dict[str, Any]]:
    if not settings.values.sources:
        return [_check("sources", False, "none configured", "name at least one source in apportion.yml")]
    checks = []
    for source in settings.sources:
        location = source.config.location or ""
        subject = f"source {source.name} ({source.kind})"
        if location.startswith(("bigquery://", "prometheus+")):
            checks.append(_check(subject, True, f"{location} (not contacted)"))
            continue
        try:
            first = next(iter(open_store(location, source.config.endpoint_url).list()), None)
            checks.append(_check(subject, first is not None, location if first else f"{location} is empty", "check `location`"))
        except ApportionError as error:
            checks.append(_check(subject, False, error.what, error.remedy or ""))
        except Exception as error:  # whatever a cloud client raises: a doctor reports it
            checks.append(_check(subject, False, f"{type(error).__name__}: {error}", "check the credentials and `location`"))
    return checks


def _alerts(settings: Settings) -> list[dict[str, Any]]:
    """Whether each route has its address; no address is looked at."""
    return [
        _check(
            f"alerts route {route.name}",
            settings.secret(route.url_env) is not None,
            f"${route.url_env}",
            f"set {route.url_env} to an Apprise URL",
        )
        for route in settings.values.alerts.routes
    ]


def _lock(settings: Settings) -> dict[str, Any]:
    from pipelines.lock import lock_holder

    holder = lock_holder(settings.home)
    return _check("writer", True, "no night is running" if holder is None else f"a night is running: {holder}")


def release_age(settings: Settings, now: dt.datetime) -> dt.timedelta | None:
    """How long ago the current release was published; ``None`` before the first."""
    from pipelines.publish import current_release

    release = current_release(settings)
    return None if release is None else now - dt.datetime.fromisoformat(release["published_at"])


def _freshness(settings: Settings) -> dict[str, Any]:
    from pipelines.publish import current_release

    now = dt.datetime.now(dt.UTC)
    release, age = current_release(settings), release_age(settings, now)
    if release is None or age is None:
        return _check("release", False, "nothing is published yet", "run `apportion nightly`")
    finding = f"{release['release_id']} of {now - age:%Y-%m-%d %H:%M} UTC"
    return _check("release", age < STALE_AFTER, finding, "no night has published for over 36 hours: look at the last run")
