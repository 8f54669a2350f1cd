-- A merge ends at a member who was not merged away itself, and who enrolled no later than the one merged into it.
select
    merged.member_id,
    merged.merged_into
from {{ ref('dim_member') }} as merged
inner join {{ ref('dim_member') }} as survivor on merged.merged_into = survivor.member_id
where survivor.merged_on is not null or (merged.enrolled_on < survivor.enrolled_on)
