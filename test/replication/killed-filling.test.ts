/** Killed at any moment of setting it up and of copying. */
import { FAILPOINTS } from "../../src/replication/failpoints.ts";
import { killAtEach } from "./killed-replication.ts";

await killAtEach(FAILPOINTS.filter((each) => /^(setup|snapshot)/.test(each)));
