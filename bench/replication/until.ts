import { setTimeout as delay } from "node:timers/promises";

const LOOK_AGAIN_MS = 10;
const DEADLINE_MS = 120_000;

/** Until it holds, to ten milliseconds. @throws after two minutes */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("what is measured does not come to its end");
    await delay(LOOK_AGAIN_MS);
  }
}
