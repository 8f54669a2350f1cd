-- Fitted models of what members will buy, and the scores by them. A model is never changed; another fit is another version.
create schema if not exists scoring;

create table if not exists scoring.model (
    model_version integer primary key,
    as_of_date date not null,           -- the last business date that counted
    release_id integer not null references release.release (release_id),    -- in which its purchase days were published
    members integer not null,
    repeaters integer not null,
    -- BG/NBD, in weeks
    r double precision not null,
    alpha double precision not null,
    a double precision not null,
    b double precision not null,
    log_likelihood double precision not null,
    -- gamma-gamma, in money
    p double precision not null,
    q double precision not null,
    v double precision not null,
    amounts_log_likelihood double precision not null,
    -- what scoring.calibration was held out from, and for how long
    calibrated_until date not null,
    holdout_weeks integer not null,
    fitted_at timestamptz not null default clock_timestamp(),
    unique (as_of_date, release_id)
);

-- Of the newest models only; what was published of older ones is in history.member_value.
create table if not exists scoring.member_score (
    model_version integer not null references scoring.model (model_version),
    member_id text not null,
    p_alive numeric(9, 6) not null,
    expected_purchases_12m numeric(12, 4) not null,
    expected_value_12m numeric(14, 2) not null,
    primary key (model_version, member_id)
);

-- A model of the history before the hold-out against the days of the hold-out; means of a member.
create table if not exists scoring.calibration (
    model_version integer not null references scoring.model (model_version),
    repeat_days integer not null,       -- the last row: that many or more
    members integer not null,
    predicted_days numeric(12, 4) not null,
    actual_days numeric(12, 4) not null,
    predicted_amount numeric(14, 2) not null,
    actual_amount numeric(14, 2) not null,
    missed_amount numeric(14, 2) not null,
    primary key (model_version, repeat_days)
);
