{#
A SELECT of the targets of whole weeks, one row per week, level, level_id and metric: of what was told for several kinds
of period the shortest one. What adds up over days is the sum of the parts that lie in the week; of anything else the
newest period's holds. where: a condition on target_decomposition.
#}
{% macro targets_of_weeks(where) -%}
    select
        week_start,
        level,
        level_id,
        metric,
        kind,
        case when kind = 'flow' then summed_value else last_value end as target_value,
        case when kind = 'flow' then summed_to_date else last_to_date end as target_to_date
    from (
        select
            week_start,
            level,
            level_id,
            metric,
            kind,
            sum(target_value) as summed_value,
            sum(target_to_date) as summed_to_date,
            (array_agg(target_value order by period_start desc))[1] as last_value,
            (array_agg(target_to_date order by period_start desc))[1] as last_to_date,
            row_number() over (
                partition by week_start, level, level_id, metric
                order by
                    case period_type when 'week' then 1 when 'month' then 2 when 'quarter' then 3 else 4 end
            ) as shortness
        from {{ ref('target_decomposition') }}
        where is_in_force and {{ where }}
        group by week_start, level, level_id, metric, kind, period_type
        having sum(days) = 7
    ) as told
    where shortness = 1
{%- endmacro %}


{#
A SELECT of a relation's rows with a column more, part: what each has of the group's total, in proportion to its weight
and in whole units. Each has its whole units for sure; what is left goes to the largest remainders. The parts add up to
the total, less what is no whole unit. within: the columns of a group; total, weight: expressions, the same total in all
rows of a group; tie: the columns that decide between equal remainders.
#}
{% macro largest_remainder(relation, within, total, weight, unit, tie) -%}
    {%- set within = within | join(', ') -%}
    select
        ranked.*,
        (whole_units + case when remainder_no <= missing_units then 1 else 0 end) * {{ unit }} as part
    from (
        select
            floored.*,
            floor({{ total }} / {{ unit }}) - sum(whole_units) over (partition by {{ within }}) as missing_units,
            row_number() over (
                partition by {{ within }}
                order by exact_units - whole_units desc, {{ tie | join(', ') }}
            ) as remainder_no
        from (
            select
                exact.*,
                floor(exact_units) as whole_units
            from (
                select
                    {{ relation }}.*,
                    {{ total }} * {{ weight }} / (sum({{ weight }}) over (partition by {{ within }}) * {{ unit }})
                        as exact_units
                from {{ relation }}
            ) as exact
        ) as floored
    ) as ranked
{%- endmacro %}
