/**
 * Precision under load: NEW is right, but 200 ms behind, and rows are written all the time. Nothing of that may be called a
 * divergence; `npm run soak` does the same with 200,000 exchanges.
 */
import t from "tap";
import { figures, runUnderLoad } from "../under-load.ts";

const MIRRORED = 12_000;

const run = await runUnderLoad(MIRRORED);
for (const line of figures(run)) t.comment(`figure: ${line}`);
t.equal(run.apart, 0, "NEW holds what OLD holds");
t.same(run.divergences, [], "no divergence");
t.equal(run.status.verdicts.divergent, 0);
t.ok(run.status.exchanges.mirrored >= MIRRORED);
t.ok((run.status.incomparable["transient"] ?? 0) > 0, "what the lag caused is called transient");
