import type { Check, Exam } from "./exam.ts";
import { onBothSides, sideName, texts } from "./exam.ts";
import type { DoctorSide, Finding } from "./finding.ts";
import { about } from "./finding.ts";
import { bytesInWords, durationInWords } from "../words.ts";

const OLDEST = 140_000;

/** Both servers are of a version and kind that the streams work on. */
export const serverVersions: Check = (exam) =>
  onBothSides(async (side) => {
    const findings: Finding[] = [];
    const { version } = exam.servers[side];
    if (version < OLDEST) {
      findings.push({
        ...about("server_version", "blocker", side),
        sentence: `${sideName(side)} is PostgreSQL ${Math.floor(version / 10_000)}; the oldest supported is 14`,
      });
    }
    const [row] = await exam[side]("SELECT pg_catalog.pg_is_in_recovery()");
    if (row?.[0] === "t") {
      findings.push({
        ...about("standby", "blocker", side),
        sentence: `${sideName(side)} is a standby: nothing can be created there; name its primary`,
        cure: { at: "configuration", lines: [`${side}: { admin: "postgres://…@PRIMARY/…" }`] },
      });
    }
    return findings;
  });

/** Since PostgreSQL 9.5. */
const SETTING = "SELECT pg_catalog.current_setting($1, true)";

/** Slots of both kinds share `max_replication_slots`; origins too, before PostgreSQL 18. Since 10. */
const USED = `
  SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots),
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.backend_type = 'walsender'),
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots AS s
      WHERE s.slot_name LIKE 'twinwire\\_%' AND s.database = pg_catalog.current_database()),
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_origin)`;

/** Streams run both ways from the beginning, so that either side needs all of it. */
export const logicalDecoding: Check = (exam) =>
  onBothSides(async (side) => {
    const level = await setting(exam, side, "wal_level");
    const [row] = await exam[side](USED);
    const [slots, senders, ours, origins] = texts(row ?? [], 4).map(Number);
    const findings: Finding[] = [];
    if (level !== "logical") {
      const why = side === "new" ? ", for the way back" : "";
      findings.push({
        ...about("wal_level", "blocker", side),
        sentence: `wal_level of ${sideName(side)} is ${level}; reading its changes${why} needs logical`,
        cure: alter(side, "wal_level", "logical", "restart"),
      });
    }
    const room = [
      { name: "max_replication_slots", used: slots ?? 0, needs: (ours ?? 0) > 0 ? 0 : 1 },
      { name: "max_wal_senders", used: senders ?? 0, needs: 1 },
      exam.servers[side].version >= 180_000
        ? { name: "max_active_replication_origins", used: origins ?? 0, needs: 1 }
        : { name: "max_replication_slots", used: origins ?? 0, needs: 1 },
    ];
    for (const { name, used, needs } of room) {
      const limit = Number(await setting(exam, side, name));
      if (used + needs <= limit || findings.some(({ subject }) => subject === name)) continue;
      findings.push({
        ...about("room", "blocker", side, name),
        sentence: `${name} of ${sideName(side)} is ${limit} and all are in use`,
        cure: alter(side, name, String(used + 4), "restart"),
      });
    }
    return findings;
  });

/** What the server itself does with a slot that falls behind. */
export const slotLimits: Check = (exam) =>
  onBothSides(async (side) => {
    const findings: Finding[] = [];
    const [row] = await exam[side](
      "SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'max_slot_wal_keep_size'",
    );
    const keepMb = Number(row?.[0] ?? "-1");
    const budgetMb = Math.ceil(exam.walBudgetBytes / 1024 ** 2);
    const cure = alter(side, "max_slot_wal_keep_size", `${budgetMb + 1024}MB`, "reload");
    if (keepMb < 0) {
      findings.push({
        ...about("max_slot_wal_keep_size", side === "old" ? "warning" : "note", side),
        sentence: `${sideName(side)} keeps WAL for a slot without limit; Twinwire stops at its budget, but only while it runs`,
        cure,
      });
    } else if (keepMb < budgetMb) {
      findings.push({
        ...about("max_slot_wal_keep_size", "warning", side),
        sentence: `${sideName(side)} gives a slot up at ${bytesInWords(keepMb * 1024 ** 2)}, before the budget of ${bytesInWords(exam.walBudgetBytes)} is reached`,
        cure,
      });
    }
    const idle = await setting(exam, side, "idle_replication_slot_timeout");
    if (idle !== "" && !idle.startsWith("0")) {
      findings.push({
        ...about("idle_replication_slot_timeout", "warning", side),
        sentence: `${sideName(side)} gives up a slot that nobody reads for ${idle}: an outage of Twinwire may not last longer`,
        cure: alter(side, "idle_replication_slot_timeout", "0", "reload"),
      });
    }
    return findings;
  });

const LOOK_APART_MS = 1000;
const SHORT_SECONDS = 3600;

/** Two looks a second apart tell how long the budget would last if nobody read. */
export const walRate: Check = async (exam) => {
  const look = async (): Promise<number> => {
    const [row] = await exam.old("SELECT pg_catalog.pg_current_wal_lsn() - '0/0'::pg_lsn");
    return Number(row?.[0] ?? 0);
  };
  const before = await look();
  await exam.sleep(LOOK_APART_MS);
  const perSecond = ((await look()) - before) / (LOOK_APART_MS / 1000);
  const size = exam.servers.old.databaseBytes;
  const findings: Finding[] = [
    {
      ...about("disk", "note", "old"),
      sentence: `the database takes ${bytesInWords(size)} on OLD; NEW needs about as much, and as much again for its WAL while it is filled; free space cannot be asked by SQL`,
    },
  ];
  if (perSecond <= 0) return findings;
  const seconds = exam.walBudgetBytes / perSecond;
  const isShort = seconds < SHORT_SECONDS;
  findings.push({
    ...about("wal_budget", isShort ? "warning" : "note", "old"),
    sentence: `OLD writes WAL at ${bytesInWords(perSecond)}/s: unread, the budget of ${bytesInWords(exam.walBudgetBytes)} lasts ${durationInWords(seconds)}`,
    cure: isShort
      ? {
          at: "configuration",
          lines: [
            `replication: { wal_budget: ${Math.ceil((perSecond * 4 * SHORT_SECONDS) / 1024 ** 3)}GiB }`,
          ],
        }
      : undefined,
  });
  return findings;
};

function alter(
  side: DoctorSide,
  name: string,
  value: string,
  needs: "restart" | "reload",
): NonNullable<Finding["cure"]> {
  const lines = [`ALTER SYSTEM SET ${name} = '${value}'`];
  if (needs === "reload") lines.push("SELECT pg_catalog.pg_reload_conf()");
  return { at: side, lines, afterwards: needs === "restart" ? "restart" : undefined };
}

async function setting(exam: Exam, side: DoctorSide, name: string): Promise<string> {
  const [row] = await exam[side](SETTING, [name]);
  return row?.[0] ?? "";
}
