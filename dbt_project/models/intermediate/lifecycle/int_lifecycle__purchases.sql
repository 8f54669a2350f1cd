-- Grain: one row per member, epoch and purchase day that counts in it, with the ones before and after it.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with days as (
    select * from {{ ref('int_members__days') }}
    where counted_until is not null and {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

epochs as (
    select * from {{ ref('int_lifecycle__epochs') }}
),

final as (
    select
        epochs.member_id,
        epochs.epoch_from,
        epochs.epoch_to,
        days.business_date as purchased_on,
        days.top_category,
        row_number() over of_epoch as purchase_no,
        lag(days.business_date) over of_epoch as previous_purchased_on,
        lead(days.business_date) over of_epoch as next_purchased_on
    from epochs
    inner join days
        on
            epochs.member_id = days.member_id
            and epochs.epoch_to > days.business_date
            and epochs.epoch_from < days.counted_until
    window of_epoch as (partition by epochs.member_id, epochs.epoch_from order by days.business_date)
)

select * from final
