-- Grain: one row per member and stage interval, past and future. The figures are those of the interval's first day.
{{ config(
    unique_key=['member_id', 'valid_from'],
    scope={'columns': ['member_id'], 'relation': 'int_lifecycle__touched_members'},
    lookups=[['valid_from']],
) }}

with ruled as (
    select * from {{ ref('int_lifecycle__ruled') }}
),

bands as (
    select * from {{ ref('int_lifecycle__adaptive_bands') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

marked as (
    select
        ruled.*,
        (lag(stage_code) over (partition by member_id order by valid_from) is distinct from stage_code) as is_start
    from ruled
),

intervals as (
    select
        marked.*,
        lead(valid_from, 1, date '9999-12-31') over (partition by member_id order by valid_from) as interval_to,
        lead(stage_code) over (partition by member_id order by valid_from) as next_stage_code
    from marked
    where is_start
),

final as (
    select
        intervals.member_id,
        intervals.stage_code,
        intervals.valid_from,
        intervals.interval_to as valid_to,
        intervals.rule_id,
        intervals.days_since_purchase,
        intervals.purchase_days,
        intervals.purchase_days_365,
        intervals.spend_365_amount,
        intervals.gap_days,
        intervals.loyal_threshold_amount,
        bands.adaptive_band,
        intervals.next_stage_code
    from intervals
    left join bands
        on
            intervals.member_id = bands.member_id
            and intervals.valid_from >= bands.valid_from
            and intervals.valid_from < bands.valid_to
)

select * from final
