import { mkdirSync, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { OpenSpoolFile } from "./change-log.ts";

/**
 * Files that only this process sees: each is taken out of the folder as soon as it is open, so that a killed process leaves
 * nothing behind. Readable by the owner only, for they hold customers' rows.
 */
export function openSpoolFolder(folder: string, stem: string): OpenSpoolFile {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let count = 0;
  return () => {
    const path = join(folder, `${stem}-${process.pid}-${count++}.spool`);
    const file = openSync(path, "wx+", 0o600);
    unlinkSync(path);
    return file;
  };
}
