import type { ReportVerification } from "./report-data.ts";
import type { Block } from "./report-block.ts";
import { heading, paragraph, table } from "./report-block.ts";

/** What is known of the rows of both sides; nothing where nobody has asked. */
export function rowBlocks(verification: ReportVerification): readonly Block[] {
  const { phase, detail, startedAt, endedAt, tables } = verification;
  if (phase === "none") return [];
  const when = [startedAt, endedAt].filter((time) => time !== null).join(" to ");
  return [
    heading(2, "Rows of both sides"),
    paragraph(`${when === "" ? "" : `${when}: `}${detail}`),
    table(
      ["table", "state", "chunks that agree", "rows", "differ", ""],
      tables.map((each) => [
        each.name,
        each.state,
        `${each.verified} of ${each.chunks}`,
        String(each.rows),
        String(each.mismatches),
        each.detail,
      ]),
    ),
    ...causeBlocks(tables),
  ];
}

/** How many rows of a table one cause explains, the most frequent first. */
export function causesOf(
  tables: ReportVerification["tables"],
): readonly { readonly name: string; readonly cause: string; readonly count: number }[] {
  return tables
    .flatMap(({ name, causes }) =>
      Object.entries(causes).map(([cause, count]) => ({ name, cause, count })),
    )
    .toSorted((a, b) => b.count - a.count);
}

function causeBlocks(tables: ReportVerification["tables"]): readonly Block[] {
  const causes = causesOf(tables);
  if (causes.length === 0) return [];
  return [
    heading(3, "Causes of rows that differ"),
    paragraph("`twinwire verify` names the rows."),
    table(
      ["rows", "table", "cause"],
      causes.map(({ name, cause, count }) => [String(count), name, cause]),
    ),
  ];
}
