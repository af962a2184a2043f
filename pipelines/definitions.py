"""Everything Dagster loads: the definitions found in ``defs/``.

Belongs here: loading. Does not: any definition; a new file in ``defs/`` is found by itself.
"""

from pathlib import Path

import dagster as dg

from pipelines.orchestration import dbt_manifest


@dg.definitions
def defs() -> dg.Definitions:
    """The code location."""
    dbt_manifest.manifest.cache_clear()  # a reload reads the dbt project as it is now
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
