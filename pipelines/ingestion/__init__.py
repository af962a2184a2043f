"""Between the wire and landed Parquet: transports, file formats and their verification.

Belongs here: how bytes are fetched, checked and turned into raw tables. Does not: what a source presents (pipelines/sources/),
where deliveries lie (landing.py), nor any business rule.
"""
