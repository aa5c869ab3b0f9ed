/** Where something is in a document: keys and list indexes from the root. */
export type Path = readonly (string | number)[];

/** Something wrong at one place. `message` never repeats a value, which could be a secret. */
export type Problem = {
  readonly path: Path;
  /** Which part of the entry the position points at. */
  readonly at: "key" | "value";
  readonly message: string;
};

/** Writes a path as people do: `migrations[0].listen.address`; the root is empty. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text === "" ? step : `${text}.${step}`;
  }, "");
}

/** Names what a YAML or JSON value is, without saying what it holds. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  const kinds: Readonly<Record<string, string>> = {
    string: "text",
    number: "a number",
    boolean: "true or false",
    object: "a mapping",
  };
  return kinds[typeof value] ?? "something else";
}
