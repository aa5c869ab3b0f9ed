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

/** A logger whose level, and that of all its children, can be changed while it is used. */
export type AdjustableLogger = Logger & { setLevel(level: LogLevel): void };

/** A logger that writes one JSON object a line to standard error, which leaves standard output to commands. */
export function openLogger(first: LogLevel): AdjustableLogger {
  const inner = pino(
    { level: "debug", base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  let least = LEVELS.indexOf(first);
  const logger = filtered(inner, (level) => LEVELS.indexOf(level) >= least);
  return {
    ...logger,
    setLevel: (level) => {
      least = LEVELS.indexOf(level);
    },
  };
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

function filtered(inner: Logger, passes: (level: LogLevel) => boolean): Logger {
  const at =
    (level: "debug" | "info" | "warn" | "error") =>
    (fields: object, message: string): void => {
      if (passes(level)) inner[level](fields, message);
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => filtered(inner.child(fields), passes),
  };
}

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
