/** `npm run soak`: 200,000 exchanges of TPC-B and a read mix over a NEW that lags; ends with 1 if anything was called a divergence. */
import process from "node:process";
import { figures, runUnderLoad } from "./under-load.ts";

const MIRRORED = 200_000;

const run = await runUnderLoad(MIRRORED);
console.log(figures(run).join("\n"));
const { divergent } = run.status.verdicts;
if (run.apart > 0) console.log("NEW does not hold what OLD holds: this run proves nothing");
const precise = divergent === 0 && run.divergences.length === 0 && run.apart === 0;
console.log(`precision: ${divergent} false alarms in ${run.status.exchanges.mirrored} exchanges`);
process.exitCode = precise ? 0 : 1;
