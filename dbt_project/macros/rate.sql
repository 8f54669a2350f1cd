{# A quotient of two counts or sums, divided after they were added up; null where there is nothing to divide by. #}
{% macro rate(numerator, denominator) -%}
    (({{ numerator }}) / nullif({{ denominator }}, 0)::numeric)::numeric(14, 6)
{%- endmacro %}
