{#
The rule_id of the first rule of the stage_rules seed that holds for a row of running figures (int_lifecycle__states):
the seed's rules written out as one CASE, because asking a table row by row takes ten times as long. Null where
the seed is not loaded yet, as when the project is only compiled.
#}
{% macro first_stage_rule(states) -%}
    {%- set seed = adapter.get_relation(target.database, 'intermediate', 'stage_rules') if execute -%}
    {%- if not seed -%}null::text{%- else -%}
    {%- set rules = run_query(
        'select rule_id, valid_from, valid_to, is_excluded, is_enrolled, n_min, n_max, r_min, r_max, gap_min,'
        ~ ' n_window_min, needs_loyal_spend from ' ~ seed ~ ' order by rule_order') -%}
    case
        {%- for rule in rules %}
        when
            {{ states }}.valid_from >= date '{{ rule.valid_from }}' and {{ states }}.valid_from < date '{{ rule.valid_to }}'
            {%- for column, operator, bound in [
                ['is_excluded', '=', rule.is_excluded], ['is_enrolled', '=', rule.is_enrolled],
                ['purchase_days', '>=', rule.n_min], ['purchase_days', '<=', rule.n_max],
                ['days_since_purchase', '>=', rule.r_min], ['days_since_purchase', '<', rule.r_max],
                ['gap_days', '>=', rule.gap_min], ['purchase_days_365', '>=', rule.n_window_min],
            ] if bound is not none %}
            and {{ states }}.{{ column }} {{ operator }} {{ bound }}
            {%- endfor %}
            {%- if rule.needs_loyal_spend %}
            and {{ states }}.spend_365_amount >= {{ states }}.loyal_threshold_amount
            {%- endif %}
            then '{{ rule.rule_id }}'
        {%- endfor %}
    end
    {%- endif -%}
{%- endmacro %}
