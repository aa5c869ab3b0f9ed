import pg from "pg";
import type { Side } from "../../src/routing/side.ts";
import { DATABASE } from "../mirror/two-sides.ts";
import type { TwoSides } from "../mirror/two-sides.ts";

/** What makes the two sides differ: `both` first, then what one of them gets. */
type Planted = {
  readonly why: string;
  readonly both?: string;
  readonly old?: string;
  readonly new?: string;
};

/** Plants everything as superuser. @throws naming the kind: one that fails would look like a fault that is found. */
export async function plant(sides: TwoSides, kinds: readonly Planted[]): Promise<void> {
  await Promise.all([plantOn(sides, "old", kinds), plantOn(sides, "new", kinds)]);
}

async function plantOn(sides: TwoSides, side: Side, kinds: readonly Planted[]): Promise<void> {
  const client = new pg.Client(sides[side].url(DATABASE));
  await client.connect();
  try {
    for (const { why, both, [side]: own } of kinds) {
      const script = [both, own].filter((sql) => sql !== undefined).join(";\n");
      if (script === "") continue;
      await client.query(script).catch((cause: unknown) => {
        throw new Error(`planting failed on ${side}: ${why}`, { cause });
      });
    }
  } finally {
    await client.end();
  }
}
