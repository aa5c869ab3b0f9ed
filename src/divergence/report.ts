import { htmlOf } from "./report-html.ts";
import { markdownOf } from "./report-markdown.ts";
import { notCompared, reportBlocks, summarySentence } from "./report-sections.ts";
import type { ReportData } from "./report-data.ts";

/** The report of a migration. JSON holds everything, the others what a person reads. */
export function renderReport(data: ReportData, format: "json" | "md" | "html"): string {
  switch (format) {
    case "json":
      return jsonOf(data);
    case "md":
      return markdownOf(reportBlocks(data));
    case "html":
      return htmlOf(`Twinwire report: ${data.migration}`, reportBlocks(data));
  }
}

function jsonOf(data: ReportData): string {
  const { skipReasons: _sentences, ...rest } = data;
  const { seen, compared } = data.totals;
  const report = {
    summary: summarySentence(data),
    comparedShare: seen === 0 ? null : compared / seen,
    ...rest,
    notCompared: notCompared(data),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
