import type { Observation } from "../../compare/observation.ts";
import type { Barrier, HeldShadow } from "./barrier.ts";
import type { RecheckDeps } from "./recheck-deps.ts";
import type { RecheckSession } from "./recheck-session.ts";

/** With so many snapshots it is tried to bring a held shadow to one. */
const MOST_SNAPSHOTS = 3;

type Deps = Pick<RecheckDeps, "position" | "patienceMs">;
/** @param goThere has the shadow stand at the snapshot that the answer is of @returns undefined to be given a later answer */
type Look<T> = (answer: Observation, goThere: () => Promise<boolean>) => Promise<T | undefined>;

/**
 * Holds the shadow and asks the primary in one snapshot.
 * @returns what was found at a snapshot; undefined when the shadow could not be brought to one, or did not stand until the end
 */
export async function atBarrier<T>(
  barrier: Barrier,
  primary: RecheckSession,
  deps: Deps,
  look: Look<T>,
): Promise<T | undefined> {
  const signal = AbortSignal.timeout(deps.patienceMs);
  const held = await barrier.hold(signal);
  if (held === undefined) return undefined;
  let found: T | undefined;
  let hasStood = false;
  try {
    for (let tried = 0; tried < MOST_SNAPSHOTS && found === undefined; tried++)
      found = await lookOnce(held, primary, deps, signal, look);
  } finally {
    hasStood = await held.release();
  }
  return hasStood ? found : undefined;
}

async function lookOnce<T>(
  held: HeldShadow,
  primary: RecheckSession,
  { position }: Deps,
  signal: AbortSignal,
  look: Look<T>,
): Promise<T | undefined> {
  await primary.begin();
  const sees = await primary.visible();
  const answer = await primary.ask();
  await primary.finish();
  return await look(answer, async () =>
    held.goTo({ sees, position: await position.here() }, signal),
  );
}
