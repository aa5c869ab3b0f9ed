import { createHash } from "node:crypto";

/** `forward` fills NEW from OLD, `reverse` OLD from NEW. */
export type Direction = "forward" | "reverse";

export const DIRECTIONS: readonly Direction[] = ["forward", "reverse"];

/** What belongs to one stream of a migration, in either database. */
export type StreamNames = {
  /** As in `twinwire.progress.stream`. */
  readonly stream: string;
  /** In the source. */
  readonly slot: string;
  readonly publication: string;
  /** In the target: replication origin of what is applied there. */
  readonly origin: string;
};

/** Everything that Twinwire makes inside a database stands in this schema or begins with this word. */
export const OWN_SCHEMA = "twinwire";

/** The longest name of a slot (`NAMEDATALEN`) less room for a direction. */
const MAX_STEM = 50;

/** Slots may be named with a-z, 0-9 and _ only; another character is replaced and the name kept apart by a digest. */
export function streamNames(migration: string, direction: Direction): StreamNames {
  const plain = migration.replace(/[^a-z0-9_]/g, "_");
  const isPlain = plain === migration && plain.length <= MAX_STEM - OWN_SCHEMA.length - 1;
  const digest = createHash("sha256").update(migration).digest("hex").slice(0, 8);
  const stem = isPlain ? plain : `${plain.slice(0, 30)}_${digest}`;
  const name = `${OWN_SCHEMA}_${stem}_${direction}`;
  return { stream: `${migration}.${direction}`, slot: name, publication: name, origin: name };
}
