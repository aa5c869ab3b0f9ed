import type { Endpoint, Reply } from "./endpoint.ts";
import { openApi } from "./openapi.ts";
import { statusPage } from "./page/page.ts";

/** What concerns the process as a whole. `all` gives the complete table, for the OpenAPI document. */
export function serviceEndpoints(version: string, all: () => readonly Endpoint[]): Endpoint[] {
  const page = statusPage();
  return [
    {
      method: "GET",
      path: "/",
      summary: "The status page",
      open: true,
      replies: [{ status: 200, description: "A page for people", contentType: "text/html" }],
      answer: () => ({ kind: "text", contentType: "text/html; charset=utf-8", ...page }),
    },
    ...PROBES,
    METRICS_PAGE,
    {
      method: "GET",
      path: "/api/v1/openapi.json",
      summary: "This interface as an OpenAPI document",
      open: true,
      replies: [{ status: 200, description: "OpenAPI 3.1", contentType: "application/json" }],
      answer: () => json(200, openApi(all(), version)),
    },
    {
      method: "GET",
      path: "/api/v1/migrations",
      summary: "All migrations with their status",
      replies: [{ status: 200, description: "As asked for", schema: "Migrations" }],
      answer: ({ ports }) =>
        json(200, { items: ports.migrations().map((migration) => migration.status()) }),
    },
  ];
}

const PROBES: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/healthz",
    summary: "Whether the process lives",
    open: true,
    replies: [{ status: 200, description: "It does", schema: "Health" }],
    answer: () => json(200, { status: "ok" }),
  },
  {
    method: "GET",
    path: "/readyz",
    summary: "Whether traffic may be sent here",
    open: true,
    replies: [
      { status: 200, description: "It may", schema: "Ready" },
      { status: 503, description: "It may not, and why", schema: "Ready" },
    ],
    answer: ({ ports }) => {
      const reasons = ports.notReady();
      const ready = reasons.length === 0;
      return json(ready ? 200 : 503, { ready, reasons });
    },
  },
];

const METRICS_PAGE: Endpoint = {
  method: "GET",
  path: "/metrics",
  summary: "Metrics for Prometheus",
  replies: [{ status: 200, description: "Text format 0.0.4", contentType: "text/plain" }],
  answer: async ({ ports }) => ({
    kind: "text",
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    text: await ports.metrics(),
  }),
};

function json(status: number, body: object): Reply {
  return { kind: "json", status, body };
}
