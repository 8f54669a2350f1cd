-- Grain: one row per consistency group: what readers see now, and whether a newer build was held back.
{{ config(materialized='published_view') }}

with groups as (
    select * from {{ source('release', 'consistency_group') }}
    where group_name in (select group_name from {{ source('release', 'versioned_table') }})
),

pointers as (
    select * from {{ source('release', 'current') }}
),

releases as (
    select * from {{ source('release', 'release') }}
),

newest_verdicts as (
    select distinct on (group_name)
        group_name,
        release_id,
        verdict,
        reason
    from {{ source('release', 'verdict') }}
    order by group_name asc, release_id desc
),

final as (
    select
        groups.group_name,
        pointers.release_id,
        releases.as_of_date,
        pointers.published_at,
        case
            when newest_verdicts.verdict = 'held' and newest_verdicts.release_id > coalesce(pointers.release_id, 0)
                then 'held'
            when pointers.release_id is null then 'nothing published'
            when pointers.published_at + groups.fresh_for < now() then 'stale'
            else 'fresh'
        end as state,
        case
            when newest_verdicts.verdict = 'held' and newest_verdicts.release_id > coalesce(pointers.release_id, 0)
                then newest_verdicts.reason
            when pointers.is_pinned then 'rolled back to this release and pinned'
            when pointers.published_at + groups.fresh_for < now()
                then 'nothing was published within the time that the schedule allows'
        end as reason
    from groups
    left join pointers on groups.group_name = pointers.group_name
    left join releases on pointers.release_id = releases.release_id
    left join newest_verdicts on groups.group_name = newest_verdicts.group_name
)

select * from final
