-- Members by stage at the close of each of the weeks shown.
select
    week_start,
    stage_code,
    sum(members)::bigint as members
from bi.stage_mix_weekly
where week_start between %(monday)s::date - 7 * (%(weeks)s::integer - 1) and %(monday)s::date
group by week_start, stage_code
order by week_start, stage_code
