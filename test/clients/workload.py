"""The order system through psycopg 3: prints everything the server answers. Argument: the connection string."""

import datetime
import decimal
import logging
import sys
import threading
import time

import psycopg
from psycopg.rows import dict_row

url = sys.argv[1]
logging.disable(logging.CRITICAL)  # its lines name ports and addresses


def show(title, value):
    print(f"{title}: {value!r}")


def error(title, action):
    try:
        action()
        show(title, "no error")
    except psycopg.Error as caught:
        diag = caught.diag
        fields = [diag.severity, diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint]
        show(title, fields + [diag.statement_position, diag.constraint_name, diag.column_name, diag.source_line])


def columns(cursor):
    return [(c.name, c.internal_size, c.precision, c.scale) for c in cursor.description or ()]


with psycopg.connect(url, autocommit=True) as conn:
    conn.add_notice_handler(lambda diag: show("notice", [diag.severity, diag.message_primary]))
    show("server", [conn.info.server_version, conn.info.encoding, conn.info.parameter_status("DateStyle")])
    conn.execute("set client_min_messages = notice")
    conn.execute("drop schema if exists client_psycopg cascade")
    conn.execute("create schema client_psycopg")
    conn.execute("set search_path = client_psycopg")
    conn.execute(
        "create table orders (id serial primary key, customer text not null, total numeric(10,2) check (total >= 0),"
        " placed timestamptz, tags text[], details jsonb, receipt bytea)"
    )

    # Parameters and results, as text and as binary
    row = (
        "Ada",
        decimal.Decimal("12.50"),
        datetime.datetime(2024, 2, 29, 12, 34, 56, 789012, tzinfo=datetime.timezone.utc),
        ["a", None, 'b "c"'],
        '{"k": [1, null]}',
        b"\x00\xff" * 10,
    )
    insert = "insert into orders (customer, total, placed, tags, details, receipt) values (%s, %s, %s, %s, %s, %s) returning *"
    for binary in (False, True):
        cursor = conn.cursor(binary=binary)
        cursor.execute(insert, row)
        show(f"insert binary={binary}", [columns(cursor), cursor.fetchall(), cursor.statusmessage])
        cursor.execute(
            "select %s::int8, %s::float8, %s::bool, %s::date, %s::uuid, %s::interval, 'NaN'::numeric, array[1,null]::int[]",
            (2**40, 0.1, True, datetime.date(1970, 1, 1), "12345678-1234-5678-1234-567812345678", datetime.timedelta(days=2, seconds=3)),
        )
        show(f"types binary={binary}", cursor.fetchall())
    with conn.cursor() as cursor:
        cursor.execute("select %b, %t, %s", (7, "sieben", 7))
        show("mixed formats", cursor.fetchall())

    # The same statement again and again becomes a prepared one
    for number in range(8):
        found = conn.execute("select id, customer from orders where id = %s", (number % 3,), prepare=number > 3).fetchall()
        show(f"prepared {number}", found)

    # Pipelined: many statements before one answer is read, and an error in the middle
    with conn.pipeline():
        cursors = [conn.execute("select %s::int * 2", (n,)) for n in range(20)]
    show("pipeline", [c.fetchone() for c in cursors])

    def failing_pipeline():
        with conn.pipeline() as pipeline:
            conn.execute("insert into orders (customer) values ('kept')")
            pipeline.sync()
            conn.execute("insert into orders (customer) values ('lost')")
            conn.execute("select 1 / 0")
            conn.execute("select 'never'")

    error("pipeline error", failing_pipeline)
    show("after", conn.execute("select customer from orders order by id").fetchall())
    with conn.cursor() as cursor:
        cursor.executemany("insert into orders (customer, total) values (%s, %s) returning id", [(f"c{n}", n) for n in range(5)], returning=True)
        ids = [cursor.fetchone()]
        while cursor.nextset():
            ids.append(cursor.fetchone())
        show("executemany", [ids, cursor.rowcount])

    # COPY, text and binary, both ways, and one that is given up
    with conn.cursor() as cursor:
        with cursor.copy("copy orders (customer, total, receipt) from stdin") as copy:
            for n in range(500):
                copy.write_row((f"copied {n}\t\\", n, bytes([n % 256]) * 40))
        show("copy in", [cursor.rowcount, cursor.statusmessage])
        with cursor.copy("copy orders (customer, total) from stdin (format binary)") as copy:
            copy.set_types(["text", "numeric"])
            copy.write_row(("binary", decimal.Decimal("1.25")))
        with cursor.copy("copy (select id, customer, total from orders order by id limit 12) to stdout") as copy:
            show("copy out", [bytes(data) for data in copy])
        with cursor.copy("copy (select id, customer from orders order by id limit 3) to stdout (format binary)") as copy:
            show("binary copy out", b"".join(bytes(data) for data in copy))

        def given_up():
            with cursor.copy("copy orders (customer) from stdin") as copy:
                copy.write("half\n")
                raise ZeroDivisionError

        error("copy given up", given_up)
        show("after it", [conn.info.transaction_status.name, conn.execute("select count(*) from orders").fetchone()])

        def bad_copy():
            with cursor.copy("copy orders (total) from stdin") as copy:
                copy.write("abc\n")

        error("copy error", bad_copy)

    # Transactions
    error("constraint", lambda: conn.execute("insert into orders (customer, total) values ('x', -1)"))
    error("syntax", lambda: conn.execute("selec 1"))
    error("null", lambda: conn.execute("insert into orders (customer) values (null)"))
    with conn.transaction():
        conn.execute("update orders set total = 1 where id = 1")
        try:
            with conn.transaction():
                conn.execute("update orders set total = 2 where id = 1")
                conn.execute("select 1 / 0")
        except psycopg.Error as caught:
            show("inner", caught.sqlstate)
        show("inside", [conn.info.transaction_status.name, conn.execute("select total from orders where id = 1").fetchone()])

    # A cursor that lives in the server, fetched in pieces
    with conn.transaction(), conn.cursor("walk", scrollable=True) as cursor:
        cursor.itersize = 100
        cursor.execute("select id from orders order by id")
        show("walk", [sum(1 for _ in cursor)])
        cursor.scroll(0, mode="absolute")
        show("walk again", [cursor.fetchmany(3), cursor.fetchone()])

    # Notifications
    heard = []
    conn.add_notify_handler(lambda notify: heard.append((notify.channel, notify.payload)))
    conn.execute("listen work")
    for word in ("", "zwei Worte"):
        conn.execute("select pg_notify('work', %s)", (word,))
    while len(heard) < 2:
        conn.execute("select 1")
    show("heard", heard)
    conn.execute("unlisten *")

    # A large result and a large value
    rows = conn.execute("select g, repeat(md5(g::text), 20) from generate_series(1, 3000) g").fetchall()
    show("rows", [len(rows), sum(len(text) for _, text in rows)])
    show("value", len(conn.execute("select repeat('x', 5000000)").fetchone()[0]))
    show("sent", conn.execute("select md5(%s)", ("y" * 3000000,)).fetchone())

    # Cancelled while it runs
    def cancel_soon():
        with psycopg.connect(url, autocommit=True) as other:
            while not other.execute(
                "select 1 from pg_stat_activity where state = 'active' and query like 'select pg_sleep(60)%%psycopg'"
            ).fetchone():
                time.sleep(0.01)
        conn.cancel()

    canceller = threading.Thread(target=cancel_soon)
    canceller.start()
    error("cancelled", lambda: conn.execute("select pg_sleep(60) -- psycopg"))
    canceller.join()

    conn.row_factory = dict_row
    show("alive", conn.execute("select 1 as one, null as nothing").fetchall())
    conn.execute("do $$ begin raise warning 'careful'; end $$")
    conn.execute("drop schema client_psycopg cascade")
