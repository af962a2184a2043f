-- Grain: one UTC day of the night, with its first and last second (half open) since 1970.
{{ bounded_days(source('ops', 'dirty_days')) }}
