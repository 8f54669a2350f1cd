-- A chain's history, drawn by hash functions: the same every time. Reads bench.size, a row that its caller fills.
-- Days are counted from 0; days beyond `days` are those that are landed as files later.

-- A number from [0, 1) that belongs to n, another one for each salt.
create function bench.chance(n bigint, salt integer) returns double precision
language sql immutable parallel safe
return (hashint8extended(n, salt) & 2147483647) / 2147483648.0::double precision;

-- Grain: one row per member. Half enrolled before day 0. Each buys at its own rate until it stops, unnoticed, after a
-- time of its own (buy till you die): both are drawn from exponential distributions.
create unlogged table bench.member as
with drawn as (
    select
        member_no,
        case
            when bench.chance(member_no, 1) < 0.5 then -1 - floor(bench.chance(member_no, 2) * size.days)::integer
            else floor(bench.chance(member_no, 2) * size.all_days)::integer
        end as enrolled_day,
        -ln(1 - bench.chance(member_no, 3)) * size.days / 2 as lifetime,
        -ln(1 - bench.chance(member_no, 4)) as rate
    from bench.size as size
    cross join lateral generate_series(1::bigint, size.members) as member_no
),

alive as (
    select
        drawn.*,
        greatest(enrolled_day, 0) as alive_from,
        greatest(least(enrolled_day + lifetime, size.all_days) - greatest(enrolled_day, 0), 0) as alive_days
    from drawn
    cross join bench.size as size
),

whole as (
    select sum(rate * alive_days) as purchases from alive
)

select
    alive.member_no,
    'C' || lpad(alive.member_no::text, 9, '0') as card_no,
    case when bench.chance(alive.member_no, 5) < 0.3 then 'A' || lpad(alive.member_no::text, 9, '0') end as account_id,
    (alive.member_no % size.stores)::integer as store_no,
    alive.enrolled_day,
    alive.alive_from,
    alive.alive_days,
    floor(
        alive.rate * alive.alive_days * 0.7 * size.sales / whole.purchases + bench.chance(alive.member_no, 6)
    )::integer as purchases
from alive
cross join whole
cross join bench.size as size;
create unique index on bench.member (member_no);
analyze bench.member;

-- Grain: one row per receipt, in the order in which they come. 70 % of sales name a member, three returns come to
-- a hundred receipts and name their sale. Of the sales of the days beyond `days` one in ten comes late.
create unlogged table bench.receipt as
with drawn as (
    select
        member.member_no,
        (member.alive_from + floor(member.alive_days * bench.chance(member.member_no * 4096 + n, 10)))::integer as day
    from bench.member as member
    cross join lateral generate_series(1, member.purchases) as n
    union all
    select
        null,
        floor(bench.chance(n, 11) * size.all_days)::integer as day
    from bench.size as size
    cross join lateral generate_series(1::bigint, (size.sales * 0.3)::bigint) as n
),

numbered as (
    select
        drawn.*,
        row_number() over (order by drawn.day, bench.chance(drawn.member_no, 12), drawn.member_no) as sale_no
    from drawn
),

sales as (
    select
        numbered.sale_no,
        numbered.day,
        case
            when numbered.day >= size.days and bench.chance(numbered.sale_no, 13) < 0.1
                then numbered.day - 1 - floor(bench.chance(numbered.sale_no, 14) * size.late_days)::integer
            else numbered.day
        end as business_day,
        case
            when member.store_no is not null and bench.chance(numbered.sale_no, 15) < 0.8 then member.store_no
            else floor(bench.chance(numbered.sale_no, 16) * size.stores)::integer
        end as store_no,
        member.card_no,
        -- one in five of those who can names the account
        case when bench.chance(numbered.sale_no, 17) < 0.2 then member.account_id end as account_id
    from numbered
    cross join bench.size as size
    left join bench.member as member on numbered.member_no = member.member_no
),

receipts as (
    select
        sales.*,
        null::integer as sold_day
    from sales
    union all
    select
        sale_no,
        day + 1 + floor(bench.chance(sale_no, 18) * 30)::integer as day,
        day + 1 + floor(bench.chance(sale_no, 18) * 30)::integer as business_day,
        store_no,
        card_no,
        account_id,
        business_day as sold_day
    from sales
    where bench.chance(sale_no, 19) < 3 / 97.0
)

