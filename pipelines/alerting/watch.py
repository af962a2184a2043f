"""What becomes of a night is told: the one hook of the command line and of Dagster.

Belongs here: which alerts follow from how a night ended. Does not: the alerts, their delivery. Nothing here fails a night.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.alerting.alert import CHECKS, CLOCK, NIGHT, RELEASE, release_alerts
from pipelines.alerting.delivery import Delivery, Observation, deliver
from pipelines.alerting.operational import blocked, failed_checks, old_release
from pipelines.errors import ApportionError
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.nightly import Night

Progress = Callable[[str], None]


@contextmanager
def watched(night: Night, progress: Progress) -> Iterator[None]:
    """Tell, when the block ends, that the night published or why it did not (its own error, or ``night.failure``).

    Delivery failures are told in ``progress``. Who stops a night by hand knows it already: that is not told.
    """
    try:
        yield
    except Exception as error:
        after(night, error, progress)
        raise
    else:
        after(night, night.failure, progress)


def after(night: Night, failure: BaseException | None, progress: Progress, now: dt.datetime | None = None) -> Delivery | None:
    """Remember and tell what follows from the night; ``None`` where nothing does, or where that itself failed."""
    try:
        if failure is not None:
            observation = Observation([blocked(night, failure), *failed_checks(night)], {NIGHT})
        elif night.release is not None:
            observation = Observation([*release_alerts(night.settings), *failed_checks(night)], {RELEASE, NIGHT, CHECKS, CLOCK})
        else:  # a run that was not asked to publish
            return None
        return deliver(night.settings, observation, now=now or dt.datetime.now(dt.UTC), progress=progress)
    except Exception as error:  # whatever it is: the night's own outcome stands
        progress(f"alerts: delivery_failed: {error.what if isinstance(error, ApportionError) else type(error).__name__}")
        return None


def look(settings: Settings, progress: Progress, *, now: dt.datetime | None = None, dry_run: bool = False) -> Delivery:
    """What `apportion alert` does: the release's alerts and the release's age, now; what nights told before still stands."""
    now = now or dt.datetime.now(dt.UTC)
    observation = Observation([*release_alerts(settings), *old_release(settings, now)], {RELEASE, CLOCK})
    return deliver(settings, observation, now=now, progress=progress, dry_run=dry_run)
