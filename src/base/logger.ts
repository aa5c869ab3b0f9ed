import { pino } from "pino";

/** Structured logging. Fields never hold statements' values, passwords or keys. */
export type Logger = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
};

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** A logger that writes one JSON object a line to standard error, which leaves standard output to commands. */
export function openLogger(level: LogLevel): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
