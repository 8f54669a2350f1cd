-- Rows that were not loaded, with the reason a data engineer needs to mend them.

create table if not exists quarantine.rejected_row (
    rejected_row_id bigint generated always as identity primary key,
    batch_id bigint not null references ops.batch (batch_id),
    source text not null,
    feed text not null,
    file_name text not null,
    line_no bigint not null,            -- physical line in the file, the header is line 1
    reason_code text not null,          -- wrong_type, ragged_row, unknown_store, …
    column_name text,
    reason text not null,               -- a sentence
    raw_text text not null,
    rejected_at timestamptz not null default clock_timestamp(),
    replayed_at timestamptz
);
-- the row as it lay in the raw table, where it got that far: it can be tried again when the cause is gone
alter table quarantine.rejected_row add column if not exists row jsonb;
create index if not exists rejected_row_by_batch on quarantine.rejected_row (batch_id);
