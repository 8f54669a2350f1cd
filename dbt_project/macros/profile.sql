{# Whether a text column says something. #}
{% macro is_told(column) -%}
    coalesce(trim({{ column }}) <> '', false)
{%- endmacro %}


{# What a member's profile must have: the columns of int_members__statements. A phone counts when it is verified. #}
{% macro required_profile_fields() -%}
    {{ return(['has_name', 'has_verified_phone', 'has_gender', 'has_birthday', 'has_city']) }}
{%- endmacro %}


{# What was written as gender: female, male, or what else was said, in small letters; null: nothing. #}
{% macro gender(column) -%}
    nullif(lower(trim({{ column }})), '')
{%- endmacro %}


{#
The age band of somebody on a day, of whom a build knows year and month of birth: a year older from the first of that
month on. unknown: the year was not told.
#}
{% macro age_band(birth_year, birth_month, day) -%}
    coalesce(
        (
            select bands.age_band from {{ ref('age_bands') }} as bands
            where
                extract(year from {{ day }}) - {{ birth_year }}
                - (extract(month from {{ day }}) < {{ birth_month }})::integer >= bands.from_age
            order by bands.from_age desc
            limit 1
        ),
        'unknown'
    )
{%- endmacro %}
