{#
The rows of a relation with the member to whom their card, or else their account, belonged on their business date;
null: nobody's. A feed that names "card number or account id" has both in one column: card and account are then the same.
#}
{% macro identified(rows, card='card_no', account='account_id', member='member_id') -%}
    select
        {{ rows }}.*,
        coalesce(by_card.member_id, by_account.member_id) as {{ member }}
    from {{ rows }}
    left join {{ ref('bridge_identity') }} as by_card
        on
            {{ rows }}.{{ card }} = by_card.identifier
            and by_card.identifier_kind = 'card'
            and {{ rows }}.business_date >= by_card.valid_from
            and {{ rows }}.business_date < by_card.valid_to
    left join {{ ref('bridge_identity') }} as by_account
        on
            {{ rows }}.{{ account }} = by_account.identifier
            and by_account.identifier_kind = 'account'
            and {{ rows }}.business_date >= by_account.valid_from
            and {{ rows }}.business_date < by_account.valid_to
{%- endmacro %}
