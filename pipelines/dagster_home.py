"""DAGSTER_HOME: where Dagster keeps runs and events, and how its daemon behaves.

Belongs here: writing ``dagster.yaml`` under APPORTION_HOME. Does not: anything that runs in Dagster.
``python -m pipelines.dagster_home`` prepares the folder, has dbt's manifest ready for the first load, and prints the path.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.landing import write_atomically
from pipelines.orchestration.dbt_manifest import manifest_path
from pipelines.settings import Settings, load_settings

DAGSTER_YAML = """\
# Written by `python -m pipelines.dagster_home` at every start. To change it, set DAGSTER_HOME to a folder of your own.
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
  poll_interval_seconds: 30
  start_timeout_seconds: 180
  # A night that hangs is ended. The writer's lock is the kernel's: a run that died never keeps the next one waiting for it.
  max_runtime_seconds: 43200
  free_slots_after_run_end_seconds: 60
run_retries:
  enabled: true
  max_retries: 2
  # A run whose process died is started again; one that a step refused is not.
  retry_on_asset_or_op_failure: false
concurrency:
  runs:
    # Not 1: a run that is shown as started after its machine died would hold the queue. One writer at a time is the lock's work.
    max_concurrent_runs: 4
freshness:
  enabled: true
"""


def prepare_dagster_home(settings: Settings) -> Path:
    """Write ``dagster.yaml`` under the settings' home; return the folder that DAGSTER_HOME names."""
    home = settings.dagster_home
    write_atomically(home / "dagster.yaml", DAGSTER_YAML)
    return home


if __name__ == "__main__":
    settings = load_settings()
    manifest_path(settings)
    print(prepare_dagster_home(settings))
