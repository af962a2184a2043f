"""Orchestration and ingestion for Apportion: Python moves data, SQL (dbt_project/) holds every business rule."""

__version__ = "0.1.0"
