-- Grain: one row per kind of period that is measured, with its length.
with final as (
    select
        kind.period_type,
        kind.length
    from (
        values
        ('week', interval '7 days'),
        ('month', interval '1 month'),
        ('quarter', interval '3 months'),
        ('year', interval '1 year')
    ) as kind (period_type, length)
)

select * from final
