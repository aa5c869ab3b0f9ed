import type { ParseResult } from "libpg-query";

/**
 * PostgreSQL 18's own parser. `unavailable` is said for the few milliseconds in which it is being
 * loaded again, and says nothing about the text.
 */
export type Parser = {
  parse(sql: Uint8Array): ParseOutcome;
  /** 16 hex digits, the same for texts that differ in literals only; undefined when it has none. */
  fingerprint(sql: Uint8Array): string | undefined;
};

export type ParseOutcome =
  | { readonly kind: "tree"; readonly tree: ParseResult }
  | { readonly kind: "refused" }
  | { readonly kind: "unavailable" };

/** What the WebAssembly module offers; pointers are numbers. */
type Module = {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _wasm_parse_query_raw(text: number): number;
  _wasm_free_parse_result(result: number): void;
  _wasm_fingerprint(text: number): number;
  _wasm_free_string(text: number): void;
  getValue(pointer: number, type: "i32"): number;
  UTF8ToString(pointer: number): string;
};

/**
 * The module under the package's own functions. A text that nests deeper than the stack leaves the
 * module in a state in which, some twenty such texts later, it no longer returns: it has to be
 * replaced, and the package's functions offer no way to.
 */
const MODULE_PATH: string = "libpg-query/wasm/libpg-query.js";

/** Offset of the error's pointer in the result, after those of the tree and of what went to stderr. */
const ERROR_OFFSET = 8;

/** Loads the parser: some 40 ms and 30 MB. */
export async function openParser(): Promise<Parser> {
  const imported: { default: () => Promise<Module> } = await import(MODULE_PATH);
  const load = imported.default;
  let module: Module | undefined = await load();

  /** Runs `use` on the text in the module's memory; a module that threw is replaced. */
  function withText<T>(sql: Uint8Array, use: (module: Module, text: number) => T): T | undefined {
    if (module === undefined) return undefined;
    const used = module;
    try {
      const text = used._malloc(sql.length + 1);
      used.HEAPU8.set(sql, text);
      used.HEAPU8[text + sql.length] = 0;
      const answer = use(used, text);
      used._free(text);
      return answer;
    } catch {
      // The text was too deep for the stack; what it is cannot be known, and the module is spoilt.
      module = undefined;
      void load().then(
        (fresh) => (module = fresh),
        () => undefined,
      );
      return undefined;
    }
  }

  return {
    parse(sql) {
      if (module === undefined) return { kind: "unavailable" };
      const json = withText(sql, treeOf);
      if (json === undefined) return { kind: "refused" };
      try {
        const tree: ParseResult = JSON.parse(json);
        return { kind: "tree", tree };
      } catch {
        // Nested too deeply for JSON.parse.
        return { kind: "refused" };
      }
    },
    fingerprint(sql) {
      const answer = withText(sql, fingerprintOf);
      // Errors come back as text in the place of the fingerprint.
      return answer !== undefined && /^[0-9a-f]{16}$/.test(answer) ? answer : undefined;
    },
  };
}

function treeOf(module: Module, text: number): string | undefined {
  const result = module._wasm_parse_query_raw(text);
  const failed = module.getValue(result + ERROR_OFFSET, "i32") !== 0;
  const json = failed ? undefined : module.UTF8ToString(module.getValue(result, "i32"));
  module._wasm_free_parse_result(result);
  return json;
}

function fingerprintOf(module: Module, text: number): string {
  const answer = module._wasm_fingerprint(text);
  const fingerprint = module.UTF8ToString(answer);
  module._wasm_free_string(answer);
  return fingerprint;
}
