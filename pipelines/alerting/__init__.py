"""Alerts on their way to people: who is told, when, how often, and what is remembered of it.

Belongs here: delivery, its state, and the alerts that only happen (a blocked night, a failed check, a release that grows old). Does not: what is alarming
in the figures (dbt_project/macros/alerts), thresholds (governance.alerts of the policy). Nothing here can fail a night or change a release.
"""
