/** Rows of NEW that are missing, extra, stale, doubled or in another order. */
import { findFaults } from "./find-faults.ts";
import { ROW_FAULTS } from "./row-faults.ts";

await findFaults(ROW_FAULTS);
