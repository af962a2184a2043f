"""One night, taken stage by stage by the steps of one Dagster run.

Belongs here: that a stage runs once and never before those it needs. Does not: the stages and their order (nightly.STAGES).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines import nightly
from pipelines.nightly import Night, Progress
from pipelines.settings import Settings
from pipelines.source import Delivery, Window


class StagedNight:
    """The night of one run. Its holder is the one writer of the APPORTION_HOME."""

    def __init__(self, settings: Settings, window: Window) -> None:
        self.settings = settings
        self.night = Night(settings, window)
        self._done: set[str] = set()
        self._failed: dict[str, Exception] = {}

    @property
    def window(self) -> Window:
        return self.night.window

    def ingest(self, kind: str, progress: Progress) -> list[Delivery]:
        """Land the configured sources of ``kind``; return every delivery of theirs that counts now (none where none is configured)."""
        entries = [entry for entry in self.settings.values.sources if entry.get("kind") == kind]
        only = Settings(self.settings.values.model_copy(update={"sources": entries}), self.settings.home, self.settings.config_path)
        with self._noted(f"ingest {kind}"):
            nightly.ingest(Night(only, self.window), progress)
            return nightly.chosen_deliveries(only)

    def reach(self, stage: str, progress: Progress) -> Night:
        """Run the stages from planning to ``stage`` that have not run, over what is landed.

        So a gate cannot be left out: a run that is asked for the release alone goes through all of them.
        """
        for name, act in nightly.STAGES:
            if name != "ingest" and name not in self._done:
                with self._noted(name):
                    act(self.night, progress)
                self._done.add(name)
            if name == stage:
                return self.night
        raise KeyError(stage)

    @contextmanager
    def _noted(self, stage: str) -> Iterator[None]:
        """Remember at the night what ended a stage, until a repetition of it succeeds."""
        self.night.stage = stage
        try:
            yield
        except Exception as error:
            self._failed[stage] = error
            raise
        else:
            self._failed.pop(stage, None)
        finally:
            last = next(reversed(self._failed.items()), (stage, None))
            self.night.stage, self.night.failure = last
