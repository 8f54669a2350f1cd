-- Grain: one row per link that began by the as-of date, of accounts that this build looks at, as it was recorded last.
-- A link that ends when it begins was taken back and never was.
with links as (
    select * from {{ ref('stg_app__identity_links') }}
    where {{ in_scope_by_index('account_id', 'int_members__touched_ids', 'id', "kind = 'account'") }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

newest as (
    select
        links.*,
        row_number() over (
            partition by account_id, card_no, linked_at
            order by recorded_at desc, _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from links
),

final as (
    select
        newest.account_id,
        newest.card_no,
        newest.survivor_account_id,
        newest.method,
        newest.linked_from,
        -- an end that lies ahead is not known yet
        case when newest.ended_on <= building.as_of_date then newest.ended_on else date '9999-12-31' end as linked_to,
        (newest.ended_on <= building.as_of_date) is not true as is_in_force,
        newest.recorded_at
    from newest
    cross join building
    where
        newest.recency = 1
        and newest.linked_from <= building.as_of_date
        and (newest.ended_on <= newest.linked_from) is not true
)

select * from final
