import type { Coverage, Recorder } from "../divergence/recorder.ts";
import type { RequestFacts } from "../routing/decide.ts";
import { mirrorObstacle } from "../routing/obstacle.ts";
import type { PreparedStatement } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import type { FunctionCatalogue } from "../sql/analysis.ts";
import type { Statement } from "../sql/statement.ts";

/** What mirroring needs to know of one statement in this migration; worked out once per statement. */
export type StatementFacts = RequestFacts & {
  readonly coverage: Coverage;
  /** Name of the prepared statement it executes by SQL. */
  readonly executes: string | undefined;
};

export type FactsDeps = {
  readonly recorder: Recorder;
  readonly catalogue: FunctionCatalogue;
  readonly safeFunctions: () => ReadonlySet<string>;
};

/** Reasons under which a statement does not run even on a shadow that takes writes. */
const NEVER_APPLIED: ReadonlySet<SkipReason> = new Set([
  "notify",
  "two_phase",
  "held_cursor",
  "copy_in",
  "replication",
  "function_call",
  "session",
]);

/** Reasons that leave rows behind which the rest of the transaction may read. */
const TAINTING: ReadonlySet<SkipReason> = new Set([
  "write",
  "ddl",
  "copy_in",
  "volatile_function",
  "utility",
  "two_phase",
  "read_write",
]);

export class FactsTable {
  readonly #deps: FactsDeps;
  #known = new WeakMap<Statement, StatementFacts>();

  constructor(deps: FactsDeps) {
    this.#deps = deps;
  }

  /** The catalogue or the configuration has changed. */
  forget(): void {
    this.#known = new WeakMap();
  }

  of(statement: Statement): StatementFacts {
    const known = this.#known.get(statement);
    if (known !== undefined) return known;
    const facts = this.#workOut(statement);
    this.#known.set(statement, facts);
    return facts;
  }

  #workOut(statement: Statement): StatementFacts {
    const { recorder, catalogue, safeFunctions } = this.#deps;
    const obstacle = mirrorObstacle(statement, catalogue, safeFunctions());
    const execute = statement.effects.find((effect) => effect.type === "execute");
    return {
      obstacle,
      taints: obstacle !== undefined && TAINTING.has(obstacle),
      applicable: obstacle === undefined || !NEVER_APPLIED.has(obstacle),
      coverage: recorder.coverage(statement),
      executes: execute?.type === "execute" ? execute.name : undefined,
    };
  }
}

const PLAIN: RequestFacts = { obstacle: undefined, taints: false, applicable: true };
const FUNCTION_CALL: RequestFacts = {
  obstacle: "function_call",
  taints: true,
  applicable: false,
};
const TOO_LARGE: RequestFacts = { obstacle: "too_large", taints: true, applicable: false };
const UNCLEAR: RequestFacts = { obstacle: "desync", taints: true, applicable: false };
const TEMPORARY: RequestFacts = { obstacle: "session", taints: false, applicable: false };

/** What stands in the way of a request as a whole: the first obstacle of any of its statements. */
export function requestFacts(
  request: Request,
  table: FactsTable,
  temporary: ReadonlySet<string>,
  prepared: (name: string) => PreparedStatement | undefined,
): RequestFacts {
  if (request.kind === "function_call") return FUNCTION_CALL;
  if (request.frames === undefined) return TOO_LARGE;
  if (request.obscure) return UNCLEAR;
  const { statements } = request;
  const [only] = statements;
  if (only === undefined) return PLAIN;
  if (temporary.size > 0 && usesTemporary(statements, temporary)) return TEMPORARY;
  if (statements.length === 1) return resolved(only, table, prepared);
  return combined(statements.map((statement) => resolved(statement, table, prepared)));
}

function combined(all: readonly RequestFacts[]): RequestFacts {
  return {
    obstacle: all.find((facts) => facts.obstacle !== undefined)?.obstacle,
    taints: all.some((facts) => facts.taints),
    applicable: all.every((facts) => facts.applicable),
  };
}

/** EXECUTE is what it executes. */
function resolved(
  statement: Statement,
  table: FactsTable,
  prepared: (name: string) => PreparedStatement | undefined,
): RequestFacts {
  const facts = table.of(statement);
  if (facts.executes === undefined) return facts;
  const inner = prepared(facts.executes)?.statements[0];
  if (inner === undefined) return { obstacle: "unparsable", taints: true, applicable: true };
  return table.of(inner);
}

function usesTemporary(statements: readonly Statement[], temporary: ReadonlySet<string>): boolean {
  return statements.some((statement) => statement.tables.some((name) => temporary.has(name)));
}
