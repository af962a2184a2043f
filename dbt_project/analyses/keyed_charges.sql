-- Grain: one charge with the key of the bucket that it lies in. Compiled for `apportion explain`, never built.
select
    {{ digest(bucket_dimensions()) }} as bucket_key,
    bucketed.*
from {{ ref('int_charges') }} as bucketed
