-- Grain: one row per account that a merge in force ends, and per card that only such accounts have.
{{ config(materialized='kept_view') }}

with links as (
    select * from {{ ref('int_members__links') }}
    where is_in_force
),

accounts as (
    select distinct account_id from links
    where survivor_account_id is not null
),

final as (
    select
        'account' as kind,
        account_id as id
    from accounts
    union all
    select
        'card' as kind,
        links.card_no as id
    from links
    left join accounts on links.account_id = accounts.account_id
    where links.card_no is not null
    group by links.card_no
    having bool_and(accounts.account_id is not null)
)

select * from final
