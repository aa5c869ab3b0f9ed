import { setTimeout as sleep } from "node:timers/promises";
import type { AttemptItem, ShadowStatus } from "../admin/ports.ts";
import { printJson } from "./command.ts";
import type { Session } from "./command.ts";
import { CommandError, EXIT } from "./exit.ts";
import type { Terminal } from "./terminal.ts";
import { percent } from "./words.ts";

/** Moves the traffic to a side, whatever replicates. */
export function routeTo(session: Session, side: string | undefined): Promise<number> {
  return begin(session, "route", { primary: side });
}

/** Begins `cutover`, `rollback` or `abort` and follows it to its end. */
export function verb(
  name: "cutover" | "rollback" | "abort",
): (session: Session) => Promise<number> {
  return (session) => begin(session, name);
}

export async function setShadow(
  { terminal, client, json, migration }: Session,
  state: string | undefined,
  { sample }: { readonly sample?: number },
): Promise<number> {
  if (state === undefined && sample === undefined) {
    throw new CommandError("say on, off, or --sample with a share from 0 to 1", EXIT.usage);
  }
  const shadow = await client.post<ShadowStatus>(`${migration}/shadow`, {
    ...(state === undefined ? {} : { enabled: state === "on" }),
    ...(sample === undefined ? {} : { sample }),
  });
  if (json) printJson(terminal, shadow);
  else terminal.out(`shadow ${shadow.state}, ${percent(shadow.sample, 1)} of the transactions\n`);
  return EXIT.fine;
}

async function begin(session: Session, name: string, body?: object): Promise<number> {
  const { terminal, client, json, migration } = session;
  const begun = await client.post<AttemptItem>(`${migration}/${name}`, body);
  const ended = await follow(session, begun);
  if (json) printJson(terminal, ended);
  else terminal.out(`${outcome(ended)}\n`);
  return ended.state === "succeeded" || name === "abort" ? EXIT.fine : EXIT.failed;
}

/** Asks for the attempt until it has ended, printing each step of its timeline once, as it comes. */
async function follow(
  { terminal, client, json, migration }: Session,
  begun: AttemptItem,
): Promise<AttemptItem> {
  const path = `${migration}/attempts/${encodeURIComponent(begun.id)}`;
  const since = Date.now();
  let attempt = begun;
  let printed = 0;
  for (;;) {
    if (terminal.interactive) terminal.err("\r\u001B[K");
    for (const step of json ? [] : attempt.timeline.slice(printed)) terminal.out(stepLine(step));
    printed = attempt.timeline.length;
    if (attempt.state !== "running") return attempt;
    if (terminal.interactive) terminal.err(progress(terminal, attempt, Date.now() - since));
    await sleep(POLL_MS);
    attempt = await client.get<AttemptItem>(path);
  }
}

const POLL_MS = 100;
const SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

function stepLine(step: AttemptItem["timeline"][number]): string {
  const at = `${step.atMs.toFixed(0)} ms`.padStart(9);
  const took = `${step.tookMs.toFixed(1)} ms`.padStart(10);
  return `${at}  ${step.step.padEnd(10)} ${took}  ${step.detail}`.trimEnd() + "\n";
}

function progress({ colors }: Terminal, attempt: AttemptItem, elapsedMs: number): string {
  const frame = SPINNER.charAt(Math.floor(elapsedMs / POLL_MS) % SPINNER.length);
  const doing = attempt.timeline.at(-1)?.step ?? "begun";
  return colors.dim(`${frame} ${attempt.verb}: ${doing}, ${(elapsedMs / 1000).toFixed(1)} s`);
}

function outcome({ verb: name, state, pauseMs, outcome: text }: AttemptItem): string {
  const pause = pauseMs === undefined ? "" : `, clients waited ${pauseMs.toFixed(0)} ms`;
  return `${name} ${state}${pause}${text === undefined ? "" : `: ${text}`}`;
}
