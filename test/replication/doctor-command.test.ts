import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tap from "tap";
import { inProcess } from "../cli/twinwire-command.ts";
import { configFile, startPair } from "./doctor-pair.ts";

void tap.test("the doctor is a command that needs no running Twinwire", async (t) => {
  const pair = await startPair({ major: 16 }, { major: 18 });
  t.teardown(() => pair.stop());
  const folder = await mkdtemp(join(tmpdir(), "twinwire-doctor-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = await configFile(pair, folder);
  for (const side of ["old", "new"] as const)
    await pair.run(side, "create table orders (id int primary key)", "create role app login");
  const fine = await inProcess(["doctor", "-c", file]);
  t.equal(fine.exitCode, 0, fine.out + fine.err);
  t.match(
    fine.out,
    /^OLD {2}PostgreSQL 16\.\d+, database shop, as postgres\nNEW {2}PostgreSQL 18\.\d+.*\n1 tables are moved\.\n/,
  );
  await pair.run("old", "create table nokey (id int)");
  await pair.run("new", "create table nokey (id int)");
  const blocked = await inProcess(["doctor", "-c", file]);
  t.equal(blocked.exitCode, 3);
  t.match(
    blocked.out,
    /blocker {2}public\.nokey has no key.*\n(.*\n)? +on OLD:\n +ALTER TABLE public\.nokey REPLICA IDENTITY FULL;\n/,
  );
  const json = await inProcess(["doctor", "-c", file, "--json"]);
  t.equal(json.exitCode, 3);
  t.match(
    JSON.parse(json.out),
    { migration: "orders", tables: 2, counts: { blocker: 2 } },
    "its key and what the mapping makes of it",
  );
  await pair.run("new", "alter table orders add column must int not null");
  const unmapped = await inProcess(["doctor", "-c", file]);
  t.match(unmapped.out, /blocker {2}public\.orders: [^[]*must[^[]*\[mapping\]/);
  await pair.old.stop();
  const failed = await inProcess(["doctor", "-c", file]);
  t.equal(failed.exitCode, 1);
  t.match(failed.err, /^error: /);
});
