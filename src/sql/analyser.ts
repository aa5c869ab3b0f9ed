import { analyseText, type Reading, tooLong } from "./analyse-text.ts";
import type { Analysis } from "./analysis.ts";
import { openParser } from "./parser.ts";
import { hashOf, MAX_SPANS, newShape, scanShape, type Shape } from "./shape.ts";
import { newShapeCache, type ShapeCache } from "./shape-cache.ts";

export type AnalyserOptions = {
  /** Longer texts are not parsed: they are `unparsable`. Default 256 kB. */
  readonly maxTextBytes?: number;
  /** Shapes remembered at least; twice as many at most. Default 10,000. */
  readonly maxShapes?: number;
  /** Memory for remembered texts and analyses in bytes, roughly. Default 64 MB. */
  readonly maxCacheBytes?: number;
};

/** Statements by text. One per process is enough: it knows nothing of sessions. */
export type Analyser = {
  /**
   * The analysis of the query string `sql[start .. end]`, without its terminating zero. The same
   * object for every text of the same shape that is still remembered. Never throws.
   */
  analyse(sql: Uint8Array, start: number, end: number): Analysis;
};

/** What is known of a shape: its analysis, or that it depends on some of the literals. */
type Known =
  | { readonly kind: "same"; readonly analysis: Analysis }
  | { readonly kind: "by_literals"; readonly ordinals: readonly number[] }
  | { readonly kind: "by_text" };

/** How much of a text too long for the parser is looked at. */
const BEGINNING_BYTES = 65_536;

const BY_TEXT: Known = { kind: "by_text" };

/** Loads the parser and gives an analyser with an empty memory. */
export async function openAnalyser(options: AnalyserOptions = {}): Promise<Analyser> {
  const parser = await openParser();
  const maxTextBytes = options.maxTextBytes ?? 262_144;
  const bytes = (options.maxCacheBytes ?? 64 * 1024 * 1024) / 6;
  const entries = options.maxShapes ?? 10_000;
  const shape = newShape();
  const shapes: ShapeCache<Known> = newShapeCache({ entries, bytes });
  // Texts by their shape and the literals that matter, and texts by all their bytes.
  const variants: ShapeCache<Analysis> = newShapeCache({ entries, bytes });
  const texts: ShapeCache<Analysis> = newShapeCache({ entries, bytes });

  function remembered<Value>(
    cache: ShapeCache<Value>,
    key: Uint8Array,
    reading: Reading,
    value: Value,
  ): void {
    if (!reading.passing) cache.set(key, hashOf(key, 0, key.length), value, sizeOf(reading));
  }

  function byKey(cache: ShapeCache<Analysis>, key: Uint8Array, sql: Uint8Array): Analysis {
    const found = cache.get(key, key.length, hashOf(key, 0, key.length));
    if (found !== undefined) return found;
    const reading = analyseText(parser, sql);
    remembered(cache, key, reading, reading.analysis);
    return reading.analysis;
  }

  function unknown(sql: Uint8Array): Analysis {
    const key = shape.bytes.slice(0, shape.length);
    const reading = analyseText(parser, sql);
    const known = knowledge(shape, reading);
    remembered(shapes, key, reading, known);
    if (known.kind === "by_text") remembered(texts, sql.slice(), reading, reading.analysis);
    if (known.kind === "by_literals")
      remembered(variants, variantKey(shape, sql, known.ordinals), reading, reading.analysis);
    return reading.analysis;
  }

  return {
    analyse(sql, start, end) {
      if (end - start > maxTextBytes) return tooLong(sql.subarray(start, start + BEGINNING_BYTES));
      scanShape(shape, sql, start, end);
      if (!shape.exact) {
        const known = shapes.get(shape.bytes, shape.length, shape.hash);
        if (known?.kind === "same") return known.analysis;
        const text = sql.subarray(start, end);
        if (known === undefined) return unknown(text);
        if (known.kind === "by_literals")
          return byKey(variants, variantKey(shape, text, known.ordinals), text);
      }
      return byKey(texts, sql.slice(start, end), sql.subarray(start, end));
    },
  };
}

function knowledge(shape: Shape, reading: Reading): Known {
  const { analysis, literals } = reading;
  if (shape.literals === 0 || literals.length === 0) return { kind: "same", analysis };
  if (literals === "all") return BY_TEXT;
  const ordinals = [...new Set(literals.map((location) => ordinalAt(shape, location)))];
  return ordinals.includes(-1) ? BY_TEXT : { kind: "by_literals", ordinals };
}

/** The number of the first literal that ends after `location`: a sign may stand before it. */
function ordinalAt(shape: Shape, location: number): number {
  const kept = Math.min(shape.literals, MAX_SPANS);
  for (let ordinal = 0; ordinal < kept; ordinal++) {
    if ((shape.spans[2 * ordinal + 1] as number) > location) return ordinal;
  }
  return -1;
}

/** The shape and the literals that matter, a zero byte before each: neither holds one itself. */
function variantKey(shape: Shape, sql: Uint8Array, ordinals: readonly number[]): Uint8Array {
  const spans = ordinals.map((ordinal) =>
    sql.subarray(shape.spans[2 * ordinal], shape.spans[2 * ordinal + 1]),
  );
  const key = new Uint8Array(spans.reduce((sum, span) => sum + 1 + span.length, shape.length));
  key.set(shape.bytes.subarray(0, shape.length));
  let at = shape.length;
  for (const span of spans) {
    key.set(span, at + 1);
    at += 1 + span.length;
  }
  return key;
}

/** What an analysis holds, roughly, in bytes. */
function sizeOf(reading: Reading): number {
  let size = 256;
  for (const statement of reading.analysis.statements) {
    size += 1024 + 2 * statement.normalised.length;
    for (const effect of statement.effects) if ("sql" in effect) size += 2 * effect.sql.length;
  }
  return size;
}
