import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import { streamNames } from "../../replication/names.ts";
import { ShadowPosition } from "../../mirror/shadow-position.ts";
import type { Side } from "../../routing/side.ts";
import { otherSide } from "../../routing/side.ts";
import type { AdminClient } from "../../upstream/admin-client.ts";
import { openAdminClient } from "../../upstream/admin-client.ts";
import {
  findReplicationSource,
  readAppliedPosition,
  readPrimaryPosition,
} from "../../upstream/positions.ts";
import type { ReplicationSource } from "../../upstream/positions.ts";
import { formatPosition } from "../../wire/position.ts";
import type { Lsn } from "../../wire/position.ts";
import type { MigrationSettings } from "./migration-settings.ts";

/** A query about a position that takes longer is of no use any more. */
const LIMITS = { connectTimeoutMs: 5_000, statementTimeoutMs: 5_000 };
/** How the shadow comes by its rows is looked up again so often. */
const LOOK_MS = 10_000;
/** Until all tables are copied it is looked more often. */
const COPYING_LOOK_MS = 1_000;

type PositionParts = { readonly clock: Clock; readonly primary: () => Side };

/** How far the shadow of a migration is, asked on connections that are used for nothing else. */
export function openPosition(
  settings: MigrationSettings,
  { clock, primary }: PositionParts,
): ShadowPosition {
  const adminOf = (side: Side): AdminClient => {
    const { url, admin } = settings.config()[side];
    return openAdminClient(admin ?? url, LIMITS, { random: randomBytes });
  };
  const admins = { old: adminOf("old"), new: adminOf("new") };
  let known: { source: ReplicationSource; side: Side; atMs: number } | undefined;
  const sourceOf = async (side: Side): Promise<ReplicationSource> => {
    const nowMs = clock.monotonicMs();
    const lookMs = known?.source.kind === "copying" ? COPYING_LOOK_MS : LOOK_MS;
    if (known?.side === side && nowMs - known.atMs < lookMs) return known.source;
    const direction = side === "new" ? "forward" : "reverse";
    const { stream } = streamNames(settings.config().name, direction);
    const source = await findReplicationSource(admins[side], stream);
    known = { source, side, atMs: nowMs };
    return source;
  };
  return new ShadowPosition({
    clock,
    primary: () => readPrimaryPosition(admins[primary()]),
    sleep: (ms) => sleep(ms),
    applied: async () => {
      const side = otherSide(primary());
      const source = await sourceOf(side);
      return readAppliedPosition(source, admins[otherSide(side)], admins[side]);
    },
    closed: () => void Promise.allSettled([admins.old.close(), admins.new.close()]),
  });
}

/** Both positions as last seen, as the databases print them. */
export function positionTexts(position: ShadowPosition): RecordedExchange["positions"] {
  const text = (lsn: Lsn | undefined): string | null =>
    lsn === undefined ? null : formatPosition({ kind: "lsn", lsn });
  return { primary: text(position.primary), shadow: text(position.applied) };
}
