{#
Columns of a feed's rows, of any state, in batches that this build may see in another way than the highest published
release did: what scopes are made of. None in a full build, which takes no scope.
An array, because the BRIN index on _batch_id is asked by it whatever the planner thinks of the list's length.
#}
{% macro changed_rows(source_name, feed, columns) -%}
    select distinct
        {{ columns | join(',\n        ') }}
    from {{ source('raw', source_name ~ '__' ~ feed) }} as fed
    where
        fed._batch_id = any(array(
            select changed.batch_id from {{ ref('int_release__changed_batches') }} as changed
            where changed.source = '{{ source_name }}' and changed.feed = '{{ feed }}'
        ))
        and not (select building.is_full from {{ source('release', 'building') }} as building)
{%- endmacro %}
