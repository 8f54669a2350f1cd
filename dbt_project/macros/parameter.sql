{# One number of the lifecycle_parameters seed, as a scalar sub-select. #}
{% macro lifecycle_parameter(name) -%}
    (select p.value from {{ ref('lifecycle_parameters') }} as p where p.parameter = '{{ name }}')
{%- endmacro %}


{# One number of the tier_parameters seed, as a scalar sub-select. #}
{% macro tier_parameter(name) -%}
    (select p.value from {{ ref('tier_parameters') }} as p where p.parameter = '{{ name }}')::integer
{%- endmacro %}


{# One number of the outreach_parameters seed, as a scalar sub-select. #}
{% macro outreach_parameter(name) -%}
    (select p.value from {{ ref('outreach_parameters') }} as p where p.parameter = '{{ name }}')::integer
{%- endmacro %}


{# One number of the tool_parameters seed, as a scalar sub-select. #}
{% macro tool_parameter(name) -%}
    (select p.value from {{ ref('tool_parameters') }} as p where p.parameter = '{{ name }}')
{%- endmacro %}


{# The last day of a tier that was earned on this day: whole months on, to the end of the month. #}
{% macro tier_valid_until(day) -%}
    (date_trunc('month', ({{ day }})::timestamp) + ({{ tier_parameter('valid_months') }} + 1) * interval '1 month' - interval '1 day')::date
{%- endmacro %}
