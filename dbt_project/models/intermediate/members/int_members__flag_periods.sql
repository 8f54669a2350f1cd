-- Grain: one row per member, id that it is said of, flag (closed, blocked, staff, test) and period in which it is set;
-- the end is exclusive. A member is closed by the id it is known by; it is blocked, staff or test by any of its ids.
-- What is said of an id that was merged away stays with that id.
{{ config(
    unique_key=['member_id', 'kind', 'id', 'flag', 'flagged_from'],
    scope={'columns': ['member_id'], 'relation': 'int_members__touched_ids'},
) }}

with card_flags as (
    select * from {{ ref('int_members__card_flags') }}
),

accounts as (
    select * from {{ ref('int_members__account_versions') }}
    where {{ in_scope(["'account'", 'account_id'], 'int_members__touched_ids', ['kind', 'id']) }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

resolved as (
    select * from {{ ref('int_members__resolved_ids') }}
),

card_periods as (
    select
        'card' as kind,
        card_no as id,
        flag,
        is_set,
        changed_on as flagged_from,
        lead(changed_on, 1, date '9999-12-31') over (partition by card_no, flag order by changed_on) as flagged_to
    from card_flags
),

account_changes as (
    select
        accounts.*,
        (
            lag(status) over by_change is distinct from status
            or lag(status_on) over by_change is distinct from status_on
        ) as is_change
    from accounts
    window by_change as (partition by account_id order by changed_at)
),

-- an account has one status at a time
account_periods as (
    select
        'account' as kind,
        account_id as id,
        status as flag,
        status in ('closed', 'blocked', 'staff', 'test') as is_set,
        status_on as flagged_from,
        lead(status_on, 1, date '9999-12-31') over (
            partition by account_id order by status_on, changed_at
        ) as flagged_to
    from account_changes
    where is_change and status_on <= (select as_of_date from building)
),

periods as (
    select * from card_periods
    union all
    select * from account_periods
),

final as (
    select
        case when resolved.is_merged_away then periods.id else resolved.member_id end as member_id,
        periods.kind,
        periods.id,
        periods.flag,
        periods.flagged_from,
        periods.flagged_to
    from periods
    inner join resolved on periods.kind = resolved.kind and periods.id = resolved.id
    where
        periods.is_set
        and periods.flagged_from < periods.flagged_to
        and (periods.flag <> 'closed' or resolved.is_known_by_it or resolved.is_merged_away)
)

select * from final
