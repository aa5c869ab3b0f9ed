-- An order system's day through psql: simple queries, COPY both ways, cursors, errors, transactions, NOTIFY.
-- What differs between two runs on the same server (process ids, OIDs) is never printed.
\set VERBOSITY verbose
\pset null '(null)'
\set client_min_messages notice
set client_min_messages = notice;
drop schema if exists client_psql cascade;
create schema client_psql;
set search_path = client_psql;
set timezone = 'Europe/Berlin';
\echo :ENCODING :SERVER_VERSION_NAME

create type status as enum ('new', 'paid', 'shipped');
create table customer (id int generated always as identity primary key, name text not null, email text unique);
create table orders (
  id bigserial primary key,
  customer int references customer,
  state status not null default 'new',
  total numeric(12, 2) check (total >= 0),
  tags text[],
  details jsonb,
  placed timestamptz default '2024-02-29 12:34:56.789012+00',
  receipt bytea
);
create function add_up(int, int) returns int language sql immutable as 'select $1 + $2';
create procedure tell(text) language plpgsql as $$ begin raise notice 'told: %', $1; raise warning 'and warned'; end $$;
comment on table orders is 'Everything somebody bought';

-- Rows in, in several shapes
insert into customer (name, email) values ('Ada', 'ada@example.com'), ('Zoë 🐘', null) returning *;
insert into orders (customer, total, tags, details, receipt)
  values (1, 12.50, '{a,"b c",NULL,"d\"e"}', '{"k": [1, 2.50, null], "a": "ü"}', '\x00ff10'),
         (2, 0, '{}', 'null', ''), (null, null, null, null, null)
  returning id, state, total, tags, details, placed, receipt;
copy orders (customer, total, tags) from stdin;
1	99.99	{x,y}
2	\N	\N
\.
\copy orders (customer, total, tags) from stdin with (format csv, header)
customer,total,tags
1,5.00,"{""q,r"",s}"
2,7.25,
\.
copy orders to stdout with (format csv, header, force_quote (tags));
copy (select id, total from orders order by id) to stdout;
copy orders (total) from stdin;
not a number
\.
select count(*) from orders;

-- Several statements in one message, and an error in the middle of one
select 1 as one\; select 2 as two\; insert into customer (name) values ('Bob') returning id\; select 'three' as three;
select 1 as before\; select 1 / 0\; select 2 as never;
insert into customer (name) values ('gone')\; select 1 / 0;
select name from customer order by id;
;
select;

-- Transactions, savepoints, errors inside them
begin;
update orders set state = 'paid' where id = 1;
savepoint a;
insert into customer (name, email) values ('Eve', 'ada@example.com');
select 1;
rollback to a;
select state from orders where id = 1;
commit;
begin isolation level serializable read only;
delete from orders;
rollback;
select * from nowhere;
select nope from orders;
insert into orders (total) values (-1);
select 'é' || nope;
selec 1;
start transaction\; select 1 as inside;
\echo :SQLSTATE
commit;

-- Cursors, by hand and by psql itself
begin;
declare walk scroll cursor for select id, total from orders order by id;
fetch 2 from walk;
fetch backward 1 from walk;
move 2 in walk;
fetch all from walk;
close walk;
commit;
\set FETCH_COUNT 3
select g, repeat('x', g) from generate_series(1, 10) g;
\unset FETCH_COUNT

-- Values of many types
select 'NaN'::float8, '-Infinity'::float4, 0.1::float8 + 0.2, 1e-7::float8, 123456789012345678901234567890.123456789::numeric;
select '2024-02-29'::date, 'infinity'::timestamp, '0044-03-15 BC'::date, '24:00'::time, '1 year 2 mons -3 days 04:05:06.7'::interval;
select '[2024-01-01,2024-02-01)'::daterange, '{[1,3),[5,9)}'::int4multirange, '192.168.0.0/16'::cidr, '(1,2)'::point, b'1010'::varbit;
select row(1, 'a b', null, '"')::text, array[[1, 2], [3, 4]], array['a', null, '']::text[], '{"b":1,"a":{"c":[]}}'::jsonb, '<a>1</a>'::xml;
select repeat('long ', 50000) as big \gset
select length(:'big'), md5(:'big');
select g, md5(g::text) from generate_series(1, 2000) g order by g desc;
set bytea_output = 'escape';
select receipt from orders where id = 1;
set datestyle = 'German, DMY';
select placed from orders where id = 1;
set client_encoding = 'LATIN1';
select 'grün', length('grün');
select '🐘';
reset client_encoding;
reset datestyle;

-- Prepared statements and functions
prepare by_id(bigint) as select id, state from orders where id = $1;
execute by_id(1);
execute by_id('x');
deallocate by_id;
select add_up(2, 3);
call tell('hello');
do $$ begin raise info 'inside'; raise exception 'made up' using errcode = 'XX123', detail = 'd', hint = 'h', table = 't'; end $$;
explain (costs off) select * from orders where id = 1;
show transaction_isolation;

-- Notifications, also with a payload
listen work;
notify work;
notify work, 'zwei Worte';
select 1;
unlisten *;

-- A large object goes through function calls of the protocol
\set QUIET on
\o /dev/null
begin;
\lo_import :source
\set oid :LASTOID
commit;
\o
\unset QUIET
select length(lo_get(:oid)) > 1000 as imported;
\o /dev/null
\lo_unlink :oid
\o

-- What psql asks the catalogue
\d orders
\dt
\df add_up
\dT+ status
\du app
select state, id, total from orders where id < 3 order by id \crosstabview state id total
select 'select ' || g from generate_series(1, 3) g \gexec
set statement_timeout = '50ms';
select pg_sleep(10);
reset statement_timeout;
set role nobody_at_all;
\password_is_no_command
truncate orders;
drop schema client_psql cascade;
