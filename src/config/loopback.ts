import { BlockList, isIP } from "node:net";

/** Whether only this machine can reach a listener on `host`. Names other than `localhost` count as reachable. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  const version = isIP(name);
  if (version === 0) return name === "localhost";
  const loopback = new BlockList();
  loopback.addSubnet("127.0.0.0", 8, "ipv4");
  loopback.addAddress("::1", "ipv6");
  return loopback.check(name, version === 6 ? "ipv6" : "ipv4");
}
