{# Whether a stage is one of a valid member's: prospects have not joined, the excluded count nowhere. #}
{% macro is_valid_stage(stage_code) -%}
    {{ stage_code }} not in ('S01', 'X')
{%- endmacro %}
