import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { CodedError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { AdminConfig } from "../config/config.ts";
import { isLoopback } from "../config/loopback.ts";
import { formatHostPort } from "../config/quantity.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { pageProblem, tokenProblem } from "./access.ts";
import { problem } from "./endpoint.ts";
import type { Endpoint, Reply } from "./endpoint.ts";
import { openEventStreams } from "./event-streams.ts";
import type { EventStreamLimits, EventStreams } from "./event-streams.ts";
import { migrationEndpoints } from "./migration-endpoints.ts";
import type { AdminPorts } from "./ports.ts";
import { readBody } from "./request-body.ts";
import { problemBody, respond } from "./respond.ts";
import { route } from "./router.ts";
import { serviceEndpoints } from "./service-endpoints.ts";

export type AdminDeps = {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly version: string;
  readonly limits?: Partial<AdminLimits>;
};

export type AdminLimits = EventStreamLimits & {
  readonly bodyBytes: number;
  readonly connections: number;
  /** How long a client may take over its headers, and over the whole request. */
  readonly headersMs: number;
  readonly requestMs: number;
};

export type AdminServer = {
  /** Where it listens, as `host:port`. */
  readonly address: string;
  /** Ends the event streams, answers what was asked, and frees the port. */
  readonly close: () => Promise<void>;
};

const LIMITS: AdminLimits = {
  bodyBytes: 64 * 1024,
  connections: 1024,
  headersMs: 10_000,
  requestMs: 30_000,
  streams: 256,
  bufferBytes: 256 * 1024,
  heartbeatMs: 15_000,
};

/**
 * Serves the admin API, the metrics and the status page.
 * @throws CodedError `config_invalid` beyond loopback without a token, or when the address is taken.
 */
export async function openAdmin(
  config: AdminConfig,
  ports: AdminPorts,
  deps: AdminDeps,
): Promise<AdminServer> {
  if (!isLoopback(config.host) && config.token === undefined) {
    throw new CodedError("config_invalid", "beyond loopback the admin API needs a token");
  }
  const limits = { ...LIMITS, ...deps.limits };
  const endpoints: Endpoint[] = migrationEndpoints();
  endpoints.unshift(...serviceEndpoints(deps.version, () => endpoints));
  const streams = openEventStreams(limits, deps.logger);
  const answered = showMetrics(deps.metrics, streams);

  const server = createServer(
    {
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: Math.min(limits.headersMs, 1000),
      keepAliveTimeout: 5000,
      maxHeaderSize: 16 * 1024,
    },
    (request, response) => {
      const scope: Scope = { config, ports, endpoints, limits, logger: deps.logger };
      void answer(scope, request)
        .then((reply) => send(request, response, reply, streams))
        .then(() => answered(response.statusCode))
        // The client left while it was answered: nobody is there to be told.
        .catch(() => response.destroy());
    },
  );
  server.maxConnections = limits.connections;
  server.on("clientError", refuseGarbage);
  await listen(server, config);
  const { port } = server.address() as AddressInfo;
  const address = formatHostPort({ host: config.host, port });
  return { address, close: () => close(server, streams) };
}

type Scope = {
  readonly config: AdminConfig;
  readonly ports: AdminPorts;
  readonly endpoints: readonly Endpoint[];
  readonly limits: AdminLimits;
  readonly logger: Logger;
};

async function answer(scope: Scope, request: IncomingMessage): Promise<Reply> {
  const { method = "GET", url = "/", headers } = request;
  const foreign = pageProblem(scope.config, method, headers);
  if (foreign !== undefined) return foreign;
  const match = route(scope.endpoints, method, url);
  if (match.kind === "problem") return match;
  const { endpoint, parameters, query } = match;
  const stranger = endpoint.open === true ? undefined : tokenProblem(scope.config.token, headers);
  if (stranger !== undefined) return stranger;
  try {
    const body = await readBody(request, endpoint.body, scope.limits.bodyBytes);
    if (body.kind === "problem") return body;
    return await endpoint.answer({ ports: scope.ports, parameters, query, body: body.value });
  } catch (error) {
    return failure(error, endpoint, scope.logger);
  }
}

function failure(error: unknown, endpoint: Endpoint, logger: Logger): Reply {
  if (error instanceof CodedError) {
    if (error.code === "not_found") return problem(404, error.code, error.message);
    if (error.code === "conflict" || error.code === "refused_by_guard") {
      return problem(409, error.code, error.message);
    }
    if (error.code === "shutting_down") return problem(503, error.code, error.message);
  }
  // What it says may hold anything; it goes to the log and not over the wire.
  const { method, path } = endpoint;
  logger.error({ method, path, error: messageOf(error) }, "an admin request failed");
  return problem(500, "internal", "Twinwire could not answer this: its log says why.");
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  streams: EventStreams,
): void {
  if (reply.kind !== "events" || request.method === "HEAD") {
    respond(request, response, reply);
    return;
  }
  if (streams.count() >= streams.limit) {
    respond(
      request,
      response,
      problem(503, "too_many_streams", "Too many event streams are open."),
    );
    return;
  }
  respond(request, response, reply);
  streams.open(response, reply.migration);
}

/** Answers what is not HTTP, or came too slowly, as far as that is possible, and hangs up. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Duplex): void {
  const statuses: Readonly<Record<string, number>> = {
    HPE_HEADER_OVERFLOW: 431,
    ERR_HTTP_REQUEST_TIMEOUT: 408,
  };
  const status = statuses[error.code ?? ""] ?? 400;
  const details: Readonly<Record<number, string>> = {
    400: "This is not HTTP.",
    408: "The request took too long.",
    431: "The headers are too large.",
  };
  const body = problemBody(problem(status, "bad_request", details[status] ?? "Bad request."));
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const head = [
    `HTTP/1.1 ${status} Bad Request`,
    "Connection: close",
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

function showMetrics(metrics: Metrics, streams: EventStreams): (status: number) => void {
  const requests = new Map<number, number>();
  metrics.family("twinwire_admin_requests_total", () =>
    [...requests].map(([status, value]) => ({ labels: { status: String(status) }, value })),
  );
  metrics.source("twinwire_admin_event_streams_open", {}, streams.count);
  metrics.source("twinwire_admin_event_streams_dropped_total", {}, streams.dropped);
  return (status) => void requests.set(status, (requests.get(status) ?? 0) + 1);
}

async function listen(server: Server, { host, port }: AdminConfig): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const where = formatHostPort({ host, port });
      const message = `the admin API cannot listen on ${where} (${error.code ?? "unknown error"})`;
      reject(new CodedError("config_invalid", message, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}

async function close(server: Server, streams: EventStreams): Promise<void> {
  streams.close();
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  server.closeIdleConnections();
  const impatient = setTimeout(() => server.closeAllConnections(), 1000);
  await closed;
  clearTimeout(impatient);
}
