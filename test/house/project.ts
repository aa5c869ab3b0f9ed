import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder: the tests run from `dist`, the rules are about the sources. */
export const PROJECT: string = fileURLToPath(new URL("../../../", import.meta.url));

export function projectText(path: string): string {
  return readFileSync(join(PROJECT, path), "utf8");
}

/** Paths from the project's folder of all files below `folder` with this ending, sorted. */
export function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(PROJECT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(ending))
    .map((path) => `${folder}/${path}`)
    .toSorted();
}
