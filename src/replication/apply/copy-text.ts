import { ByteSink, escapeTable } from "./byte-sink.ts";

const ESCAPES = escapeTable({
  "\b": "b",
  "\f": "f",
  "\n": "n",
  "\r": "r",
  "\t": "t",
  "\v": "v",
  "\\": "\\",
});
const TAB = 0x09;
const NEWLINE = 0x0a;
const COPY_DATA = 0x64;
/** About the size of a frame; a row longer than that is a frame of its own. */
const FRAME_BYTES = 60_000;

/**
 * Rows as CopyData frames in COPY's text format, header included.
 * @see https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
 */
export function* copyFrames(
  rows: Iterable<readonly (Uint8Array | null)[]>,
): Generator<Buffer, void, undefined> {
  const sink = new ByteSink(FRAME_BYTES + 5000);
  const begin = (): void => {
    sink.byte(COPY_DATA);
    sink.text("\0\0\0\0");
  };
  begin();
  for (const row of rows) {
    let isFirst = true;
    for (const value of row) {
      if (!isFirst) sink.byte(TAB);
      isFirst = false;
      if (value === null) sink.text("\\N");
      else sink.escaped(value, ESCAPES);
    }
    sink.byte(NEWLINE);
    if (sink.length < FRAME_BYTES) continue;
    sink.patchInt32(1, sink.length - 1);
    yield sink.take();
    begin();
  }
  if (sink.length === 5) return;
  sink.patchInt32(1, sink.length - 1);
  yield sink.take();
}
