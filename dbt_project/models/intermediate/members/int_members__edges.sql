-- Grain: one row per link in force at the close of the as-of date and direction in which it is walked: between a card
-- and its account, between an account that was merged and the one that goes on, between the latter and a card that
-- the merge names.
{{ config(materialized='kept_view') }}

with links as (
    select * from {{ ref('int_members__links') }}
    where is_in_force
),

pairs as (
    select
        'account' as kind,
        account_id as id,
        'card' as other_kind,
        card_no as other_id,
        linked_from,
        recorded_at
    from links
    where card_no is not null
    union all
    select
        'account' as kind,
        account_id as id,
        'account' as other_kind,
        survivor_account_id as other_id,
        linked_from,
        recorded_at
    from links
    where survivor_account_id is not null
),

final as (
    select
        kind,
        id,
        other_kind,
        other_id,
        linked_from,
        recorded_at
    from pairs
    union
    select
        other_kind,
        other_id,
        kind,
        id,
        linked_from,
        recorded_at
    from pairs
)

select * from final
