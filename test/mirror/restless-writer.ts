import pg from "pg";

/** A writer that never rests, on a connection of its own. @returns what ends it */
export async function writeWithoutRest(url: string, sql: string): Promise<() => Promise<void>> {
  const writer = new pg.Client(url);
  await writer.connect();
  let writing = true;
  const written = (async () => {
    while (writing) await writer.query(sql);
  })();
  return async () => {
    writing = false;
    await written;
    await writer.end();
  };
}
