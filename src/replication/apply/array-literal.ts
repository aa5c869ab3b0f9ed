import { ByteSink, escapeTable } from "./byte-sink.ts";

const ESCAPES = escapeTable({ '"': '"', "\\": "\\" });
const QUOTE = 0x22;
const COMMA = 0x2c;

/**
 * Values as one array in text form, each in quotes, which every element type takes.
 * @param delimiter as in `pg_type.typdelim`; a comma for all types but `box`
 * @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function arrayLiteral(
  values: readonly (Uint8Array | null)[],
  delimiter: number = COMMA,
): Buffer {
  let size = 2;
  for (const value of values) size += (value?.length ?? 1) + 3;
  const sink = new ByteSink(size);
  sink.text("{");
  let isFirst = true;
  for (const value of values) {
    if (!isFirst) sink.byte(delimiter);
    isFirst = false;
    if (value === null) {
      sink.text("NULL");
      continue;
    }
    sink.byte(QUOTE);
    sink.escaped(value, ESCAPES);
    sink.byte(QUOTE);
  }
  sink.text("}");
  return sink.take();
}
