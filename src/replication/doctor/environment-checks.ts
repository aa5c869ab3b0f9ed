import { quoteIdent, quoteLiteral } from "../table-shape.ts";
import type { Check, Exam } from "./exam.ts";
import { onBothSides, sideName, texts } from "./exam.ts";
import type { DoctorSide, Finding } from "./finding.ts";
import { about } from "./finding.ts";

/** Through JSON, because the provider came with 15 and its columns were renamed in 17. Since PostgreSQL 13. */
const LOCALE = `
  SELECT pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
    COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'),
    COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale', ''),
    COALESCE(pg_catalog.to_jsonb(d) ->> 'datcollversion', '')
  FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()`;

/** Since PostgreSQL 15. */
const ACTUAL_DATABASE = `
  SELECT COALESCE(pg_catalog.pg_database_collation_actual_version(d.oid), '')
  FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()`;

/** What the library says of a collation of the database's locale, for servers that do not say it of the database. */
const ACTUAL_COLLATION = `
  SELECT COALESCE((SELECT pg_catalog.pg_collation_actual_version(c.oid) FROM pg_catalog.pg_collation AS c
    WHERE c.collprovider = 'c' AND c.collcollate = d.datcollate LIMIT 1), '')
  FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()`;

type Locale = {
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly provider: string;
  readonly locale: string;
  readonly recorded: string;
  readonly actual: string;
};

async function localeOf(exam: Exam, side: DoctorSide): Promise<Locale> {
  const [row] = await exam[side](LOCALE);
  const [encoding = "", collate = "", ctype = "", provider = "", locale = "", recorded = ""] =
    texts(row ?? [], 6);
  const sql = exam.servers[side].version >= 150_000 ? ACTUAL_DATABASE : ACTUAL_COLLATION;
  const [now] = await exam[side](sql);
  return { encoding, collate, ctype, provider, locale, recorded, actual: now?.[0] ?? "" };
}

/** What text is written in, and how it is ordered. */
export const locales: Check = async (exam) => {
  const [old, fresh] = [await localeOf(exam, "old"), await localeOf(exam, "new")];
  const database = quoteIdent(exam.servers.new.database);
  const findings: Finding[] = [];
  const again = {
    at: "new" as const,
    lines: [
      `CREATE DATABASE ${database} TEMPLATE template0 ENCODING ${quoteLiteral(old.encoding)} LC_COLLATE ${quoteLiteral(old.collate)} LC_CTYPE ${quoteLiteral(old.ctype)}`,
    ],
  };
  if (old.encoding !== fresh.encoding) {
    const loses = fresh.encoding !== "UTF8";
    findings.push({
      ...about("encoding", loses || old.encoding === "SQL_ASCII" ? "blocker" : "warning", "new"),
      sentence: `OLD is encoded in ${old.encoding}, NEW in ${fresh.encoding}${loses ? ", which does not hold every text of OLD" : ": lengths in bytes differ, and the way back may not hold every text"}; the database has to be made anew`,
      cure: again,
    });
  }
  const named = ({ provider, collate, ctype, locale }: Locale) =>
    provider === "c"
      ? `${collate}/${ctype}`
      : `${locale} (${provider === "i" ? "ICU" : "builtin"})`;
  if (named(old) !== named(fresh)) {
    findings.push({
      ...about("locale", "warning", "new"),
      sentence: `text is ordered by ${named(old)} on OLD and by ${named(fresh)} on NEW: ORDER BY, ranges and unique texts differ; the database has to be made anew to change it`,
      cure: old.provider === "c" ? again : undefined,
    });
  } else if (old.actual !== fresh.actual && old.actual !== "" && fresh.actual !== "") {
    findings.push({
      ...about("collation_version", "note", "new"),
      sentence: `the libraries that order text are of version ${old.actual} on OLD and ${fresh.actual} on NEW: some texts may be ordered differently`,
    });
  }
  for (const [side, found] of [
    ["old", old],
    ["new", fresh],
  ] as const) {
    if (found.recorded === "" || found.actual === "" || found.recorded === found.actual) continue;
    const name = quoteIdent(exam.servers[side].database);
    findings.push({
      ...about("collation_version", "warning", side),
      sentence: `indexes of text on ${sideName(side)} were built with version ${found.recorded} of its library, which is ${found.actual} now: they may be out of order`,
      cure: {
        at: side,
        lines: [`REINDEX DATABASE ${name}`, `ALTER DATABASE ${name} REFRESH COLLATION VERSION`],
      },
    });
  }
  return findings;
};

/** Settings that change what statements answer. */
const TELLING = [
  "TimeZone",
  "timezone_abbreviations",
  "DateStyle",
  "IntervalStyle",
  "extra_float_digits",
  "bytea_output",
  "xmlbinary",
  "lc_monetary",
  "lc_numeric",
  "lc_time",
  "standard_conforming_strings",
  "escape_string_warning",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "default_transaction_deferrable",
  "transform_null_equals",
  "array_nulls",
  "search_path",
  "default_text_search_config",
  "row_security",
  "quote_all_identifiers",
  "backslash_quote",
  "lo_compat_privileges",
  "session_replication_role",
];

const SETTINGS = `
  SELECT s.name, COALESCE(s.reset_val, '') FROM pg_catalog.pg_settings AS s
  WHERE s.name IN (SELECT pg_catalog.json_array_elements_text($1::pg_catalog.json))`;

