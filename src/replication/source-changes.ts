import { CodedError } from "../base/errors.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import type { DdlOutcome, DdlPolicy, DdlWatch } from "./ddl/ddl-watch.ts";
import { openDdlWatch } from "./ddl/ddl-watch.ts";
import type { MappingInput } from "./mapping/mapping-input.ts";
import type { TableMapping } from "./mapping/row-program.ts";
import type { StreamNames } from "./names.ts";
import type { SourceRelation } from "./source/source-transaction.ts";
import { markOf } from "./mark.ts";

/** Tables have changed and the policy has dealt with it: a new run has to look at them anew. Nothing has failed. */
export class TablesChanged extends Error {}

/** A relation of another shape than was known: what it comes to is still being found out. */
export class RelationChanged extends Error {
  readonly outcome: Promise<DdlOutcome>;

  constructor(outcome: Promise<DdlOutcome>) {
    super("a table has another shape than it had");
    this.outcome = outcome;
    // Whoever catches it looks at what it comes to.
    outcome.catch(() => {});
  }
}

/** Ends a run where the tables of a stream's source change. */
export type SourceChanges = {
  /** @throws TablesChanged, CodedError refused_by_guard with what to do */
  message(prefix: string, content: Buffer): Promise<void>;
  /** @throws RelationChanged */
  relation(relation: SourceRelation): void;
  /** @returns what is going to happen, in a sentence; empty when nothing is. @throws as `message` */
  poll(): Promise<string>;
};

export type SourceChangesDeps = {
  readonly policy: DdlPolicy;
  readonly input: MappingInput;
  /** As they run in this direction. */
  readonly tables: readonly TableMapping[];
  readonly names: StreamNames;
  readonly source: WorkSession;
  readonly target: WorkSession;
  readonly tell: (sentence: string) => void;
};

export async function openSourceChanges(deps: SourceChangesDeps): Promise<SourceChanges> {
  const { policy, input, tables, names, source, target, tell } = deps;
  const watch: DdlWatch = await openDdlWatch({
    policy,
    input,
    tables,
    publication: names.publication,
    source,
    target,
    mark: markOf(names.stream),
  });
  // Its sessions are for one question at a time.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (ask: () => Promise<DdlOutcome>): Promise<DdlOutcome> => {
    const turn = last.then(ask);
    last = turn.catch(() => {});
    return turn;
  };
  return {
    message: async (prefix, content) => {
      settle(await inTurn(() => watch.onMessage(prefix, content)), tell);
    },
    relation(relation) {
      const outcome = watch.onRelation(relation);
      if (outcome !== undefined) throw new RelationChanged(outcome);
    },
    poll: async () => settle(await inTurn(() => watch.poll()), tell),
  };
}

/** @returns what is ahead, in a sentence. @throws what ends the run */
export function settle(outcome: DdlOutcome, tell: (sentence: string) => void): string {
  switch (outcome.kind) {
    case "same":
      return "";
    case "ahead":
      return outcome.sentence;
    case "stop":
      throw new CodedError("refused_by_guard", outcome.incident.sentence);
    case "applied":
    case "ignored":
      tell(outcome.sentence);
      throw new TablesChanged(outcome.sentence);
  }
}
