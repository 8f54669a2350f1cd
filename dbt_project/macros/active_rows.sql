{#
The rows of a feed that count: those of batches that are loaded and were not superseded by a revision. _delivered_on is
the business date of the row's batch: by it, and not by when it was loaded, a batch is older or newer than another.
#}
{% macro active_rows(source_name, feed) -%}
    select
        fed.*,
        batch.business_date as _delivered_on
    from {{ source('raw', source_name ~ '__' ~ feed) }} as fed
    inner join {{ source('ops', 'batch') }} as batch
        on fed._batch_id = batch.batch_id and batch.state = 'loaded'
{%- endmacro %}
