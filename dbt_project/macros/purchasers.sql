{#
A SELECT of the members who are purchasing members of periods, one row per kind of period, period and member, with the
service store at the period's close: valid members with a purchase in the period that stood at its close.
periods: a relation with period_type, period_start and closing_on.
#}
{% macro purchasers(periods) -%}
    select
        bought.period_type,
        bought.period_start,
        bought.member_id,
        stores.store_id
    from (
        select distinct
            periods.period_type,
            periods.period_start,
            periods.closing_on,
            days.member_id
        from {{ periods }} as periods
        -- what came back later was still a purchase at that close
        inner join {{ ref('int_members__days') }} as days
            on
                periods.period_start <= days.business_date
                and periods.closing_on >= days.business_date
                and periods.closing_on < days.counted_until
    ) as bought
    inner join {{ ref('int_lifecycle__stages') }} as stages
        on
            bought.member_id = stages.member_id
            and bought.closing_on >= stages.valid_from
            and bought.closing_on < stages.valid_to
    inner join {{ ref('int_members__service_stores') }} as stores
        on
            bought.member_id = stores.member_id
            and bought.closing_on >= stores.valid_from
            and bought.closing_on < stores.valid_to
    where {{ is_valid_stage('stages.stage_code') }}
{%- endmacro %}