const ROLE_SETTINGS = `
  SELECT CASE WHEN s.setrole = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(s.setrole)::pg_catalog.text END,
    s.setdatabase <> 0, pg_catalog.split_part(c.item, '=', 1),
    pg_catalog.substr(c.item, pg_catalog.strpos(c.item, '=') + 1)
  FROM pg_catalog.pg_db_role_setting AS s CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(item)
  WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
    AND (s.setrole = 0 OR pg_catalog.pg_get_userbyid(s.setrole)::pg_catalog.text IN
      (SELECT pg_catalog.json_array_elements_text($1::pg_catalog.json)))
  ORDER BY 1, 2, 3`;

/** Those whose value is a list are written as one. */
const LISTS = new Set(["search_path", "datestyle"]);

export const settings: Check = async (exam) => {
  const names = JSON.stringify(TELLING);
  const fresh = new Map((await exam.new(SETTINGS, [names])).map(([name, value]) => [name, value]));
  const database = quoteIdent(exam.servers.new.database);
  const findings = (await exam.old(SETTINGS, [names])).flatMap(([name, value]): Finding[] => {
    const other = fresh.get(name ?? "");
    if (other === undefined || other === value) return [];
    return [
      {
        ...about("setting", "warning", "new", name ?? ""),
        sentence: `${name ?? ""} is ${value || "empty"} on OLD and ${other || "empty"} on NEW: the same statement may answer something else`,
        cure: {
          at: "new",
          lines: [
            `ALTER DATABASE ${database} SET ${name ?? ""} = ${settingValue(name ?? "", value ?? "")}`,
          ],
        },
      },
    ];
  });
  return [...findings, ...(await roleSettings(exam))];
};

async function roleSettings(exam: Exam): Promise<Finding[]> {
  const roles = [JSON.stringify(exam.applicationRoles)];
  const key = ([role = "", inDatabase = "", name = ""]: readonly string[]) =>
    `${role}\n${inDatabase}\n${name.toLowerCase()}`;
  const fresh = new Map(
    (await exam.new(ROLE_SETTINGS, roles)).map((row) => [key(texts(row, 3)), texts(row, 4)[3]]),
  );
  const database = quoteIdent(exam.servers.new.database);
  return (await exam.old(ROLE_SETTINGS, roles)).flatMap((row): Finding[] => {
    const values = texts(row, 4);
    const [role = "", inDatabase, name = "", value = ""] = values;
    if (fresh.get(key(values)) === value) return [];
    // What holds for the whole database is seen by the comparison of settings where it matters.
    if (role === "" && TELLING.some((each) => each.toLowerCase() === name.toLowerCase())) return [];
    const who = role === "" ? `DATABASE ${database}` : `ROLE ${quoteIdent(role)}`;
    const where = role !== "" && inDatabase === "t" ? ` IN DATABASE ${database}` : "";
    return [
      {
        ...about("role_setting", "warning", "new", role === "" ? name : `${role}.${name}`),
        sentence: `${name} is set to ${value} for ${role === "" ? "the database" : role} on OLD, and not so on NEW`,
        cure: {
          at: "new",
          lines: [`ALTER ${who}${where} SET ${name} = ${settingValue(name, value)}`],
        },
      },
    ];
  });
}

function settingValue(name: string, value: string): string {
  if (!LISTS.has(name.toLowerCase())) return quoteLiteral(value);
  return value
    .split(",")
    .map((part) => quoteLiteral(part.trim().replace(/^"(.*)"$/, "$1")))
    .join(", ");
}

/** What waits for nobody is waited for: a slot begins after the oldest transaction that writes has ended. */
const LONG_TRANSACTIONS = `
  SELECT a.pid, COALESCE(a.usename::pg_catalog.text, a.backend_type), a.state,
    pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start))
  FROM pg_catalog.pg_stat_activity AS a
  WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
    AND a.xact_start <= pg_catalog.clock_timestamp() - $1::pg_catalog.int8 * interval '1 millisecond'
  ORDER BY a.xact_start`;

/** Without this right the sessions of other roles do not show whether they write. */
const SEES_ALL = `
  SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')`;

const PREPARED = `
  SELECT p.gid, p.database, pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - p.prepared))
  FROM pg_catalog.pg_prepared_xacts AS p ORDER BY p.prepared`;

const LONG_MS = 60_000;

export const openTransactions: Check = (exam) =>
  onBothSides(async (side) => {
    const long = await exam[side](LONG_TRANSACTIONS, [String(exam.longTransactionMs ?? LONG_MS)]);
    const findings = long.map((row): Finding => {
      const [pid = "", who = "", state = "", seconds = ""] = texts(row, 4);
      return {
        ...about("long_transaction", "warning", side, `pid ${pid}`),
        sentence: `a transaction of ${who} (${state}) has been writing for ${seconds} s on ${sideName(side)}: the slot cannot be made before it ends`,
        cure: { at: side, lines: [`SELECT pg_catalog.pg_terminate_backend(${pid})`] },
      };
    });
    for (const row of await exam[side](PREPARED)) {
      const [gid = "", database = "", seconds = ""] = texts(row, 3);
      findings.push({
        ...about("prepared_transaction", "blocker", side, gid),
        sentence: `the transaction ${gid} in ${database} on ${sideName(side)} has been prepared ${seconds} s ago and not ended: the slot cannot be made before; roll it back unless its owner will commit it`,
        cure: { at: side, lines: [`ROLLBACK PREPARED ${quoteLiteral(gid)}`] },
      });
    }
    const [sees] = await exam[side](SEES_ALL);
    if (sees?.[0] !== "t") {
      const { role } = exam.servers[side];
      findings.push({
        ...about("read_all_stats", "note", side, role),
        sentence: `${role} does not see other roles' transactions on ${sideName(side)}: long ones are not found`,
        cure: { at: side, lines: [`GRANT pg_read_all_stats TO ${quoteIdent(role)}`] },
      });
    }
    return findings;
  });
