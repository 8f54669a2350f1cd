{# First day of the season of a date: seasons begin with March, June, September and December. #}
{% macro season_start(date) -%}
    (date_trunc('quarter', {{ date }} - interval '2 months') + interval '2 months')::date
{%- endmacro %}
