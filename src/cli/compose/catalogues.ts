import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { CompareContext } from "../../compare/context.ts";
import { otherSide } from "../../routing/side.ts";
import type { Side } from "../../routing/side.ts";
import type { FunctionCatalogue } from "../../sql/analysis.ts";
import type { TableCatalogue } from "../../upstream/table-catalogue.ts";
import type { Catalogue } from "../../upstream/catalogue.ts";
import type { Relations } from "../../upstream/relations.ts";

/** What is known of both sides' functions and types, read again now and then. */
export type Catalogues = {
  readonly functions: FunctionCatalogue;
  /** What a comparison needs to know of both sides' types while this side is primary. */
  typesWith(primary: Side): TypesOfBoth;
  /** Undefined until they have been read, and where nobody needs them. */
  tablesOf(side: Side): TableCatalogue | undefined;
  /** Undefined until the side's catalogue was read. */
  relationsOf(side: Side): Relations | undefined;
  /** Whether the side answered when it was last asked. */
  reachable(side: Side): { readonly reachable: boolean; readonly detail: string };
  /** Reads a side's catalogue now. @throws CodedError when it does not answer */
  refresh(side: Side): Promise<void>;
  /** The first try of both sides is over. */
  readonly ready: Promise<void>;
  close(): void;
};

type TypesOfBoth = Pick<
  CompareContext,
  "primaryTypes" | "shadowTypes" | "primaryShapes" | "shadowShapes"
>;

type CataloguesDeps = {
  readonly read: (side: Side) => Promise<KnownCatalogue>;
  /** Asks the side for a sign of life. */
  readonly ping: (side: Side) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Functions or relations may have changed: what was worked out from them is out of date. */
  readonly changed: () => void;
};

/** With its tables, where writes are rehearsed. */
type KnownCatalogue = Catalogue & { readonly tables: TableCatalogue | undefined };

const REFRESH_MS = 60_000;
/** A side that is gone must not be shown as reachable for long. */
const PING_MS = 2_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 5_000;

type Known = {
  catalogue: KnownCatalogue | undefined;
  failure: string | undefined;
  /** When the catalogue was read. */
  readAtMs: number;
};
const UNKNOWN: Known = { catalogue: undefined, failure: "not asked yet", readAtMs: 0 };

export function openCatalogues(deps: CataloguesDeps): Catalogues {
  const known: Record<Side, Known> = { old: { ...UNKNOWN }, new: { ...UNKNOWN } };
  const timers = new Map<Side, NodeJS.Timeout>();
  let closed = false;
  const refresh = async (side: Side): Promise<void> => {
    try {
      const catalogue = await deps.read(side);
      const before = known[side].catalogue;
      known[side] = { catalogue, failure: undefined, readAtMs: deps.clock.monotonicMs() };
      if (!sameFunctions(before, catalogue) || !sameRelations(before, catalogue)) deps.changed();
    } catch (error) {
      const failure = messageOf(error);
      if (known[side].failure !== failure) {
        deps.log.warn({ side, error: failure }, "a side's catalogue could not be read");
      }
      known[side].failure = failure;
      throw error;
    }
  };
  /** Reads the catalogue when it is due, and else only asks whether the side is there. */
  const look = async (side: Side): Promise<void> => {
    const { failure, readAtMs } = known[side];
    const isFresh = deps.clock.monotonicMs() - readAtMs < REFRESH_MS;
    if (failure === undefined && isFresh && (await answers(side))) return;
    await refresh(side);
  };
  const answers = (side: Side): Promise<boolean> =>
    deps.ping(side).then(
      () => true,
      () => false,
    );
  const follow = async (side: Side, backoff: Backoff): Promise<void> => {
    let waitMs = PING_MS;
    try {
      await look(side);
      backoff.reset();
    } catch {
      // Logged already; the side may come back.
      waitMs = backoff.nextMs();
    }
    if (closed) return;
    const timer = setTimeout(() => void follow(side, backoff), waitMs);
    timer.unref();
    timers.set(side, timer);
  };
  const begin = (side: Side): Promise<void> =>
    follow(side, new Backoff(FIRST_RETRY_MS, LAST_RETRY_MS, deps.random));
  return {
    functions: { isVolatile: (name) => isVolatile(known, name) },
    typesWith: (primary) => typesWith(known, primary),
    tablesOf: (side) => known[side].catalogue?.tables,
    relationsOf: (side) => known[side].catalogue?.relations,
    reachable: (side) => reachability(known[side]),
    refresh,
    ready: Promise.all([begin("old"), begin("new")]).then(() => undefined),
    close: () => {
      closed = true;
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}

function reachability({ failure }: Known): ReturnType<Catalogues["reachable"]> {
  return { reachable: failure === undefined, detail: failure ?? "" };
}

function typesWith(known: Record<Side, Known>, primary: Side): TypesOfBoth {
  const shadow = otherSide(primary);
  return {
    primaryTypes: (oid) => known[primary].catalogue?.typeNames.get(oid),
    shadowTypes: (oid) => known[shadow].catalogue?.typeNames.get(oid),
    primaryShapes: (oid) => known[primary].catalogue?.typeShapes.get(oid),
    shadowShapes: (oid) => known[shadow].catalogue?.typeShapes.get(oid),
  };
}

/** As long as nothing is known of either side every function may be volatile. */
function isVolatile({ old: first, new: second }: Record<Side, Known>, name: string): boolean {
  if (first.catalogue === undefined && second.catalogue === undefined) return true;
  return [first, second].some((side) => side.catalogue?.volatileFunctions.has(name) === true);
}

function sameRelations(before: Catalogue | undefined, after: Catalogue): boolean {
  return before?.relations.digest === after.relations.digest;
}

function sameFunctions(before: Catalogue | undefined, after: Catalogue): boolean {
  if (before === undefined) return false;
  if (before.volatileFunctions.size !== after.volatileFunctions.size) return false;
  for (const name of after.volatileFunctions) {
    if (!before.volatileFunctions.has(name)) return false;
  }
  return true;
}
