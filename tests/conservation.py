"""Row and money conservation of the loader, as SQL that must answer nothing."""

BATCHES_NOT_CONSERVED = """
    select batch.batch_id
    from ops.batch
    left join ops.load_balance as balance using (batch_id)
    where batch.state in ('loaded', 'superseded')
    group by batch.batch_id
    having batch.rows_in <> coalesce(sum(rows), 0)
        or batch.rows_loaded <> coalesce(sum(rows) filter (where outcome = 'loaded'), 0)
        or batch.rows_quarantined <> coalesce(sum(rows) filter (where outcome = 'quarantined'), 0)
        or batch.rows_duplicate <> coalesce(sum(rows) filter (where outcome = 'duplicate'), 0)
"""
BOOKED_IS_NOT_HELD = """
    with booked as (
        select balance.batch_id, balance.store_id, balance.business_date, sum(rows), sum(amount)
        from ops.load_balance as balance join ops.batch using (batch_id)
        where outcome = 'loaded' and feed = 'receipt_lines'
        group by 1, 2, 3 having sum(rows) <> 0
    ),
    held as (
        select _batch_id, store_id, business_date, count(*), sum(net_amount)
        from raw.pos__receipt_lines group by 1, 2, 3
    )
    (table booked except table held) union all (table held except table booked)
"""
QUARANTINED_IS_NOT_KEPT = """
    select batch.batch_id from ops.batch
    left join quarantine.rejected_row using (batch_id)
    where state <> 'refused'
    group by batch.batch_id having count(rejected_row_id) <> rows_quarantined
"""

ALL = (BATCHES_NOT_CONSERVED, BOOKED_IS_NOT_HELD, QUARANTINED_IS_NOT_KEPT)
