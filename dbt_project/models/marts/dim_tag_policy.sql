-- Grain: one alias of one canonical key, as the tag policy states it.
select canonical_key, alias, alias_rank, is_case_folded
from {{ source('policy', 'tag_aliases') }}
