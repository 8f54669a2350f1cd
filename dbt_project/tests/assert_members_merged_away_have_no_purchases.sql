-- What a member who was merged away bought is the survivor's, and no identifier leads to it any more.
with merged_away as (
    select * from {{ ref('dim_member') }}
    where merged_on is not null
),

left_behind as (
    select member_id from {{ ref('fct_receipt') }}
    union all
    select member_id from {{ ref('bridge_identity') }}
)

select merged_away.member_id
from merged_away
inner join left_behind on merged_away.member_id = left_behind.member_id
