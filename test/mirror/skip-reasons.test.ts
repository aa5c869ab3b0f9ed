import t from "tap";
import { startMirrored } from "./mirrored.ts";
import { startTwoSides } from "./two-sides.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
const twinwire = await startMirrored(sides);
t.teardown(() => twinwire.stop());
const c = await twinwire.client();
console.log((await c.query("select 1")).rows);
console.log(JSON.stringify(await twinwire.judged(), null, 1));
console.log(twinwire.log());
