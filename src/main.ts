#!/usr/bin/env node
import { run } from "./cli/program.ts";
import { systemTerminal } from "./cli/terminal.ts";

process.exitCode = await run(process.argv.slice(2), systemTerminal());
