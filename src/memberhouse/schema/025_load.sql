-- What the loader keeps of its own: why a batch was refused, and where every row and every cent went.

alter table ops.batch add column if not exists refusal_code text;
-- over the files as they lay there, which a damaged transfer makes differ from the manifest's checksums:
-- a refused batch is tried again when this changes
alter table ops.batch add column if not exists observed_sha256 text;

-- Row and money conservation: per file, store and business date, in = loaded + quarantined + duplicate.
create table if not exists ops.load_balance (
    batch_id bigint not null references ops.batch (batch_id),
    file_name text not null,
    outcome text not null check (outcome in ('loaded', 'quarantined', 'duplicate')),
    store_id text,                      -- null: the row names none, or cannot be read
    business_date date,                 -- null: the row names none, or cannot be read
    rows bigint not null,
    amount numeric,                     -- of the feed's money column; null: no row with a readable amount
    rows_without_amount bigint not null default 0
);
create index if not exists load_balance_by_batch on ops.load_balance (batch_id);

-- The stores of all loaded stores files, each as its newest file has it, and APP: the loader writes them
-- anew with every stores file. A store that is not here is unknown, and its rows are quarantined.
create table if not exists ops.known_store (
    store_id text primary key,
    timezone text not null,
    day_cutoff interval not null        -- sales before this time of day belong to yesterday
);

-- Rows that repeated a row of another batch. Kept, because a revision may take that other batch away:
-- then they take its row's place.
create table if not exists quarantine.duplicate_row (
    batch_id bigint not null references ops.batch (batch_id),
    file_no smallint not null,
    line_no integer not null,
    of_batch_id bigint not null references ops.batch (batch_id),
    row jsonb not null
);
create index if not exists duplicate_row_by_original on quarantine.duplicate_row (of_batch_id);

create or replace view ops.load_file as
select
    balance.batch_id,
    balance.file_name,
    sum(balance.rows)::bigint as rows_in,
    coalesce(sum(balance.rows) filter (where balance.outcome = 'loaded'), 0)::bigint as rows_loaded,
    coalesce(sum(balance.rows) filter (where balance.outcome = 'quarantined'), 0)::bigint as rows_quarantined,
    coalesce(sum(balance.rows) filter (where balance.outcome = 'duplicate'), 0)::bigint as rows_duplicate,
    sum(balance.amount) as amount_in,
    sum(balance.rows_without_amount)::bigint as rows_without_amount
from ops.load_balance as balance
group by balance.batch_id, balance.file_name;
