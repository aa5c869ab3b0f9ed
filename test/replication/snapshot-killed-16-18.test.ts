import { killCopies } from "./killed-copy.ts";

await killCopies(16, 18);
