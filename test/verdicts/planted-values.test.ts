/** Every family of values that may have gone wrong on the way to NEW. */
import { findFaults } from "./find-faults.ts";
import { VALUE_FAULTS } from "./value-faults.ts";

await findFaults(VALUE_FAULTS);
