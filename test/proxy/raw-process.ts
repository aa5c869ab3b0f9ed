import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Open files of a process, sockets among them. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Memory of a process in MB: now, and the most it has ever had. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const megabytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  return { now: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}

/** How many connections of the local server on this port hold bytes that it has not read. */
export function connectionsWithUnread(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const [, ...connections] = readFileSync("/proc/net/tcp", "utf8").trimEnd().split("\n");
  return connections.filter((line) => {
    // sl local_address rem_address st tx_queue:rx_queue …
    const [, address, , , queues] = line.trim().split(/\s+/);
    return address?.endsWith(local) === true && !queues?.endsWith(":00000000");
  }).length;
}

/** Waits until the condition holds. @throws with what was last seen when it never does. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  seen: () => unknown = () => "",
): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never: ${what} ${String(seen())}`);
    await delay(10);
  }
}
