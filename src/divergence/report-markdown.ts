import type { Block } from "./report-block.ts";

/** The blocks as GitHub-flavoured Markdown. Texts are shown as they are, never as markup. */
export function markdownOf(blocks: readonly Block[]): string {
  return `${blocks.map(markdownBlock).join("\n\n")}\n`;
}

function markdownBlock(block: Block): string {
  switch (block.kind) {
    case "heading":
      return `${"#".repeat(block.level)} ${plain(block.text)}`;
    case "paragraph":
      return plain(block.text);
    case "code":
      return fenced(block.text);
    case "table":
      return table(block.columns, block.rows);
  }
}

/** A fence longer than any in the text cannot be closed by it. */
function fenced(text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(Math.max(3, longest + 1));
  return `${fence}sql\n${text}\n${fence}`;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(plain).join(" | ")} |`;
  return [line(columns), `|${" --- |".repeat(columns.length)}`, ...rows.map(line)].join("\n");
}

/** An underscore inside a word is no markup, and names are full of them. */
const MARKUP = /[\\`*|<>#[\]]|(?<!\w)_|_(?!\w)/g;

function plain(text: string): string {
  return text.replaceAll(MARKUP, String.raw`\$&`).replaceAll(/\s+/g, " ");
}
