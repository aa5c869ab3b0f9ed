import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import type { Writable } from "node:stream";
import { once } from "node:events";

/**
 * What is left of a server, ended and removed: $1 is its folder. Runs when its standard input closes.
 * The working directory proves that a process is the server's and its pid not given to another since.
 * A postmaster that was killed leaves children and a shared memory segment, named in line 7 of its file.
 */
const CLEAR_AWAY = `
  read -r nothing
  data=$1/data file=$1/data/postmaster.pid
  pid=$(head -n 1 "$file" 2>/dev/null)
  if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$data" ]; then
    kill -QUIT "$pid"
    tries=0
    while [ -e "$file" ] && kill -0 "$pid" && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
  fi
  if [ -e "$file" ]; then
    for process in /proc/[0-9]*; do
      [ "$(readlink "$process/cwd")" = "$data" ] && kill -KILL "\${process#/proc/}"
    done
    sed -n 7p "$file" | { read -r key id; [ -n "$id" ] && ipcrm -m "$id"; }
  fi
  tries=0
  while ! rm -rf "$1" && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done`;

/**
 * Runs a script in a session of its own, whose standard input ends with this process, whatever ended it (SIGKILL too). It
 * keeps nobody from ending.
 */
export function watchThisProcess(
  script: string,
  ...args: readonly string[]
): ChildProcessByStdio<Writable, null, null> {
  const watcher = spawn("/bin/sh", ["-c", script, ...args], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.unref();
  (watcher.stdin as typeof watcher.stdin & { unref(): void }).unref();
  watcher.stdin.on("error", () => {}); // it may be gone first when everything is being ended
  return watcher;
}

/**
 * Clears the server away when this process is gone, whatever ended it (SIGKILL too): a shell in a session of
 * its own sees the pipe close. The returned function has it done now.
 */
export function clearAwayWithThisProcess(folder: string): () => Promise<void> {
  const watcher = watchThisProcess(CLEAR_AWAY, "twinwire-clear-away", folder);
  return async (): Promise<void> => {
    if (watcher.exitCode !== null || watcher.signalCode !== null) return;
    watcher.ref();
    const done = once(watcher, "exit");
    watcher.stdin.end();
    await done;
  };
}