select
    receipts.sale_no,
    receipts.day,
    size.first_date + receipts.business_day as business_date,
    'S' || lpad(receipts.store_no::text, 3, '0') as store_id,
    -- six digits, as tills count: they begin anew
    (100000 + receipts.sale_no % 900000)::text as receipt_no,
    case when receipts.account_id is null then receipts.card_no end as card_no,
    receipts.account_id,
    size.first_date + receipts.sold_day as sold_on,
    receipts.sold_day is not null as is_return,
    -- half of the returns bring back everything, the others the first line
    case
        when receipts.sold_day is not null and bench.chance(receipts.sale_no, 20) < 0.5 then 1
        else 1 + floor(bench.chance(receipts.sale_no, 21) * 4)::integer
    end as lines
from receipts
cross join bench.size as size
where receipts.day < size.all_days
order by receipts.day, receipts.sale_no, is_return;
create index on bench.receipt (day);
analyze bench.receipt;

-- Grain: one row per receipt line that comes on one of these days, with its receipt.
create function bench.lines(from_day integer, to_day integer) returns table (
    sale_no bigint, day integer, business_date date, store_id text, receipt_no text, receipt_type text,
    card_no text, account_id text, sold_on date, sold_at text,
    line_no integer, sku text, quantity numeric, unit_price numeric, discount_amount numeric
)
language sql stable
begin atomic
    select
        receipt.sale_no,
        receipt.day,
        receipt.business_date,
        receipt.store_id,
        receipt.receipt_no,
        case when receipt.is_return then 'return' else 'sale' end as receipt_type,
        receipt.card_no,
        receipt.account_id,
        receipt.sold_on,
        receipt.business_date || to_char(time '10:00' + bench.chance(receipt.sale_no, 30) * interval '11 hours', '"T"HH24:MI:SS'),
        line_no,
        (1000000 + line.product_no)::text,
        line.quantity * line.sign,
        line.unit_price,
        (case
            when bench.chance(line.line_id, 33) < 0.15 then round(line.quantity * line.unit_price * 0.2, 2) else 0
        end * line.sign)
    from bench.receipt
    cross join bench.size as size
    cross join lateral generate_series(1, receipt.lines) as line_no
    cross join lateral (
        select
            receipt.sale_no * 8 + line_no as line_id,
            -- some products sell more than others
            floor(bench.chance(receipt.sale_no * 8 + line_no, 31) ^ 2 * size.products)::integer as product_no,
            (array[1, 1, 1, 1, 1, 1, 1, 2, 2, 3])[
                1 + floor(bench.chance(receipt.sale_no * 8 + line_no, 32) * 10)::integer
            ] as quantity,
            case when receipt.is_return then -1 else 1 end as sign
    ) as drawn
    cross join lateral (
        select
            drawn.*,
            (5 + floor(bench.chance(drawn.product_no, 34) * 20000) / 100)::numeric(14, 2) as unit_price
    ) as line
    where receipt.day >= from_day and receipt.day < to_day
    order by receipt.day, receipt.sale_no, receipt_type, line_no;
end;

create function bench.receipts(from_day integer, to_day integer) returns table (
    day integer, store_id text, register_id text, business_date date, receipt_no text, receipt_type text, sold_at text,
    member_card_no text, account_id text, channel text, original_receipt_no text, original_business_date date,
    gross_amount numeric, discount_amount numeric, net_amount numeric
)
language sql stable
begin atomic
    select
        day,
        store_id,
        '1',
        business_date,
        receipt_no,
        receipt_type,
        sold_at,
        card_no,
        account_id,
        'store',
        case when sold_on is not null then receipt_no end,
        sold_on,
        sum(quantity * unit_price),
        sum(discount_amount),
        sum(quantity * unit_price - discount_amount)
    from bench.lines(from_day, to_day)
    group by day, sale_no, store_id, business_date, receipt_no, receipt_type, sold_at, card_no, account_id, sold_on
    order by day, sale_no, receipt_type;
