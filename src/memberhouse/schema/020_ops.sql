-- What happened: every landed batch, every step, every alert.

create sequence if not exists ops.batch_change;

create table if not exists ops.batch (
    batch_id bigint generated always as identity primary key,
    source text not null,
    feed text not null,
    business_date date not null,
    store_id text not null,             -- 'all': the whole chain
    batch_name text not null,
    revision integer not null default 0,
    content_sha256 text,                -- over the files' checksums; null when they could not be read
    manifest jsonb,
    state text not null check (state in ('loaded', 'superseded', 'refused', 'duplicate')),
    reason text,                        -- why refused; which batch it repeats; what superseded it
    rows_in bigint not null default 0,
    rows_loaded bigint not null default 0,
    rows_quarantined bigint not null default 0,
    rows_duplicate bigint not null default 0,
    recorded_at timestamptz not null default clock_timestamp(),
    -- a number that grows with every change of state: "what was touched since release N"
    change_no bigint not null default nextval('ops.batch_change'),
    -- row conservation, refused by the database when broken
    constraint batch_conserves_rows check (
        state = 'refused' or rows_in = rows_loaded + rows_quarantined + rows_duplicate
    )
);
create index if not exists batch_by_place on ops.batch (source, feed, business_date, store_id);
create index if not exists batch_by_change on ops.batch (change_no);

create table if not exists ops.step (
    step_id bigint generated always as identity primary key,
    step text not null,                 -- load, build, gate, publish, rollback, report, value
    subject text,                       -- which as-of date, folder or release
    state text not null default 'running' check (state in ('running', 'done', 'held', 'failed')),
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    summary text,                       -- one sentence for a person
    next_action text,                   -- what to do about it; names the runbook's heading
    detail jsonb
);

create table if not exists ops.model_result (
    release_id bigint not null,
    node_id text not null,
    resource_type text not null,
    status text not null,
    seconds double precision,
    rows_affected bigint,
    message text,
    recorded_at timestamptz not null default clock_timestamp()
);
create index if not exists model_result_by_release on ops.model_result (release_id);

create table if not exists ops.alert (
    alert_id bigint generated always as identity primary key,
    raised_at timestamptz not null default clock_timestamp(),
    root_cause text not null,
    message text not null,
    next_action text not null,
    delivered_to text[] not null default '{}',
    detail jsonb
);
