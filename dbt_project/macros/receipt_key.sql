{#
The receipt_id of a row, made from the receipt's key, so that receipts, lines and returns find one another without a
lookup. With original=true: of the sale that a return or exchange names (null when it names none); parts of the key
that it leaves out are its own.
#}
{% macro receipt_key(alias, original=false) -%}
    {%- if original -%}
    case
        when {{ alias }}.original_receipt_no is not null
            then md5(concat_ws(
                '|',
                coalesce({{ alias }}.original_store_id, {{ alias }}.store_id),
                coalesce({{ alias }}.original_register_id, {{ alias }}.register_id),
                coalesce({{ alias }}.original_business_date, {{ alias }}.business_date)::text,
                {{ alias }}.original_receipt_no,
                'sale'
            ))::uuid
    end
    {%- else -%}
    md5(concat_ws(
            '|',
            {{ alias }}.store_id,
            {{ alias }}.register_id,
            {{ alias }}.business_date::text,
            {{ alias }}.receipt_no,
            {{ alias }}.receipt_type
        ))::uuid
    {%- endif -%}
{%- endmacro %}


{# The receipt_id that a row of the app points at; null where it points at none. #}
{% macro referred_receipt(alias) -%}
    case
        when num_nulls(
            {{ alias }}.store_id, {{ alias }}.register_id, {{ alias }}.business_date, {{ alias }}.receipt_no
        ) = 0
            then md5(concat_ws(
                '|',
                {{ alias }}.store_id,
                {{ alias }}.register_id,
                {{ alias }}.business_date::text,
                {{ alias }}.receipt_no,
                coalesce({{ alias }}.receipt_type, 'sale')
            ))::uuid
    end
{%- endmacro %}
