import { connect } from "node:net";
import { silentLogger } from "../../src/base/logger.ts";
import type { AdminPorts } from "../../src/admin/ports.ts";
import { openAdmin } from "../../src/admin/open-admin.ts";
import type { AdminLimits } from "../../src/admin/open-admin.ts";
import { openMetrics } from "../../src/metrics/metrics.ts";
import type { Metrics } from "../../src/metrics/metrics.ts";

export type AdminUnderTest = {
  readonly url: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly close: () => Promise<void>;
};

/** A real server on a port of the system's choice, in front of ports of the tests. */
export async function startAdmin(
  ports: AdminPorts,
  options: { token?: string; limits?: Partial<AdminLimits> } = {},
): Promise<AdminUnderTest> {
  const metrics = openMetrics();
  const config = { host: "127.0.0.1", port: 0, token: options.token };
  const deps = { logger: silentLogger, metrics, version: "0.0.0", limits: options.limits ?? {} };
  const { address, close } = await openAdmin(config, ports, deps);
  const url = `http://${address}`;
  return { url, port: Number(new URL(url).port), metrics, close };
}

/** Sends bytes as they are. @returns all that comes back until the server hangs up. */
export function exchangeBytes(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => (answer += chunk));
    // A reset is an end too.
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}

/** Asks until the answer is yes. @throws Error after ten seconds of noes. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`never came true: ${condition.toString()}`);
    await new Promise((resolve) => void setTimeout(resolve, 10));
  }
}
