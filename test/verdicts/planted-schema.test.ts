/** What is wrong with NEW's schema, settings and, where writes are rehearsed, with how it takes them. */
import { CAN_REHEARSE, findFaults } from "./find-faults.ts";
import { SCHEMA_FAULTS } from "./schema-faults.ts";
import { SETTING_FAULTS } from "./setting-faults.ts";
import { WRITE_FAULTS } from "./write-faults.ts";

await findFaults([...SCHEMA_FAULTS, ...SETTING_FAULTS, ...(CAN_REHEARSE ? WRITE_FAULTS : [])]);
