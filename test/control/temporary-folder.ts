import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that is gone when the test is over. */
export function temporaryFolder(t: { teardown(callback: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "twinwire-store-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
