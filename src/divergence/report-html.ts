import type { Block } from "./report-block.ts";

const STYLE =
  "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}" +
  "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left}" +
  "pre{background:#f4f4f4;padding:.6rem;overflow-x:auto}";

/** The blocks as one page that needs nothing else: no script, no image, no other file. */
export function htmlOf(title: string, blocks: readonly Block[]): string {
  return [
    "<!doctype html>",
    `<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>`,
    `<style>${STYLE}</style></head><body>`,
    ...blocks.map(htmlBlock),
    "</body></html>\n",
  ].join("\n");
}

function htmlBlock(block: Block): string {
  switch (block.kind) {
    case "heading":
      return `<h${block.level}>${escaped(block.text)}</h${block.level}>`;
    case "paragraph":
      return `<p>${escaped(block.text)}</p>`;
    case "code":
      return `<pre>${escaped(block.text)}</pre>`;
    case "table":
      return `<table>${row(block.columns, "th")}${block.rows.map((cells) => row(cells, "td")).join("")}</table>`;
  }
}

function row(cells: readonly string[], tag: "td" | "th"): string {
  return `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("")}</tr>`;
}

function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
