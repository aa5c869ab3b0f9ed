import { killCopies } from "./killed-copy.ts";

await killCopies(14, 16);
