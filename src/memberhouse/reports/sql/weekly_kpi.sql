-- Head office's row of the week, of the weeks before it, and of the same week a year (52 weeks) earlier.
select
    week_start,
    opening_members,
    new_members,
    closing_members,
    churn_base,
    churned_lapse,
    churned_closed,
    purchasers_365,
    repeat_purchasers_365,
    sale_receipts,
    sale_receipts_member,
    sale_net_amount,
    sale_net_amount_member,
    net_sales_amount,
    net_sales_member_amount,
    purchasing_members,
    active_members,
    valid_members,
    growth_rate,
    churn_rate,
    repurchase_rate,
    average_ticket_amount,
    average_ticket_member_amount,
    activity_rate,
    days_elapsed,
    is_complete,
    completeness_basis,
    caveats
from bi.kpi_weekly
where
    level = 'hq'
    and (
        week_start between %(monday)s::date - 7 * (%(weeks)s::integer - 1) and %(monday)s::date
        or week_start = %(monday)s::date - 364
    )
order by week_start
