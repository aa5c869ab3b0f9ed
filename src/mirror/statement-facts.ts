import type { Coverage, Recorder } from "../divergence/recorder.ts";
import type { RequestFacts } from "../routing/decide.ts";
import { mirrorObstacle } from "../routing/obstacle.ts";
import { rehearsalObstacle } from "../routing/rehearsal-obstacle.ts";
import type { PreparedStatement } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { SessionState } from "../routing/session-state.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import { transactionControl } from "../routing/transaction-control.ts";
import type { FunctionCatalogue } from "../sql/analysis.ts";
import { noiseOfFunction } from "../sql/builtin-functions.ts";
import { adviceOf, withRelations } from "../sql/relation-catalogue.ts";
import type { RelationCatalogue } from "../sql/relation-catalogue.ts";
import type { Statement } from "../sql/statement.ts";

/** What mirroring needs to know of one statement in this migration; worked out once per statement. */
export type StatementFacts = RequestFacts & {
  readonly coverage: Coverage;
  /** The statement with what the catalogue knows of its relations: to be compared by. */
  readonly known: Statement;
  /** Name of the prepared statement it executes by SQL. */
  readonly executes: string | undefined;
  /** The same as facts of a request that asks for nothing else; made once. */
  readonly alone: AskedFacts;
  readonly aloneTooLarge: AskedFacts;
};

/** The same of a request, whose statements EXECUTE has been resolved in. */
export type AskedFacts = RequestFacts & {
  /** Names of the prepared statements that it executes by SQL. */
  readonly executes: readonly string[];
};

type Asked = { readonly request: Request; readonly statements: readonly Statement[] };
type PreparedNamed = (name: string) => PreparedStatement | undefined;

export type FactsDeps = {
  readonly recorder: Recorder;
  readonly catalogue: FunctionCatalogue & RelationCatalogue;
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
  "unparsable",
]);

/** Reasons under which a statement may write, unless more is known of it. */
const WRITING: ReadonlySet<SkipReason> = new Set([
  "write",
  "ddl",
  "copy_in",
  "volatile_function",
  "utility",
  "two_phase",
  "unparsable",
]);

/** Commands that leave every row as it is: utilities, and what ends a transaction or sets it aside. */
const UPKEEP =
  /^(?:vacuum|lock|checkpoint|cluster|reindex|load|analyze|prepare transaction|rollback prepared)\b/i;

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
    const safe = safeFunctions();
    const obstacle = mirrorObstacle(statement, catalogue, safe);
    const execute = statement.effects.find((effect) => effect.type === "execute");
    const onlyDraws = this.#onlyDraws(statement);
    const draws = obstacle === "volatile_function" && onlyDraws;
    const facts = {
      obstacle,
      taints: obstacle !== undefined && TAINTING.has(obstacle) && !draws,
      writes:
        obstacle !== undefined &&
        WRITING.has(obstacle) &&
        !draws &&
        !UPKEEP.test(statement.normalised),
      applicable: obstacle === undefined || !NEVER_APPLIED.has(obstacle),
      rehearsal: rehearsalObstacle(statement, { catalogue, safe }, onlyDraws),
      control: transactionControl([statement]),
    };
    const alone = { ...facts, executes: NOTHING_EXECUTED };
    const known = withRelations(statement, catalogue);
    const coverage = recorder.coverage(known);
    coverage.advice.clear();
    for (const advice of adviceOf(known)) coverage.advice.add(advice);
    return {
      ...facts,
      coverage,
      known,
      executes: execute?.type === "execute" ? execute.name : undefined,
      alone,
      aloneTooLarge: tooLarge(alone),
    };
  }

  /** Its volatile functions give another value at each call, and do nothing else. */
  #onlyDraws({ functions }: Statement): boolean {
    return functions.every((name) => {
      const bare = name.slice(name.lastIndexOf(".") + 1);
      const noise = noiseOfFunction(bare);
      return noise === "volatile" || noise === "clock" || !this.#deps.catalogue.isVolatile(bare);
    });
  }
}

const NOTHING_EXECUTED: readonly string[] = [];
const PLAIN: AskedFacts = {
  obstacle: undefined,
  taints: false,
  applicable: true,
  writes: false,
  rehearsal: undefined,
  control: "none",
  executes: NOTHING_EXECUTED,
};
const FUNCTION_CALL: AskedFacts = refused("function_call", true);
const UNCLEAR: AskedFacts = refused("desync", true);

/** The statements of a request, with what EXECUTE executes in its place. */
export function askedStatements(
  statements: readonly Statement[],
  table: FactsTable,
  prepared: PreparedNamed,
): readonly Statement[] {
  if (!statements.some((statement) => isExecute(statement, table))) return statements;
  return statements.map((statement) => {
    const { executes } = table.of(statement);
    if (executes === undefined || !isExecute(statement, table)) return statement;
    return prepared(executes)?.statements[0] ?? statement;
  });
}

