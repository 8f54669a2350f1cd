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
        array[]::integer[] as below_rungs,
        array[]::date[] as below_reviews,
        array[]::date[] as below_returns
    from {{ ref('int_tiers__openings') }} as openings
    union all
    select
        now.member_id,
        now.step + 1 as step,
        case when decision.reason in ('reversed', 'rules_changed') then due.day else due.day + 1 end as valid_from,
        settled.rung,
        decision.reason,
        due.day as decided_on,
        reached.spend_365_amount,
        asked.spend_365_amount as spend_asked_amount,
        promotions.receipt_id,
        case
            when not settled.is_renewed then held.review_on
            -- what is had for nothing, and no tier at all, never ends
            when not earned.asks_nothing then {{ tier_valid_until('due.day') }}
        end as review_on,
        case
            when settled.is_renewed then null
            when decision.reason = 'grace' or due.day > held.review_on then held.review_on + held_rule.grace_days
        end as grace_to,
        case when settled.is_restored then now.below_returns[held.place] else promotions.returned_on end as returned_on,
        case
            when decision.reason = 'upgraded' then array_append(now.below_rungs, now.rung)
            when settled.is_restored then now.below_rungs[1:held.place - 1]
            else array[]::integer[]
        end as below_rungs,
        case
            when decision.reason = 'upgraded' then array_append(now.below_reviews, now.review_on)
            when settled.is_restored then now.below_reviews[1:held.place - 1]
            else array[]::date[]
        end as below_reviews,
        case
            when decision.reason = 'upgraded' then array_append(now.below_returns, now.returned_on)
            when settled.is_restored then now.below_returns[1:held.place - 1]
            else array[]::date[]
        end as below_returns
    from walk as now
    inner join building on now.valid_from <= building.as_of_date
    -- in grace the tier itself has to be reached again, otherwise a higher one
    inner join lateral (
        select min(greatest(states.valid_from, now.valid_from)) as day
        from {{ ref('int_tiers__states') }} as states
        where
            states.member_id = now.member_id
            and states.valid_to > now.valid_from
            and states.rung > now.rung - (now.grace_to is not null)::integer
    ) as rise on true
    inner join lateral (
        select min(greatest(rules.valid_to, now.valid_from)) as day
        from rules
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
    ) as dropping on true
    -- an order that comes back is nothing to a tier that the spend still reaches
    left join {{ ref('int_tiers__states') }} as after_return
        on
            now.member_id = after_return.member_id
            and now.returned_on >= now.valid_from
            and now.returned_on >= after_return.valid_from
            and now.returned_on < after_return.valid_to
            and now.rung > after_return.rung
    inner join lateral (values (
        least(
            rise.day,
            coalesce(now.grace_to, now.review_on),
            case when after_return.rung is not null then now.returned_on end,
            dropping.day
        )
    )) as due (day) on true
    inner join lateral (
        select
            states.rung,
            states.spend_365_amount
        from {{ ref('int_tiers__states') }} as states
        where states.member_id = now.member_id and states.valid_from <= due.day
        order by states.valid_from desc
        limit 1
    ) as reached on true
    -- it leads back to the last tier below that is still reached, or whose own order was not returned
    inner join lateral (
        select max(below.place) as place
        from generate_series(1, cardinality(now.below_rungs)) as below (place)
        where
            after_return.rung is not null
            and due.day = now.returned_on
            and due.day is distinct from dropping.day
            and (now.below_returns[below.place] <= due.day and reached.rung < now.below_rungs[below.place]) is not true
    ) as back on true
    -- the tier that is decided about
    inner join lateral (values (
        back.place,
        case when back.place is null then now.rung else now.below_rungs[back.place] end,
        case when back.place is null then now.review_on else now.below_reviews[back.place] end
    )) as held (place, rung, review_on) on true
    left join rules as held_rule
        on held.rung = held_rule.rung and due.day >= held_rule.valid_from and due.day < held_rule.valid_to
    inner join lateral (
        select coalesce(max(rules.rung), 0) as rung
        from rules
        where rules.rung < held.rung and rules.valid_from <= due.day and rules.valid_to > due.day
    ) as step_down on true
    inner join lateral (values (
        case
            when due.day = dropping.day then 'rules_changed'
            when held.place is not null then 'reversed'
            when reached.rung > now.rung then 'upgraded'
            when reached.rung = now.rung then 'kept'
            when now.grace_to is null and held_rule.grace_days > 0 then 'grace'
            else 'downgraded'
        end,
        -- of a tier that is restored after it ended: its grace is over, too
        coalesce(due.day > held.review_on + coalesce(held_rule.grace_days, 0), false)
    )) as decision (reason, is_over) on true
    inner join lateral (values (
        case
            when decision.reason = 'grace' then held.rung
            when decision.reason = 'downgraded' then step_down.rung
            when decision.reason <> 'reversed' or reached.rung >= held.rung then reached.rung
            when decision.is_over then step_down.rung
            else held.rung
        end,
        case decision.reason
            when 'grace' then false
            when 'reversed'
                then
                    reached.rung > held.rung
                    or decision.is_over
                    or coalesce(reached.rung = held.rung and due.day > held.review_on, false)
            else true
        end
    )) as outcome (rung, is_renewed) on true
    inner join lateral (values (
        outcome.rung,
        outcome.is_renewed,
        decision.reason = 'reversed' and not outcome.is_renewed
    )) as settled (rung, is_renewed, is_restored) on true
    left join rules as earned
        on settled.rung = earned.rung and due.day >= earned.valid_from and due.day < earned.valid_to
    left join rules as asked
        on
            case when decision.reason = 'upgraded' then settled.rung else now.rung end = asked.rung
            and due.day >= asked.valid_from
            and due.day < asked.valid_to
    left join {{ ref('int_tiers__promotions') }} as promotions
        on
            decision.reason = 'upgraded'
            and now.member_id = promotions.member_id
            and due.day = promotions.promoted_on
    where due.day is not null
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
