-- Grain: one row per member and period, end exclusive, in which a store looks after it: its first store until it is
-- assigned to another one, by any of its ids. Periods may lie ahead.
{{ config(
    unique_key=['member_id', 'valid_from'],
    scope={'columns': ['member_id'], 'relation': 'int_members__touched_ids'},
    lookups=[['valid_from'], ['store_id']],
) }}

with members as (
    select * from {{ ref('int_members__members') }}
    where {{ in_scope('member_id', 'int_members__touched_ids') }}
),

assignments as (
    select * from {{ ref('stg_pos__member_assignments') }}
    where {{ in_scope_by_index('card_no', 'int_members__touched_ids', 'id', "kind = 'card'") }}
),

-- what is said of a card is said of its member; a member that was merged away still has its own
holders as (
    select
        id as card_no,
        member_id
    from {{ ref('int_members__resolved_ids') }}
    where kind = 'card'
    union
    select
        member_id as card_no,
        member_id
    from members
),

assigned as (
    select distinct on (members.member_id, assignments.valid_from)
        members.member_id,
        assignments.valid_from,
        assignments.service_store_id as store_id
    from assignments
    inner join holders on assignments.card_no = holders.card_no
    inner join members on holders.member_id = members.member_id
    order by
        members.member_id asc,
        assignments.valid_from asc,
        (assignments.card_no = members.member_id) desc,
        assignments.card_no asc,
        assignments._delivered_on desc,
        assignments._batch_id desc,
        assignments._line_no desc
),

starts as (
    select
        member_id,
        date '0001-01-01' as valid_from,
        service_store_id as store_id
    from members
    union all
    select
        member_id,
        valid_from,
        store_id
    from assigned
),

final as (
    select
        member_id,
        store_id,
        valid_from,
        lead(valid_from, 1, date '9999-12-31') over (partition by member_id order by valid_from) as valid_to
    from starts
)

select * from final
