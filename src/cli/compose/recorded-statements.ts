import type { StoredExchange } from "../../divergence/recorded-exchange.ts";
import { RequestReader } from "../../proxy/request-reader.ts";
import { PreparedStatements } from "../../routing/prepared-statements.ts";
import type { Analyser } from "../../sql/analyser.ts";
import type { Statement } from "../../sql/statement.ts";

/** The statements that a stored exchange executes, read from its frames as a client's are. */
export function statementsOf(
  { prepared, frames }: StoredExchange,
  analyser: Analyser,
): readonly Statement[] {
  const statements: Statement[] = [];
  const reader = new RequestReader({
    analyse: (sql, start, end) => analyser.analyse(sql, start, end),
    prepared: new PreparedStatements(),
    keepBytes: () => 0,
    sealed: (request) => void statements.push(...request.statements),
    terminated: () => {},
  });
  for (const bytes of [...prepared, frames]) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    reader.push(chunk, 0, chunk.length);
  }
  return statements;
}
