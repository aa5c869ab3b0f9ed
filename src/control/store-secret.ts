import type { EmbeddedDatabase } from "./embedded-database.ts";

const SECRET_SCHEMA: readonly string[] = [
  "CREATE TABLE secret (name TEXT PRIMARY KEY, hex TEXT NOT NULL) STRICT, WITHOUT ROWID",
];
const SELECT_SECRET = "SELECT hex FROM secret WHERE name = ?";
const INSERT_SECRET = "INSERT INTO secret (name, hex) VALUES (?, ?)";
const SECRET_BYTES = 32;

/**
 * 32 random bytes that are made once for a store, by name, and never leave it.
 * @throws {CodedError} `store_failed`.
 */
export function storeSecret(
  database: EmbeddedDatabase,
  name: string,
  randomBytes: (size: number) => Uint8Array,
): Uint8Array {
  database.migrate("secret", SECRET_SCHEMA);
  const stored = database.all(SELECT_SECRET, [name])[0]?.["hex"];
  if (typeof stored === "string") return Buffer.from(stored, "hex");
  const secret = randomBytes(SECRET_BYTES);
  database.transaction("durable", () => {
    database.run(INSERT_SECRET, [name, Buffer.from(secret).toString("hex")]);
  });
  return secret;
}
