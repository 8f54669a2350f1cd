{# The rows of a feed that count: those of batches that are loaded and were not superseded by a revision. #}
{% macro active_rows(source_name, feed) -%}
    select fed.*
    from {{ source('raw', source_name ~ '__' ~ feed) }} as fed
    inner join {{ source('ops', 'batch') }} as batch
        on fed._batch_id = batch.batch_id and batch.state = 'loaded'
{%- endmacro %}
