/** Killed at any moment of reading and applying the log. */
import { FAILPOINTS } from "../../src/replication/failpoints.ts";
import { killAtEach } from "./killed-replication.ts";

await killAtEach(FAILPOINTS.filter((each) => /^(stream|apply)/.test(each)));
