-- Grain: one row per member and decision about its expected tier: its opening, each night or return that changed it or
-- was its review up to the as-of date, and the next one, should the member buy nothing more.
-- Each step looks for the first day on which something becomes due after the step before: more is reached, the tier or
-- its grace ends, the order that brought it comes back, or the rules drop it. What is decided in a night holds from the
-- next day on; what a return or new rules decide, from their own day on.
--     review_on      the last day of the tier; null: it never ends
--     grace_to       the last day of grace; only in grace
--     returned_on    the day on which the order that brought it comes back in time
--     below_*        the tiers on which it stands while its upgrade can be reversed, the first one first
{{ config(indexes=[{'columns': ['member_id', 'step']}]) }}

with recursive building as (
    select as_of_date from {{ source('release', 'building') }}
),

rules as (
    select * from {{ ref('int_tiers__rules') }}
),

walk as (
    select
        openings.member_id,
        1 as step,
        openings.judged_from as valid_from,
        openings.rung,
        case when openings.is_brought then 'opening' else 'enrolled' end as reason,
        null::date as decided_on,
        null::numeric as spend_365_amount,
        null::numeric as spend_asked_amount,
        null::uuid as receipt_id,
        openings.review_on,
        null::date as grace_to,
        null::date as returned_on,
        '{}'::integer[] as below_rungs,
        '{}'::date[] as below_reviews,
        '{}'::date[] as below_returns
    from {{ ref('int_tiers__openings') }} as openings
    union all
    select
        now.member_id,
        now.step + 1 as step,
        case when decision.reason in ('reversed', 'rules_changed') then due.day else due.day + 1 end as valid_from,
        outcome.rung,
        decision.reason,
        due.day as decided_on,
        reached.spend_365_amount,
        (
            select asked.spend_365_amount from rules as asked
            where
                asked.rung = case when decision.reason = 'upgraded' then outcome.rung else now.rung end
                and asked.valid_from <= due.day
                and asked.valid_to > due.day
        ) as spend_asked_amount,
        promotions.receipt_id,
        case
            when not outcome.is_renewed then held.review_on
            when not outcome.is_free then {{ tier_valid_until('due.day') }}
        end as review_on,
        case
            when outcome.is_renewed then null
            when decision.reason = 'grace' or due.day > held.review_on then held.review_on + held.grace_days
        end as grace_to,
        case when outcome.is_restored then now.below_returns[held.place] else promotions.returned_on end as returned_on,
        case
            when decision.reason = 'upgraded' then now.below_rungs || now.rung
            when outcome.is_restored then now.below_rungs[:held.place - 1]
            else '{}'
        end as below_rungs,
        case
            when decision.reason = 'upgraded' then now.below_reviews || now.review_on
            when outcome.is_restored then now.below_reviews[:held.place - 1]
            else '{}'
        end as below_reviews,
        case
            when decision.reason = 'upgraded' then now.below_returns || now.returned_on
            when outcome.is_restored then now.below_returns[:held.place - 1]
            else '{}'
        end as below_returns
    from walk as now
    cross join building
    -- in grace the tier itself has to be reached again, otherwise a higher one
    cross join lateral (
        select min(greatest(states.valid_from, now.valid_from)) as day
        from {{ ref('int_tiers__states') }} as states
        where
            states.member_id = now.member_id
            and states.valid_to > now.valid_from
            and states.rung > now.rung - (now.grace_to is not null)::integer
    ) as rise
    cross join lateral (
        select min(greatest(rules.valid_to, now.valid_from)) as day from rules
        where
            rules.rung = now.rung
            and rules.is_dropped
            and not exists (
                select 1 from rules as again
                where
                    again.rung = now.rung
                    and again.valid_from <= greatest(rules.valid_to, now.valid_from)
                    and again.valid_to > greatest(rules.valid_to, now.valid_from)
            )
    ) as dropping
    -- an order that comes back is nothing to a tier that the spend still reaches
    left join {{ ref('int_tiers__states') }} as after_return
        on
            now.member_id = after_return.member_id
            and now.returned_on >= now.valid_from
            and now.returned_on >= after_return.valid_from
            and now.returned_on < after_return.valid_to
            and now.rung > after_return.rung
    cross join lateral (
        select least(
            rise.day,
            coalesce(now.grace_to, now.review_on),
            case when after_return.rung is not null then now.returned_on end,
            dropping.day
        ) as day
    ) as due
    cross join lateral (
        select
            states.rung,
            states.spend_365_amount
        from {{ ref('int_tiers__states') }} as states
        where states.member_id = now.member_id and states.valid_from <= due.day
        order by states.valid_from desc
        limit 1
    ) as reached
    -- it leads back to the last tier below that is still reached, or whose own order was not returned
    cross join lateral (
        select
            max(place) as place
        from generate_subscripts(now.below_rungs, 1) as place
        where
            after_return.rung is not null
            and due.day = now.returned_on
            and due.day is distinct from dropping.day
            and (now.below_returns[place] <= due.day and reached.rung < now.below_rungs[place]) is not true
    ) as back
    cross join lateral (
        select
            back.place,
            coalesce(now.below_rungs[back.place], now.rung) as rung,
            case when back.place is null then now.review_on else now.below_reviews[back.place] end as review_on,
            coalesce((
                select ruled.grace_days from rules as ruled
                where
                    ruled.rung = coalesce(now.below_rungs[back.place], now.rung)
                    and ruled.valid_from <= due.day
                    and ruled.valid_to > due.day
            ), 0) as grace_days
    ) as held
    cross join lateral (
        select case
            when due.day = dropping.day then 'rules_changed'
            when held.place is not null then 'reversed'
            when reached.rung > now.rung then 'upgraded'
            when reached.rung = now.rung then 'kept'
            when now.grace_to is null and held.grace_days > 0 then 'grace'
            else 'downgraded'
        end as reason
    ) as decision
    cross join lateral (
        select
            is_renewed,
            decision.reason = 'reversed' and not is_renewed as is_restored,
            settled.rung,
            coalesce((
                select free.asks_nothing from rules as free
                where free.rung = settled.rung and free.valid_from <= due.day and free.valid_to > due.day
            ), true) as is_free
        from (
            select
                case
                    when decision.reason in ('upgraded', 'kept', 'rules_changed') then reached.rung
                    when decision.reason = 'reversed' and reached.rung >= held.rung then reached.rung
                    when decision.reason = 'grace' then held.rung
                    when decision.reason = 'reversed' and (due.day > held.review_on + held.grace_days) is not true
                        then held.rung
                    else coalesce((
                        select max(lower.rung) from rules as lower
                        where lower.rung < held.rung and lower.valid_from <= due.day and lower.valid_to > due.day
                    ), 0)
                end as rung,
                case decision.reason
                    when 'grace' then false
                    when 'reversed' then coalesce(
                        reached.rung > held.rung
                        or (
                            due.day > held.review_on
                            and (reached.rung = held.rung or due.day > held.review_on + held.grace_days)
                        ),
                        false
                    )
                    else true
                end as is_renewed
        ) as settled
    ) as outcome
    left join {{ ref('int_tiers__promotions') }} as promotions
        on
            decision.reason = 'upgraded'
            and now.member_id = promotions.member_id
            and due.day = promotions.promoted_on
    where now.valid_from <= building.as_of_date and due.day is not null
),

final as (
    select
        member_id,
        step,
        valid_from,
        rung,
        reason,
        decided_on,
        spend_365_amount::numeric(14, 2) as spend_365_amount,
        spend_asked_amount::numeric(14, 2) as spend_asked_amount,
        receipt_id,
        review_on,
        grace_to,
        returned_on
    from walk
)

select * from final
