import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { openComparer } from "../../compare/compare.ts";
import { openReplyDigester } from "../../compare/reply-digester.ts";
import type { MigrationConfig } from "../../config/config.ts";
import { withLiveEntries } from "../../config/reload.ts";
import type { ControlStore } from "../../control/control-store.ts";
import type { ReplicationRecord } from "../../control/replication-record.ts";
import type { VerificationRecord } from "../../control/verification-record.ts";
import type { Conductor } from "../../cutover/conductor.ts";
import { openConductor, recoverRoute } from "../../cutover/conductor.ts";
import type { MigrationMirror } from "../../mirror/migration-mirror.ts";
import type { ShadowPosition } from "../../mirror/shadow-position.ts";
import type { Listener } from "../../proxy/listener.ts";
import type { Side } from "../../routing/side.ts";
import { otherSide } from "../../routing/side.ts";
import type { Analyser } from "../../sql/analyser.ts";
import type { Replicator } from "../replication/supervisor.ts";
import type { Catalogues } from "./catalogues.ts";
import type { Clients } from "./clients.ts";
import { openClients } from "./clients.ts";
import type { MigrationRecord } from "./migration-record.ts";
import type { MigrationSettings } from "./migration-settings.ts";
import { openSettings } from "./migration-settings.ts";
import { readinessFacts } from "./migration-status.ts";
import { openMirrorParts } from "./mirror-parts.ts";
import { openPosition } from "./open-position.ts";
import type { Rechecks } from "./rechecks.ts";
import { openRechecks } from "./rechecks.ts";
import { compareKnowing, openRelationKnowledge } from "./relation-knowledge.ts";
import type { RuleBook } from "./rule-book.ts";
import { openRuleBook } from "./rule-book.ts";
import { openReplication } from "./open-replication.ts";
import type { ManagedReplication } from "./open-replication.ts";
import { barrierOf } from "./replication-port.ts";
import type { TrafficNumbers } from "./traffic-numbers.ts";
import { openTrafficNumbers } from "./traffic-numbers.ts";
import type { Upstreams } from "./upstreams.ts";
import { openUpstreams } from "./upstreams.ts";

/** Everything of one migration that runs. */
export type Migration = Pick<Clients, "sessions" | "relays"> & {
  readonly name: string;
  readonly settings: MigrationSettings;
  readonly catalogues: Catalogues;
  readonly mirror: MigrationMirror;
  readonly position: ShadowPosition;
  readonly rechecks: Rechecks;
  readonly record: MigrationRecord;
  readonly rules: RuleBook;
  readonly conductor: Conductor;
  readonly numbers: TrafficNumbers;
  readonly listener: Listener;
  /** undefined where someone else replicates. */
  readonly replicator: Replicator | undefined;
  /** Takes over what can change while sessions run. */
  reload(config: MigrationConfig): void;
  /** Stops taking clients, lets open transactions end until the deadline, and ends the rest. */
  drain(deadlineMs: number, giveUp: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

export type MigrationDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly analyser: Analyser;
  readonly control: ControlStore;
  readonly openRecord: (settings: MigrationSettings) => MigrationRecord;
  readonly openReplicationRecord: (migration: string) => ReplicationRecord;
  readonly openVerificationRecord: (migration: string) => VerificationRecord;
  /** Where replication keeps what does not fit in memory. */
  readonly replicationFolder: string;
  readonly nextSession: () => number;
  readonly loginSecret: Uint8Array;
};

const TIME_CHECK_MS = 100;
const DRAIN_POLL_MS = 20;
/** Tables stay noted so long after their last write, which keeps noting off the busy path. */
const OWED_CHECK_MS = 5_000;

export async function openMigration(
  first: MigrationConfig,
  deps: MigrationDeps,
): Promise<Migration> {
  const { clock, control } = deps;
  const { name } = first;
  const log = deps.log.child({ migration: name });
  const settings = openSettings(first, Math.random);
  let replicator: Replicator | undefined;
  let { primary } = await recoverRoute({ migration: name, store: control, clock });
  const parts = openParts(
    settings,
    { ...deps, log },
    () => primary,
    () => replicator,
    (side) => {
      const { sequences, activity } = parts.mirror.rehearsals;
      sequences.forget();
      activity.restart(clock.monotonicMs());
      // What still waits of clients that are gone was answered by the sides as they were.
      for (const shadow of parts.mirror.live) shadow.close();
      primary = side;
      parts.mirror.health.forget();
      parts.position.forget();
    },
  );
  const { record, clients } = parts;
  const conductor = await openConductor({
    migration: name,
    store: control,
    traffic: clients.traffic,
    clock,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }),
    log,
    newId: randomUUID,
    facts: () => readinessFacts(migration),
    maxPauseMs: () => settings.config().cutover.maxPauseMs,
    onEvent: (event) => {
      record.announce(event);
      const { pauseMs } = event.detail;
      if (event.type === "attempt" && typeof pauseMs === "number") parts.numbers.paused(pauseMs);
    },
  });
  await Promise.all([parts.upstreams.catalogues.ready, parts.position.ready]);
  void parts.rules.checkNames();
  const listener = await clients.listen(first.listen, first.old.url.database);
  const replication = openReplication(settings, { ...deps, log }, parts);
  replicator = replication?.replicator;
  const migration = migrationOf(settings, parts, { conductor, listener, replication }, clock);
  return migration;
}

const LOGIN_REFUSED = "the shadow refused a login, so nothing of it is compared";
const SEQUENCE_NOT_KEPT =
  "a sequence of the shadow could not be set back after a rehearsal, so a gap is left in it";

