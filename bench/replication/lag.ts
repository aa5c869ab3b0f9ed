import type { Servers } from "../../test/replication/apply-pair.ts";
import { progress, rotated } from "../rounds.ts";
import { openTrial } from "./trial.ts";
import type { Follower, FollowerName, Trial } from "./trial.ts";
import { until } from "./until.ts";

/** Milliseconds of every row of every round. */
export type Lags = Readonly<Record<FollowerName, readonly (readonly number[])[]>>;

export const LAG_ROWS_PER_SECOND = 2000;
const ROWS_A_TRANSACTION = 10;
const TRANSACTION_MS = (1000 * ROWS_A_TRANSACTION) / LAG_ROWS_PER_SECOND;

/** Both ends are in the servers, so that no clock waits for this process, in which our applier runs. */
const SETUP = `
  CREATE TABLE lagged (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), note text);
  CREATE PROCEDURE write_steadily(transactions int) LANGUAGE plpgsql AS $$
    DECLARE due timestamptz := clock_timestamp();
    BEGIN
      FOR i IN 1..transactions LOOP
        INSERT INTO lagged (note) SELECT repeat('n', 40) FROM generate_series(1, ${ROWS_A_TRANSACTION});
        COMMIT;
        due := due + ${TRANSACTION_MS} * interval '1 ms';
        PERFORM pg_sleep(greatest(0, extract(epoch FROM due - clock_timestamp())));
      END LOOP;
    END $$;
  CREATE FUNCTION watch(last bigint, final bigint) RETURNS SETOF float8 LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off AS $$
    DECLARE arrived record;
    BEGIN
      WHILE last < final LOOP
        FOR arrived IN SELECT id, 1000 * extract(epoch FROM clock_timestamp() - at) AS ms
                         FROM lagged WHERE id > last ORDER BY id LOOP
          last := arrived.id;
          RETURN NEXT arrived.ms;
        END LOOP;
        PERFORM pg_sleep(0.001);
      END LOOP;
    END $$;`;

/** The first second is not counted. */
const SKIPPED = LAG_ROWS_PER_SECOND;

/**
 * From the moment a row is written in the source, right before its commit, until another session of the target sees it there,
 * to about a millisecond: for both in the same way, one after the other.
 */
export async function measureLags(
  servers: Servers,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Lags> {
  const lags = { Twinwire: [] as number[][], "native subscription": [] as number[][] };
  for (let round = 0; round < rounds; round++) {
    const trial = await openTrial(servers, SETUP, ["lagged"]);
    for (const follower of rotated(trial.followers, round)) {
      progress(`round ${round + 1} of ${rounds}: lag, ${follower.name}`);
      lags[follower.name].push(await lagsOf(follower, trial, seconds));
    }
    await trial.close();
  }
  return lags;
}

async function lagsOf(
  { target, ...follower }: Follower,
  { source }: Trial,
  seconds: number,
): Promise<number[]> {
  const [first] = await source.sql("INSERT INTO lagged DEFAULT VALUES RETURNING id");
  const last = Number(first?.["id"]);
  await follower.start();
  await until(async () => (await target.sql(`SELECT 1 FROM lagged WHERE id = ${last}`)).length > 0);
  const rows = LAG_ROWS_PER_SECOND * (seconds + 1);
  await target.sql("SET statement_timeout = '2min'"); // should rows not arrive
  const [arrivals] = await Promise.all([
    target.sql(`SELECT watch(${last}, ${last + rows}) AS ms`),
    source.sql(`CALL write_steadily(${rows / ROWS_A_TRANSACTION})`),
  ]);
  await follower.stop();
  return arrivals.slice(SKIPPED).map(({ ms }) => Number(ms));
}
