-- Grain: one row per member and week that was over when it was published, where the member stood otherwise than it does
-- now: stage and store at opening and close, whether it bought or joined;
-- and of whom a tier was told late.
with restating as (
    select * from {{ source('release', 'restating') }}
),

purchases as (
    select distinct
        member_id,
        business_date
    from {{ ref('int_restatement__purchase_days') }}
),

-- receipts that came late change nothing before their day; what else there is may
members as (
    select
        causes.member_id,
        case
            when bool_and(causes.cause in ('late batch', 'revised batch'))
                then (
                    select min(purchases.business_date) from purchases
                    where purchases.member_id = causes.member_id
                )
        end as changed_from,
        bool_or(causes.cause = 'tier') as is_told_tier
    from {{ ref('int_restatement__members') }} as causes
    group by causes.member_id
),

weeks as (
    select
        week_close.week_start,
        week_close.opening_on,
        week_close.closing_on
    from {{ ref('week_close') }} as week_close
    inner join restating on week_close.week_start + 6 <= restating.published_until
),

stages as (
    select
        false as is_new,
        old_stages.*
    from
        (
            {{ rows_of_base('int_lifecycle__stages', ['member_id', 'stage_code', 'valid_from', 'valid_to']) }}
        ) as old_stages
    where old_stages.member_id in (select members.member_id from members)
    union all
    select
        true,
        member_id,
        stage_code,
        valid_from,
        valid_to
    from {{ ref('int_lifecycle__stages') }}
    where member_id in (select members.member_id from members)
),

profiles as (
    select
        false as is_new,
        old_profiles.*
    from ({{ rows_of_base('dim_member', ['member_id', 'enrolled_on']) }}) as old_profiles
    where old_profiles.member_id in (select members.member_id from members)
    union all
    select
        true,
        member_id,
        enrolled_on
    from {{ ref('dim_member') }}
    where member_id in (select members.member_id from members)
),

stores as (
    select
        false as is_new,
        old_stores.*
    from (
        {{ rows_of_base('int_members__service_stores', ['member_id', 'store_id', 'valid_from', 'valid_to']) }}
    ) as old_stores
    where old_stores.member_id in (select members.member_id from members)
    union all
    select
        true,
        member_id,
        store_id,
        valid_from,
        valid_to
    from {{ ref('int_members__service_stores') }}
    where member_id in (select members.member_id from members)
),

standings as (
    select
        weeks.week_start,
        profiles.member_id,
        profiles.is_new,
        opening_store.store_id as opening_store_id,
        closing_store.store_id as closing_store_id,
        opening.stage_code as opening_stage_code,
        closing.stage_code as closing_stage_code,
        coalesce(profiles.enrolled_on between weeks.week_start and weeks.closing_on, false) as has_joined
    from members
    inner join profiles on members.member_id = profiles.member_id
    inner join weeks on weeks.closing_on >= coalesce(members.changed_from, weeks.closing_on)
    left join stages as opening
        on
            profiles.member_id = opening.member_id
            and profiles.is_new = opening.is_new
            and weeks.opening_on >= opening.valid_from
            and weeks.opening_on < opening.valid_to
    left join stages as closing
        on
            profiles.member_id = closing.member_id
            and profiles.is_new = closing.is_new
            and weeks.closing_on >= closing.valid_from
            and weeks.closing_on < closing.valid_to
    left join stores as opening_store
        on
            profiles.member_id = opening_store.member_id
            and profiles.is_new = opening_store.is_new
            and weeks.opening_on >= opening_store.valid_from
            and weeks.opening_on < opening_store.valid_to
    left join stores as closing_store
        on
            profiles.member_id = closing_store.member_id
            and profiles.is_new = closing_store.is_new
            and weeks.closing_on >= closing_store.valid_from
            and weeks.closing_on < closing_store.valid_to
),

both_sides as (
    select
        weeks.week_start,
        members.member_id,
        before.opening_store_id as old_opening_store_id,
        after.opening_store_id as new_opening_store_id,
        before.closing_store_id as old_closing_store_id,
        after.closing_store_id as new_closing_store_id,
        before.opening_stage_code as old_opening_stage_code,
        after.opening_stage_code as new_opening_stage_code,
        before.closing_stage_code as old_closing_stage_code,
        after.closing_stage_code as new_closing_stage_code,
        coalesce(before.has_joined, false) as had_joined,
        coalesce(after.has_joined, false) as has_joined,
        exists(
            select 1 from purchases
            where
                purchases.member_id = members.member_id
                and purchases.business_date between weeks.week_start and weeks.closing_on
        ) as is_purchase_change,
        exists(
            select 1 from purchases
            where
                purchases.member_id = members.member_id
                and weeks.closing_on - purchases.business_date
                between 0 and {{ lifecycle_parameter('window_days') }} - 1
        ) as is_purchase_change_of_365,
        members.is_told_tier
    from members
    inner join weeks on weeks.closing_on >= coalesce(members.changed_from, weeks.closing_on)
    left join standings as before
        on weeks.week_start = before.week_start and members.member_id = before.member_id and not before.is_new
    left join standings as after
        on weeks.week_start = after.week_start and members.member_id = after.member_id and after.is_new
),

final as (
    select * from both_sides
    where
        is_purchase_change
        or is_purchase_change_of_365
        or is_told_tier
        or (
            old_opening_store_id, old_closing_store_id, old_opening_stage_code, old_closing_stage_code, had_joined
        ) is distinct from (
            new_opening_store_id, new_closing_store_id, new_opening_stage_code, new_closing_stage_code, has_joined
        )
)

select * from final
