import { z } from "zod";
import type {
  MappedSchemaConfig,
  MappedTableConfig,
  QualifiedName,
  ReplicationConfig,
} from "./config.ts";
import {
  duration,
  flag,
  leaf,
  ok,
  oneOf,
  size,
  text,
  textLeaf,
  wholeNumber,
  wrong,
} from "./leaf.ts";
import { kindOf } from "./problem.ts";
import { parseQualifiedName } from "./qualified-name.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const DAY = 86_400_000;

/** The `replication` section. All but `managed` means something only to replication that Twinwire manages itself. */
export function replicationSection(): z.ZodType<ReplicationConfig> {
  return z
    .strictObject({
      managed: flag().prefault(false),
      tables: z.array(tablePattern()).min(1).prefault(["*.*"]),
      mapping: z.array(mappingEntry()).prefault([]),
      copy: z
        .strictObject({
          parallel: wholeNumber({ min: 1, max: 64 }).prefault(2),
          chunk: size({ min: 64 * 1024, max: 4 * GIB }).prefault("16MiB"),
          max_rate: size({ min: 1024, max: 1024 * GIB }).optional(),
        })
        .prefault({}),
      ddl: oneOf(["stop", "additive", "ignore"]).prefault("stop"),
      wal_budget: size({ min: 64 * MIB, max: 1024 * 1024 * GIB }).prefault("10GiB"),
      ack_margin: duration({ min: 0, max: DAY }).prefault("0s"),
      sequences: z
        .strictObject({ headroom: wholeNumber({ min: 0, max: 1_000_000_000 }).prefault(1000) })
        .prefault({}),
      spool: z
        .strictObject({
          path: text().optional(),
          memory: size({ min: MIB, max: 4 * GIB }).prefault("64MiB"),
        })
        .prefault({}),
    })
    .transform(({ mapping, copy, wal_budget, ack_margin, spool, ...rest }) => ({
      ...rest,
      mapping: {
        tables: mapping.flatMap((entry) => (entry.kind === "table" ? [entry.entry] : [])),
        schemas: mapping.flatMap((entry) => (entry.kind === "schema" ? [entry.entry] : [])),
      },
      copy: { parallel: copy.parallel, chunkBytes: copy.chunk, maxRate: copy.max_rate },
      walBudgetBytes: wal_budget,
      ackMarginMs: ack_margin,
      spool: { path: spool.path, memoryBytes: spool.memory },
    }));
}

type MappingEntry =
  | { readonly kind: "table"; readonly entry: MappedTableConfig }
  | { readonly kind: "schema"; readonly entry: MappedSchemaConfig };

function mappingEntry(): z.ZodType<MappingEntry> {
  return z
    .strictObject({
      table: qualifiedName().optional(),
      schema: text().optional(),
      to: text().optional(),
      columns: z.record(z.string(), targetColumn()).optional(),
      constants: z.record(z.string(), columnValue()).optional(),
      convert: z.record(z.string(), oneOf(["boolean_to_integer", "integer_to_boolean"])).optional(),
      where: z.strictObject({ column: text(), in: z.array(columnValue()).min(1) }).optional(),
    })
    .transform((given, context) => {
      const complain = (message: string): typeof z.NEVER => {
        context.issues.push({ code: "custom", message, input: given });
        return z.NEVER;
      };
      const { table, schema, ...rest } = given;
      if (table !== undefined && schema === undefined) {
        const to = rest.to === undefined ? undefined : parseQualifiedName(rest.to);
        if (rest.to !== undefined && to === undefined) return complain(TO_OF_TABLE);
        const entry = { ...withoutUndefined(rest), table, to };
        const complaint = complaintAbout(entry);
        return complaint === undefined ? { kind: "table" as const, entry } : complain(complaint);
      }
      if (schema === undefined || table !== undefined) return complain("needs a table or a schema");
      const { to, ...others } = rest;
      if (Object.values(others).some((value) => value !== undefined) || to === undefined) {
        return complain("a schema takes only to, its name on NEW");
      }
      return { kind: "schema" as const, entry: { schema, to } };
    });
}

const TO_OF_TABLE = "to: expected schema.table, the name on NEW";

type TableDraft = {
  readonly columns?: Readonly<Record<string, string | null>> | undefined;
  readonly constants?: Readonly<Record<string, string | null>> | undefined;
  readonly convert?: MappedTableConfig["convert"] | undefined;
  readonly where?: MappedTableConfig["where"];
};

function withoutUndefined({ columns, constants, convert, where }: TableDraft) {
  return { columns: columns ?? {}, constants: constants ?? {}, convert: convert ?? {}, where };
}

/** What cannot be meant, whatever the databases hold. */
function complaintAbout(entry: MappedTableConfig): string | undefined {
  const names = Object.values(entry.columns).filter((name) => name !== null);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return "columns: two columns become one";
  if (Object.keys(entry.constants).some((name) => names.includes(name))) {
    return "constants: a column of NEW is both a constant and a renamed column";
  }
  if (Object.keys(entry.convert).some((name) => entry.columns[name] === null)) {
    return "convert: a column is converted and dropped";
  }
  return undefined;
}

function qualifiedName(): z.ZodType<QualifiedName> {
  return textLeaf({}, (value) => {
    const name = parseQualifiedName(value);
    return name === undefined ? wrong("expected schema.table") : ok(name);
  });
}

/** A name with its schema; `*` in what is not quoted, and `!` before what is left out. */
function tablePattern(): z.ZodType<string> {
  return textLeaf({}, (value) =>
    parseQualifiedName(value.replace(/^!/, "")) === undefined
      ? wrong("expected schema.table, either with * in it, and ! before what is left out")
      : ok(value),
  );
}

/** A name on NEW, or null: the column is dropped. */
function targetColumn(): z.ZodType<string | null> {
  return nullable((value) => (value === "" ? wrong("is empty: null drops the column") : ok(value)));
}

/** A value as the database prints it, or NULL; the empty text is one. */
function columnValue(): z.ZodType<string | null> {
  return nullable(ok);
}

function nullable(
  parse: (value: string) => ReturnType<typeof ok<string>> | ReturnType<typeof wrong>,
): z.ZodType<string | null> {
  return leaf<string | null>({ type: ["string", "null"] }, (value) => {
    if (value === null) return ok(null);
    if (typeof value === "string") return parse(value);
    return wrong(`expected text or null, found ${kindOf(value)}: put it in quotes`);
  });
}
