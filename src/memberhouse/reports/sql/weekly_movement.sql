-- Members by stage at the week's opening and at its close.
select
    from_stage,
    to_stage,
    members::bigint as members
from bi.stage_migration_weekly
where week_start = %(monday)s::date
order by from_stage, to_stage
