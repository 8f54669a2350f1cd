-- Grain: one row per member of staff, as of the newest list that names them. Names and numbers stay in the vault.
with staff as (
    {{ active_rows('reference', 'staff') }}
),

newest as (
    select
        staff.*,
        row_number() over (partition by staff_id order by _delivered_on desc, _batch_id desc, _line_no desc) as recency
    from staff
),

final as (
    select
        staff_id,
        store_id,
        role,
        joined_on,
        left_on
    from newest
    where recency = 1
)

select * from final
