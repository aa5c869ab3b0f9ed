/** A process that copies and applies until it is killed; its only argument is `CopyingOptions` as JSON. */
import process from "node:process";
import { openCopying } from "./copying.ts";
import type { CopyingOptions } from "./copying.ts";

const copying = await openCopying(JSON.parse(process.argv[2] ?? "{}") as CopyingOptions);
await copying.settle();
process.stdout.write("settled\n");
await copying.close();
