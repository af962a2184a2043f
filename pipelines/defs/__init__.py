"""The Dagster definitions, one file per reason to change; ``pipelines/definitions.py`` loads every file in here.

Belongs here: assets, checks, the job and its schedule, resources. Does not: any work; each step calls what the command line calls.
Annotations are not postponed in here: Dagster reads those of its steps when it loads them.
"""
