{# One number of the lifecycle_parameters seed, as a scalar sub-select. #}
{% macro lifecycle_parameter(name) -%}
    (select p.value from {{ ref('lifecycle_parameters') }} as p where p.parameter = '{{ name }}')
{%- endmacro %}
