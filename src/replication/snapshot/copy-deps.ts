import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import type { Applier } from "../apply/applier.ts";
import type { WriteRows } from "../apply/row-writer.ts";
import type { CopyThrottle } from "./copy-throttle.ts";
import type { CopyState } from "./open-copy-state.ts";

export type CopyDeps = {
  readonly state: CopyState;
  openSource(): Promise<WorkSession>;
  openTarget(): Promise<WorkSession>;
  /** Of the same stream; it may copy nothing while it is held. */
  readonly applier: Pick<Applier, "between">;
  readonly writeRows: WriteRows;
  readonly throttle: CopyThrottle;
  /** Of the source's disk, about. */
  readonly chunkBytes: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
};
