"""What a run holds: the night in progress, under the one writer's lock; and one process for all of its steps.

Belongs here: resources and the executor. Does not: settings (settings.py), the lock (lock.py).
"""

from collections.abc import Iterator

import dagster as dg

from pipelines import nightly
from pipelines.alerting.watch import watched
from pipelines.orchestration.days import window_of_tags
from pipelines.orchestration.staged_night import StagedNight
from pipelines.settings import load_settings


@dg.resource(
    description="The night of this run. Whoever holds it is the one writer of APPORTION_HOME; the lock ends with the run's process."
)
def night(context: dg.InitResourceContext) -> Iterator[StagedNight]:
    """Hold the writer's lock from before the first step until the run ends. Raises ApportionError where another process has it."""
    window = window_of_tags(context.run.tags if context.run else {})
    staged = StagedNight(load_settings(), window)
    # what becomes of the night is told here, in the run's own process and after its last step: no daemon has to live for that
    log = context.log.info if context.log else lambda _: None
    with watched(staged.night, log), nightly.writer(staged.settings):
        yield staged


@dg.definitions
def resources() -> dg.Definitions:
    """Resources, and the executor that runs every step of a run in the run's own process."""
    return dg.Definitions(resources={"night": night}, executor=dg.in_process_executor)
