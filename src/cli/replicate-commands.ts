import { setTimeout as sleep } from "node:timers/promises";
import type { ReplicationItem, ReplicationStream } from "../admin/ports.ts";
import { bytesInWords, durationInWords } from "../replication/words.ts";
import { printJson } from "./command.ts";
import type { Session } from "./command.ts";
import { EXIT } from "./exit.ts";
import { facts, table } from "./table.ts";
import { count, milliseconds, percent } from "./words.ts";

const POLL_MS = 200;
/** Away from a terminal a line so often. */
const PLAIN_MS = 5_000;
const BAR_WIDTH = 30;

/** Starts replication and follows it until NEW is in step, unless told not to wait. */
export async function startReplication(
  session: Session,
  _argument: string | undefined,
  { wait = true }: { readonly wait?: boolean },
): Promise<number> {
  const { terminal, client, json, migration } = session;
  const begun = await client.post<ReplicationItem>(`${migration}/replication/start`);
  const item = wait ? await follow(session, begun) : begun;
  if (json) printJson(terminal, item);
  else terminal.out(replicationText(item, terminal.columns));
  return item.phase === "failed" ? EXIT.failed : EXIT.fine;
}

export async function stopReplication(session: Session): Promise<number> {
  const { terminal, client, json, migration } = session;
  const item = await client.post<ReplicationItem>(`${migration}/replication/stop`);
  if (json) printJson(terminal, item);
  else terminal.out("stopped; what it has made stays, so that it can go on\n");
  return EXIT.fine;
}

/** @returns 1 when it stopped by itself. */
export async function printReplication(session: Session): Promise<number> {
  const { terminal, client, json, migration } = session;
  const item = await client.get<ReplicationItem>(`${migration}/replication`);
  if (json) printJson(terminal, item);
  else terminal.out(replicationText(item, terminal.columns));
  return item.phase === "failed" ? EXIT.failed : EXIT.fine;
}

/** Until it is in step or has stopped. Ctrl-C leaves it running. */
async function follow(
  { terminal, client, json, migration }: Session,
  begun: ReplicationItem,
): Promise<ReplicationItem> {
  let item = begun;
  let said = "";
  let saidAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const line = progressLine(item);
    const isOver = !item.wanted || item.phase === "streaming" || item.phase === "failed";
    if (terminal.interactive) terminal.err("\r\u001B[K");
    if (isOver) return item;
    if (terminal.interactive)
      terminal.err(terminal.colors.dim(line.slice(0, terminal.columns - 1)));
    else if (!json && line !== said && Date.now() - saidAt >= PLAIN_MS) {
      terminal.err(`${line}\n`);
      [said, saidAt] = [line, Date.now()];
    }
    await sleep(POLL_MS);
    item = await client.get<ReplicationItem>(`${migration}/replication`);
  }
}

function progressLine({ phase, detail, copy, forward }: ReplicationItem): string {
  if (phase !== "copying") {
    const lag = forward.lagBytes === null ? "" : `, ${bytesInWords(forward.lagBytes)} behind`;
    return `${phase}: ${detail}${lag}`;
  }
  const { rows, estimatedRows, rowsPerSecond, etaMs } = copy;
  const share = estimatedRows === 0 ? 0 : Math.min(1, rows / estimatedRows);
  const bar = "█".repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, "░");
  const left = etaMs === null ? "" : `, ${durationInWords(etaMs / 1000)} left`;
  const rate = `${count(Math.round(rowsPerSecond))} rows/s`;
  return `copying ${bar} ${percent(rows, Math.max(rows, estimatedRows))}, ${count(rows)} rows, ${rate}${left}`;
}

function replicationText(item: ReplicationItem, width: number): string {
  const { phase, detail, canGoBack, tables, warnings } = item;
  const head = facts(width, [
    ["replication", `${phase}: ${detail}`],
    ["OLD to NEW", streamText(item.forward)],
    ["NEW to OLD", streamText(item.reverse)],
    ["schema", SCHEMA[item.schema]],
    ["go back", canGoBack.ok ? "yes" : `no: ${canGoBack.reasons.join("; ")}`],
  ]);
  const rows = tables.map((each) => [
    each.source,
    each.target === each.source ? "" : each.target,
    each.state,
    `${each.chunksDone}/${each.chunks}`,
    count(each.rows),
    count(Math.round(each.estimatedRows)),
  ]);
  const list =
    rows.length === 0
      ? ""
      : `\n${table(
          [
            { head: "table", stretch: true },
            { head: "to", stretch: true },
            { head: "state" },
            { head: "chunks", align: "right" },
            { head: "rows", align: "right" },
            { head: "estimated", align: "right" },
          ],
          rows,
          width,
        )}`;
  return `${head}${list}${warnings.map((text) => `warning: ${text}\n`).join("")}`;
}

const SCHEMA = {
  unknown: "not looked at before every row is there",
  validated: "validated: NEW has OLD's indexes, constraints and triggers, and they are in force",
  incomplete: "incomplete: the warnings say what NEW lacks",
} as const;

function streamText(stream: ReplicationStream): string {
  const { state, position, lagBytes, lagMs, rows, retainedBytes, detail } = stream;
  if (state === "off") return "off";
  const { insert, update, delete: removed } = rows;
  return [
    state,
    position === null ? "" : `at ${position}`,
    lagBytes === null ? "" : `${bytesInWords(lagBytes)} behind`,
    lagMs === null ? "" : `${milliseconds(lagMs)} ms late`,
    `${count(insert + update + removed)} rows applied`,
    retainedBytes === null ? "" : `${bytesInWords(retainedBytes)} of log kept`,
    detail,
  ]
    .filter((part) => part !== "")
    .join(", ");
}
