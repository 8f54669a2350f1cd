{#
Store, region and head office of a sum by grouping sets over store_id and region: what the columns level and level_id say.
#}
{% macro level() -%}
    case
        when grouping(store_id) = 0 then 'store'
        when grouping(region) = 0 then 'region'
        else 'hq'
    end
{%- endmacro %}


{% macro level_id() -%}
    case
        when grouping(store_id) = 0 then store_id
        when grouping(region) = 0 then region
        else 'hq'
    end
{%- endmacro %}


{# The grouping sets: each level's rows, by the other columns of the key. #}
{% macro by_level(columns) -%}
    grouping sets (
        ({{ columns | join(', ') }}, store_id),
        ({{ columns | join(', ') }}, region),
        ({{ columns | join(', ') }})
    )
{%- endmacro %}
