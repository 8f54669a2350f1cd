{# Whether a stage is one of a valid member's: prospects have not joined, the excluded count nowhere. #}
{% macro is_valid_stage(stage_code) -%}
    {{ stage_code }} not in ('S01', 'X')
{%- endmacro %}


{# Whether a stage is of those who bought within the last year: the base of churn. #}
{% macro is_churn_base_stage(stage_code) -%}
    coalesce({{ stage_code }} in ('S03', 'S04', 'S05', 'S06', 'S07', 'S08', 'S09'), false)
{%- endmacro %}


{# Whether a stage is an active one: the numerator of activity. #}
{% macro is_active_stage(stage_code) -%}
    {{ stage_code }} in ('S03', 'S04', 'S05', 'S06', 'S07')
{%- endmacro %}
