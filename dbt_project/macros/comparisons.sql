{# With which earlier weeks a week is compared: the last one, and the one 52 weeks ago. #}
{% macro comparisons() -%}
    select
        kind.compared_with,
        kind.days_apart
    from (values ('last_week', 7), ('last_year', 364)) as kind (compared_with, days_apart)
{%- endmacro %}