end;

-- Grain: one row per member and day of its enrolment, as it comes.
create view bench.enrolment as
select
    greatest(member.enrolled_day, 0) as day,
    member.card_no,
    (size.first_date + member.enrolled_day) || 'T11:00:00' as enrolled_at,
    'S' || lpad(member.store_no::text, 3, '0') as store_id,
    'store' as channel,
    'T' || lpad(member.member_no::text, 9, '0') as phone_token
from bench.member
cross join bench.size as size
where member.enrolled_day < size.all_days;

-- Three members in ten have an account, linked to the card; one account in twenty is a prospect's.
create view bench.account as
select
    greatest(member.enrolled_day, 0) as day,
    member.account_id,
    member.card_no,
    (size.first_date + member.enrolled_day) || 'T12:00:00+08:00' as created_at,
    'T' || lpad(member.member_no::text, 9, '0') as phone_token
from bench.member
cross join bench.size as size
where member.account_id is not null
union all
select
    floor(bench.chance(n, 40) * size.all_days)::integer,
    'P' || lpad(n::text, 9, '0'),
    null,
    (size.first_date + floor(bench.chance(n, 40) * size.all_days)::integer) || 'T12:00:00+08:00',
    null
from bench.size as size
cross join lateral generate_series(1::bigint, size.members / 60) as n;

-- One member in ten that stopped buying says so, three in a thousand are staff.
create view bench.status as
select
    greatest(member.enrolled_day, 0) as day,
    member.card_no,
    'staff' as status,
    (size.first_date + member.enrolled_day) || 'T13:00:00' as at
from bench.member
cross join bench.size as size
where bench.chance(member.member_no, 50) < 0.003
union all
select
    (member.alive_from + ceil(member.alive_days))::integer,
    member.card_no,
    'closed',
    (size.first_date + (member.alive_from + ceil(member.alive_days))::integer) || 'T13:00:00'
from bench.member
cross join bench.size as size
where bench.chance(member.member_no, 51) < 0.1;

-- One member in thirty changes its store.
create view bench.assignment as
select
    member.alive_from + floor(bench.chance(member.member_no, 61) * size.all_days)::integer as day,
    member.card_no,
    'S' || lpad(((member.store_no + 1) % size.stores)::text, 3, '0') as service_store_id,
    size.first_date + member.alive_from + floor(bench.chance(member.member_no, 61) * size.all_days)::integer as valid_from
from bench.member
cross join bench.size as size
where bench.chance(member.member_no, 60) < 1 / 30.0;

-- Grain: one row per feed and day of the history: its batch in ops.batch, as the loader leaves one.
create table bench.batch as
with inserted as (
    insert into ops.batch (source, feed, business_date, store_id, batch_name, content_sha256, manifest, state)
    select
        feeds.source,
        feeds.feed,
        size.first_date + day,
        'all',
        feeds.feed,
        encode(sha256((feeds.feed || day)::bytea), 'hex'),
        jsonb_build_object(
            'source', feeds.source,
            'feed', feeds.feed,
            'store_id', 'all',
            'business_date', size.first_date + day,
            'produced_at', (size.first_date + day + 1) || 'T02:00:00+00:00'
        ),
        'loaded'
    from bench.size as size
    cross join lateral generate_series(0, size.days - 1) as day
    cross join (
        values
        ('pos', 'enrolments', 1), ('pos', 'member_status', 2), ('pos', 'member_assignments', 3),
        ('app', 'accounts', 4), ('app', 'identity_links', 5), ('pos', 'receipts', 6), ('pos', 'receipt_lines', 7)
    ) as feeds (source, feed, rank)
    order by day, feeds.rank
    returning batch_id, feed, business_date
)

select
    inserted.batch_id,
    inserted.feed,
    inserted.business_date - size.first_date as day
from inserted
cross join bench.size as size;
create unique index on bench.batch (feed, day);
analyze bench.batch;

