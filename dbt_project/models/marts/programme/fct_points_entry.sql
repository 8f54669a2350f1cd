-- Grain: one row per entry of the points ledger, which is only ever added to.
{{ config(
    unique_key=['entry_id'],
    scope={'columns': ['entry_id'], 'relation': 'int_facts__touched_points_entries'},
    fed_by=['app__points_entries'],
    lookups=[['card_no'], ['account_id'], ['holder_id'], ['business_date']],
) }}

with entries as (
    select * from {{ ref('stg_app__points_entries') }}
    where {{ in_scope_by_index('entry_id', 'int_facts__touched_points_entries') }}
),

identified as (
    {{ identified('entries') }}
),

final as (
    select
        entry_id,
        coalesce(member_id, card_no, account_id, '(nobody)') as holder_id,
        member_id,
        card_no,
        account_id,
        entry_type,
        points,
        lot_id,
        receipt_id,
        reversed_entry_id,
        entered_at,
        business_date
    from identified
)

select * from final
