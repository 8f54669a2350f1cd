-- Grain: one row per card or account, member and period, end exclusive, in which it was the member's.
-- What an id belongs to now reaches back over all its history. A link between account and card that has ended holds
-- for its own days, unless a later link began meanwhile; a merge that has ended leaves nothing behind.
with resolved as (
    select * from {{ ref('int_members__resolved_ids') }}
),

links as (
    select * from {{ ref('int_members__links') }}
    where card_no is not null and survivor_account_id is null
),

sides as (
    select
        'account' as kind,
        links.account_id as id,
        cards.member_id,
        links.linked_from,
        links.linked_to,
        links.is_in_force,
        links.recorded_at
    from links
    inner join resolved as cards on links.card_no = cards.id and cards.kind = 'card'
    union all
    -- a card that is enrolled is a member by itself, whichever accounts had it
    select
        'card' as kind,
        links.card_no as id,
        accounts.member_id,
        links.linked_from,
        links.linked_to,
        links.is_in_force,
        links.recorded_at
    from links
    inner join resolved as accounts on links.account_id = accounts.id and accounts.kind = 'account'
    left join {{ ref('int_members__enrolments') }} as enrolments on links.card_no = enrolments.card_no
    where enrolments.card_no is null
),

days as (
    select kind, id, linked_from as day from sides
    union
    select kind, id, linked_to from sides
    where not is_in_force
    union
    select kind, id, date '1900-01-01' from sides
    union
    select kind, id, date '1900-01-01' from resolved
),

stretches as (
    select
        kind,
        id,
        day as valid_from,
        lead(day, 1, date '9999-12-31') over (partition by kind, id order by day) as valid_to
    from days
),

-- the link that began last on that stretch
last_links as (
    select distinct on (stretches.kind, stretches.id, stretches.valid_from)
        stretches.kind,
        stretches.id,
        stretches.valid_from,
        sides.member_id,
        sides.is_in_force,
        sides.recorded_at
    from stretches
    inner join sides
        on
            stretches.kind = sides.kind
            and stretches.id = sides.id
            and stretches.valid_from >= sides.linked_from
            and stretches.valid_from < sides.linked_to
    order by
        stretches.kind asc,
        stretches.id asc,
        stretches.valid_from asc,
        sides.linked_from desc,
        sides.recorded_at desc,
        sides.member_id desc
),

-- an open one says what the id belongs to now
owned as (
    select
        stretches.kind,
        stretches.id,
        stretches.valid_from,
        stretches.valid_to,
        case when last_link.is_in_force is false then last_link.member_id else resolved.member_id end as member_id,
        case when last_link.is_in_force is false then last_link.recorded_at else resolved.recorded_at end as recorded_at
    from stretches
    left join resolved on stretches.kind = resolved.kind and stretches.id = resolved.id
    left join last_links as last_link
        on
            stretches.kind = last_link.kind
            and stretches.id = last_link.id
            and stretches.valid_from = last_link.valid_from
),

marked as (
    select
        owned.*,
        (lag(member_id) over (partition by kind, id order by valid_from) is distinct from member_id) as is_start
    from owned
),

grouped as (
    select
        marked.*,
        count(*) filter (where is_start) over (partition by kind, id order by valid_from) as period_no
    from marked
),

final as (
    select
        kind,
        id,
        member_id,
        min(valid_from) as valid_from,
        max(valid_to) as valid_to,
        min(recorded_at) as recorded_at
    from grouped
    where member_id is not null
    group by kind, id, member_id, period_no
)

select * from final
