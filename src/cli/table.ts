export type Column = {
  readonly head: string;
  readonly align?: "left" | "right";
  /** Gives way when the table is too wide: its texts are wrapped. Others keep their width. */
  readonly stretch?: boolean;
};

/** Lines of a table for people, no wider than `width`; blanks between columns, heads in capitals. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): string {
  const natural = columns.map(({ head }, index) =>
    Math.max(head.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const fixed = natural.filter((_width, index) => columns[index]?.stretch !== true);
  const stretching = columns.length - fixed.length;
  const left = width - sum(fixed) - GAP.length * (columns.length - 1);
  const widths = natural.map((wanted, index) =>
    columns[index]?.stretch === true
      ? Math.max(12, Math.min(wanted, Math.floor(left / stretching)))
      : wanted,
  );
  const heads = columns.map(({ head }) => head.toUpperCase());
  return [heads, ...rows].map((row) => `${line(columns, widths, row)}\n`).join("");
}

const GAP = "  ";

function line(
  columns: readonly Column[],
  widths: readonly number[],
  row: readonly string[],
): string {
  const cells = columns.map((_column, index) => wrap(row[index] ?? "", widths[index] ?? 0));
  const height = Math.max(...cells.map((cell) => cell.length));
  return Array.from({ length: height }, (_unused, at) =>
    cells
      .map((cell, index) => {
        const text = cell[at] ?? "";
        const size = widths[index] ?? 0;
        return columns[index]?.align === "right" ? text.padStart(size) : text.padEnd(size);
      })
      .join(GAP)
      .trimEnd(),
  ).join("\n");
}

/** Breaks at blanks where it can, at most three lines; what is left out is marked. */
export function wrap(text: string, width: number, maxLines = 3): string[] {
  const lines: string[] = [];
  let rest = text.replaceAll(/\s+/g, " ").trim();
  while (rest.length > width && lines.length < maxLines - 1) {
    const blank = rest.lastIndexOf(" ", width);
    const end = blank > width / 2 ? blank : width;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest.length > width ? `${rest.slice(0, width - 1)}…` : rest];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Named facts, one below the other; long ones are wrapped. */
export function facts(
  width: number,
  named: readonly (readonly [name: string, text: string])[],
): string {
  const indent = Math.max(...named.map(([name]) => name.length)) + 2;
  return named
    .map(([name, text]) => {
      const wrapped = wrap(text, width - indent, 20).join(`\n${" ".repeat(indent)}`);
      return `${name.padEnd(indent)}${wrapped}\n`;
    })
    .join("");
}