/** EXPLAIN EXECUTE and CREATE TABLE AS EXECUTE are more than what they execute. */
function isExecute(statement: Statement, table: FactsTable): boolean {
  return statement.kind === "prepare" && table.of(statement).executes !== undefined;
}

/** What stands in the way of a request as a whole: the first obstacle of any of its statements. */
export function requestFacts(
  asked: Asked,
  table: FactsTable,
  state: SessionState,
  prepared: PreparedNamed,
): AskedFacts {
  const { request, statements } = asked;
  if (request.kind === "function_call") return FUNCTION_CALL;
  if (request.obscure) return UNCLEAR;
  const [only] = statements;
  if (only === undefined) return request.frames === undefined ? refused("too_large", false) : PLAIN;
  if (statements.length === 1 && state.temporary.size === 0 && state.heldCursors.size === 0) {
    const { executes, alone, aloneTooLarge } = table.of(only);
    // Nearly every request comes this way.
    if (executes === undefined && executedBy(request, table) === NOTHING_EXECUTED) {
      return request.frames === undefined ? aloneTooLarge : alone;
    }
  }
  const all = statements.map((statement) => factsIn(statement, table, state, prepared));
  const [first] = all;
  const executes = executedBy(request, table);
  const facts =
    all.length === 1 && first !== undefined
      ? { ...first, executes }
      : { ...combined(all, executes), control: transactionControl(statements) };
  if (request.frames !== undefined) return facts;
  return tooLarge(facts);
}

function tooLarge(facts: AskedFacts): AskedFacts {
  return { ...facts, obstacle: "too_large", rehearsal: "too_large", applicable: false };
}

/** Whether an open transaction may end with it. */
export function commits(statements: readonly Statement[]): boolean {
  return statements.some(({ effects, kind }) =>
    kind === "unparsable"
      ? true
      : effects.some(({ type }) => type === "commit" || type === "prepare_transaction"),
  );
}

/** SET LOCAL and its kin, in whatever form. */
export function setsLocally(statements: readonly Statement[]): boolean {
  for (const { effects } of statements) {
    for (const effect of effects) {
      if ((effect.type === "set" || effect.type === "set_unknown") && effect.local) return true;
    }
  }
  return false;
}

function refused(obstacle: SkipReason, writes: boolean): AskedFacts {
  const executes = NOTHING_EXECUTED;
  const refusal = { obstacle, rehearsal: obstacle, taints: writes, applicable: false } as const;
  return { ...refusal, writes, control: "none", executes };
}

function executedBy({ statements }: Request, table: FactsTable): readonly string[] {
  let names: string[] | undefined;
  for (const statement of statements) {
    const { executes } = table.of(statement);
    if (executes !== undefined) (names ??= []).push(executes);
  }
  return names ?? NOTHING_EXECUTED;
}

function combined(
  all: readonly Omit<AskedFacts, "executes">[],
  executes: readonly string[],
): AskedFacts {
  return {
    obstacle: all.find((facts) => facts.obstacle !== undefined)?.obstacle,
    rehearsal: all.find((facts) => facts.rehearsal !== undefined)?.rehearsal,
    control: all.find((facts) => facts.control !== "none")?.control ?? "none",
    taints: all.some((facts) => facts.taints),
    applicable: all.every((facts) => facts.applicable),
    writes: all.some((facts) => facts.writes),
    executes,
  };
}

/** Facts of one statement in a session: what only this session has is on no shadow. */
function factsIn(
  statement: Statement,
  table: FactsTable,
  state: SessionState,
  prepared: PreparedNamed,
): Omit<AskedFacts, "executes"> {
  const { temporary, heldCursors } = state;
  const facts = withExecuted(statement, table, prepared);
  if (heldCursors.size > 0 && statement.kind === "cursor") return refused("held_cursor", false);
  if (temporary.size === 0) return facts;
  const { tables, written } = statement;
  if (!tables.some((name) => temporary.has(name))) return facts;
  if (written.every((name) => temporary.has(name))) return refused("session", false);
  const { obstacle = "session", rehearsal = "session" } = facts;
  return { ...facts, obstacle, rehearsal, applicable: false };
}

function withExecuted(
  statement: Statement,
  table: FactsTable,
  prepared: PreparedNamed,
): Omit<AskedFacts, "executes"> {
  const facts = table.of(statement);
  if (facts.executes === undefined) return facts;
  const inner = prepared(facts.executes)?.statements[0];
  // Somebody prepared it who is not known, or its text was not understood.
  if (inner === undefined) return UNKNOWN;
  return combined([facts, table.of(inner)], NOTHING_EXECUTED);
}

const UNKNOWN = {
  obstacle: "unparsable",
  rehearsal: "unparsable",
  taints: true,
  applicable: true,
  writes: true,
  control: "none",
} as const;