type Parts = {
  readonly record: MigrationRecord;
  readonly rules: RuleBook;
  readonly numbers: TrafficNumbers;
  readonly upstreams: Upstreams;
  readonly position: ShadowPosition;
  readonly rechecks: Rechecks;
  readonly mirror: MigrationMirror;
  readonly clients: Clients;
};

function openParts(
  settings: MigrationSettings,
  deps: MigrationDeps,
  primary: () => Side,
  replicator: () => Replicator | undefined,
  setPrimary: (side: Side) => void,
): Parts {
  const { clock, log } = deps;
  const record = deps.openRecord(settings);
  const numbers = openTrafficNumbers(primary);
  const functionsChanged = (): void => mirror.facts.forget();
  const upstreams = openUpstreams(settings, { ...deps, functionsChanged });
  const { sides, catalogues } = upstreams;
  const rules = openRules(settings, record, upstreams, deps);
  const shared = {
    clock,
    log,
    settings,
    catalogues,
    position: openPosition(settings, { clock, primary }),
    primary,
    compare: compareKnowing(openComparer(), (statement) => mirror.facts.of(statement).known),
    newDigester: () => openReplyDigester(),
  };
  const rechecks = openRechecks({
    ...shared,
    sides,
    barrier: (side) => (side === "old" ? barrierOf(replicator()) : undefined),
    recordPlans: record.verdicts.plans,
    credentialsOf: (user) => clients.credentialsOf(user),
  });
  const mirror = openMirrorParts({
    ...shared,
    rechecks,
    random: Math.random,
    relations: openRelationKnowledge(deps.analyser, catalogues.relationsOf),
    recorder: record.verdicts,
    drifted: record.drifted,
    noteOwed: (tables) => record.owed.note(tables),
    dial: (side, startup, own) => sides.dial(side, startup, own),
    cancel: (side, server) => void sides.cancel(side, server),
    ask: (side, sql, values) => upstreams.ask(side, sql, values),
    sequenceNotKept: (error) => log.warn({ error: messageOf(error) }, SEQUENCE_NOT_KEPT),
    ruleApplied: ({ name }) => record.verdicts.madeRules.applied(name),
    shadowAnswered: (elapsedMs) => numbers.latency[otherSide(primary())].record(elapsedMs),
    refused: (user, sqlstate) => log.warn({ user, sqlstate }, LOGIN_REFUSED),
  });
  const clients = openClients({
    ...deps,
    settings,
    upstreams,
    mirror,
    numbers,
    primary,
    setPrimary,
  });
  return { ...shared, record, rules, numbers, upstreams, rechecks, mirror, clients };
}

function openRules(
  settings: MigrationSettings,
  { verdicts }: MigrationRecord,
  { readKnownNames }: Upstreams,
  { clock, log }: MigrationDeps,
): RuleBook {
  return openRuleBook({ settings, verdicts, clock, log, readKnownNames });
}

/** What is there once the sides are known and clients may come. */
type Opened = {
  readonly conductor: Conductor;
  readonly listener: Listener;
  readonly replication: ManagedReplication | undefined;
};

function migrationOf(
  settings: MigrationSettings,
  parts: Parts,
  { conductor, listener, replication }: Opened,
  clock: Clock,
): Migration {
  const { record, rules, numbers, upstreams, position, rechecks, mirror, clients } = parts;
  const { sessions, relays } = clients;
  const timeCheck = checkTimes(mirror, clock);
  const forgetOwed = (): void => {
    if (mirror.order.idle) record.owed.clear();
  };
  const owedCheck = setInterval(forgetOwed, OWED_CHECK_MS).unref();
  return {
    name: settings.config().name,
    settings,
    catalogues: upstreams.catalogues,
    mirror,
    position,
    rechecks,
    record,
    rules,
    conductor,
    sessions,
    relays,
    numbers,
    listener,
    replicator: replication?.replicator,
    reload(config) {
      settings.replace(withLiveEntries(settings.config(), config));
      rules.reloaded();
    },
    async drain(deadlineMs, giveUp) {
      listener.stop();
      await conductor.close();
      clients.hold();
      const late = (): boolean => giveUp.aborted || clock.monotonicMs() >= deadlineMs;
      while (!endQuiet(clients, late())) await sleep(DRAIN_POLL_MS);
      // What clients have committed is still owed to the shadow.
      while (mirror.live.size > 0 && !late()) await sleep(DRAIN_POLL_MS);
    },
    async close() {
      clearInterval(timeCheck);
      clearInterval(owedCheck);
      forgetOwed();
      for (const shadow of mirror.live) shadow.close();
      await replication?.close();
      await mirror.rehearsals.sequences.close();
      rechecks.close();
      position.close();
      await conductor.close();
      await upstreams.close();
      record.close();
    },
  };
}

/** Ends shadow statements that have taken too long. */
function checkTimes({ live }: MigrationMirror, clock: Clock): NodeJS.Timeout {
  const timer = setInterval(() => {
    const nowMs = clock.monotonicMs();
    for (const shadow of live) shadow.checkTime(nowMs);
  }, TIME_CHECK_MS);
  return timer.unref();
}

/** @returns whether no client is left */
function endQuiet({ sessions, relays }: Clients, late: boolean): boolean {
  for (const session of sessions) if (late || session.quiet) session.end(SHUTTING_DOWN);
  for (const relay of relays) relay.end(SHUTTING_DOWN);
  return sessions.size === 0;
}

const SHUTTING_DOWN = {
  severity: "FATAL",
  sqlstate: "57P01",
  message: "terminating connection due to administrator command",
  detail: "Twinwire is shutting down.",
} as const;
