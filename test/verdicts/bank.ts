import type pg from "pg";

/** The tables of pgbench, ten branches of ten thousand accounts each. The two sides hold the same rows. */
export const BANK_TABLES = `
  create table pgbench_branches (bid int primary key, bbalance int, filler char(88));
  create table pgbench_tellers (tid int primary key, bid int, tbalance int, filler char(84));
  create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84));
  create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
  create index on pgbench_history (aid);
  alter table pgbench_history replica identity full`;

/** On OLD only: replication brings them to NEW. */
export const BANK_ROWS = `
  insert into pgbench_branches select id, 0, '' from generate_series(1, 10) as id;
  insert into pgbench_tellers select id, (id - 1) / 10 + 1, 0, '' from generate_series(1, 100) as id;
  insert into pgbench_accounts select id, (id - 1) / 10000 + 1, 0, '' from generate_series(1, 100000) as id`;

/** One transaction of pgbench's TPC-B. Who is in it is drawn by `draw`, which gives a number from 1 to its argument. */
export async function transfer(client: pg.Client, draw: (most: number) => number): Promise<void> {
  const [aid, tid, bid] = [draw(100_000), draw(100), draw(10)];
  const delta = draw(10_000) - 5000;
  await client.query("begin");
  await client.query("update pgbench_accounts set abalance = abalance + $1 where aid = $2", [
    delta,
    aid,
  ]);
  await client.query("select abalance from pgbench_accounts where aid = $1", [aid]);
  await client.query("update pgbench_tellers set tbalance = tbalance + $1 where tid = $2", [
    delta,
    tid,
  ]);
  await client.query("update pgbench_branches set bbalance = bbalance + $1 where bid = $2", [
    delta,
    bid,
  ]);
  await client.query(
    "insert into pgbench_history (tid, bid, aid, delta, mtime) values ($1, $2, $3, $4, current_timestamp)",
    [tid, bid, aid, delta],
  );
  await client.query("end");
}

type Read = readonly [often: number, sql: string, most: readonly number[]];

/** What an application looks at: single rows mostly, some of them written all the time. */
const READS: readonly Read[] = [
  [10, "select abalance from pgbench_accounts where aid = $1", [100_000]],
  [
    4,
    "select aid, abalance, filler from pgbench_accounts where aid between $1 and $1 + 9 order by aid",
    [99_990],
  ],
  [3, "select tbalance, bid from pgbench_tellers where tid = $1", [100]],
  [1, "select bid, bbalance from pgbench_branches order by bid", []],
  [1, "select count(*), sum(delta) from pgbench_history where aid = $1", [100_000]],
  [
    1,
    "select b.bid, sum(t.tbalance) from pgbench_branches b join pgbench_tellers t on t.bid = b.bid where b.bid = $1 group by b.bid",
    [10],
  ],
];
const DECK = READS.flatMap((read) => Array.from({ length: read[0] }, () => read));

/** One read of the mix. */
export async function look(client: pg.Client, draw: (most: number) => number): Promise<void> {
  const [, text, most] = DECK[draw(DECK.length) - 1] ?? [0, "select 1", []];
  await client.query({ text, values: most.map(draw) });
}
