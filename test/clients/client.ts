/** A client of PostgreSQL that runs the same workload wherever it is pointed. */
export type Client = {
  readonly name: string;
  /** Why it cannot run on this machine. */
  missing(): Promise<string | undefined>;
  /** Everything the client was told, as text; the same for the same server. `folder` keeps files between runs. */
  run(url: string, folder: string): Promise<string>;
};

/** Lines of what was told, one value each. */
export type Transcript = {
  readonly show: (title: string, value: unknown) => void;
  readonly text: () => string;
};

export function transcript(): Transcript {
  const lines: string[] = [];
  return {
    show: (title, value) => lines.push(`${title}: ${JSON.stringify(value, plain)}`),
    text: () => lines.join("\n"),
  };
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value;
}
