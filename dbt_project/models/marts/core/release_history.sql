-- Grain: one row per release and consistency group that the gate has judged.
{{ config(materialized='published_view') }}

with verdicts as (
    select * from {{ source('release', 'verdict') }}
),

releases as (
    select * from {{ source('release', 'release') }}
),

publications as (
    select
        group_name,
        release_id,
        min(at) as published_at
    from {{ source('release', 'publication') }}
    group by group_name, release_id
),

-- taken back: a rollback moved the pointer from it to an older one
withdrawals as (
    select
        group_name,
        previous_release_id as release_id,
        max(at) as withdrawn_at
    from {{ source('release', 'publication') }}
    where action = 'rollback'
    group by group_name, previous_release_id
),

pruned as (
    select * from {{ source('release', 'pruned') }}
),

final as (
    select
        verdicts.release_id,
        verdicts.group_name,
        releases.as_of_date,
        releases.built_at,
        verdicts.verdict as gate_state,
        publications.published_at,
        withdrawals.withdrawn_at,
        pruned.pruned_at,
        verdicts.checks_evaluated,
        verdicts.checks_failed,
        verdicts.warnings,
        verdicts.reason
    from verdicts
    inner join releases on verdicts.release_id = releases.release_id
    left join publications
        on verdicts.group_name = publications.group_name and verdicts.release_id = publications.release_id
    left join withdrawals
        on verdicts.group_name = withdrawals.group_name and verdicts.release_id = withdrawals.release_id
    left join pruned on verdicts.group_name = pruned.group_name and verdicts.release_id = pruned.release_id
)

select * from final
