"""What the Dagster definitions in ``pipelines/defs`` are built with: days, manifest, the night in progress, failures.

Belongs here: the translation between Dagster and the domain. Does not: definitions (defs/), any stage's work (nightly.py).
"""