insert into raw.pos__enrolments (
    _batch_id, _file_no, _line_no, card_no, enrolled_at, store_id, channel, phone_token
)
select
    batch.batch_id,
    1,
    1 + row_number() over (partition by batch.batch_id order by enrolment.card_no),
    enrolment.card_no,
    enrolment.enrolled_at,
    enrolment.store_id,
    enrolment.channel,
    enrolment.phone_token
from bench.enrolment
inner join bench.batch on enrolment.day = batch.day and batch.feed = 'enrolments'
order by batch.batch_id, enrolment.card_no;

insert into raw.app__accounts (
    _batch_id, _file_no, _line_no, account_id, created_at, updated_at, status, phone_token, phone_verified
)
select
    batch.batch_id,
    1,
    1 + row_number() over (partition by batch.batch_id order by account.account_id),
    account.account_id,
    account.created_at,
    account.created_at,
    'active',
    account.phone_token,
    true
from bench.account
inner join bench.batch on account.day = batch.day and batch.feed = 'accounts'
order by batch.batch_id, account.account_id;

insert into raw.app__identity_links (
    _batch_id, _file_no, _line_no, account_id, card_no, valid_from, recorded_at, method
)
select
    batch.batch_id,
    1,
    1 + row_number() over (partition by batch.batch_id order by account.account_id),
    account.account_id,
    account.card_no,
    account.created_at,
    account.created_at,
    'scan'
from bench.account
inner join bench.batch on account.day = batch.day and batch.feed = 'identity_links'
where account.card_no is not null
order by batch.batch_id, account.account_id;

insert into raw.pos__member_status (_batch_id, _file_no, _line_no, card_no, status, at)
select
    batch.batch_id,
    1,
    1 + row_number() over (partition by batch.batch_id order by status.card_no, status.status),
    status.card_no,
    status.status,
    status.at
from bench.status
inner join bench.batch on status.day = batch.day and batch.feed = 'member_status'
order by batch.batch_id, status.card_no;

insert into raw.pos__member_assignments (_batch_id, _file_no, _line_no, card_no, service_store_id, valid_from)
select
    batch.batch_id,
    1,
    1 + row_number() over (partition by batch.batch_id order by assignment.card_no),
    assignment.card_no,
    assignment.service_store_id,
    assignment.valid_from
from bench.assignment
inner join bench.batch on assignment.day = batch.day and batch.feed = 'member_assignments'
order by batch.batch_id, assignment.card_no;

-- Sales of some days into raw.
create procedure bench.deliver(from_day integer, to_day integer)
language sql
begin atomic
    insert into raw.pos__receipts (
        _batch_id, _file_no, _line_no, store_id, register_id, business_date, receipt_no, receipt_type, sold_at,
        member_card_no, account_id, channel, original_receipt_no, original_business_date,
        gross_amount, discount_amount, net_amount
    )
    select
        batch.batch_id,
        1,
        1 + row_number() over (partition by batch.batch_id),
        receipts.store_id,
        receipts.register_id,
        receipts.business_date,
        receipts.receipt_no,
        receipts.receipt_type,
        receipts.sold_at,
        receipts.member_card_no,
        receipts.account_id,
        receipts.channel,
        receipts.original_receipt_no,
        receipts.original_business_date,
        receipts.gross_amount,
        receipts.discount_amount,
        receipts.net_amount
    from bench.receipts(from_day, to_day) as receipts
    inner join bench.batch on receipts.day = batch.day and batch.feed = 'receipts';

    insert into raw.pos__receipt_lines (
        _batch_id, _file_no, _line_no, store_id, register_id, business_date, receipt_no, receipt_type,
        line_no, sku, quantity, unit_price, discount_amount, net_amount, is_merchandise
    )
    select
        batch.batch_id,
        1,
        1 + row_number() over (partition by batch.batch_id),
        lines.store_id,
        '1',
        lines.business_date,
        lines.receipt_no,
        lines.receipt_type,
        lines.line_no,
        lines.sku,
        lines.quantity,
        lines.unit_price,
        lines.discount_amount,
        lines.quantity * lines.unit_price - lines.discount_amount,
        true
    from bench.lines(from_day, to_day) as lines
    inner join bench.batch on lines.day = batch.day and batch.feed = 'receipt_lines';
end;
