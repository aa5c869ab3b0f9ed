import { Readable } from "node:stream";
import { parse } from "pg-protocol";
import t from "tap";
import {
  backendKeyData,
  parameterStatus,
  readyForQuery,
} from "../../src/wire/postgres/backend-messages.ts";
import { errorResponse, noticeResponse } from "../../src/wire/postgres/error-response.ts";

/** What the decoder that most applications on Node.js use makes of bytes, a few at a time. */
async function decoded(bytes: Buffer): Promise<Record<string, unknown>[]> {
  const messages: Record<string, unknown>[] = [];
  // It may write into the buffers it is given, so every piece is a copy.
  const pieces = [...bytes].map((byte) => Buffer.from([byte]));
  await parse(Readable.from(pieces), (message) => {
    messages.push({ ...message });
  });
  return messages;
}

await t.test("what Twinwire says for itself is understood by pg-protocol", async (test) => {
  const fields = {
    sqlstate: "57P01",
    message: "terminating connection",
    detail: "The traffic is being switched.",
    hint: "Connect again.",
  };
  const messages = await decoded(
    Buffer.concat([
      backendKeyData(4711, Buffer.from([0, 0, 1, 0])),
      parameterStatus("TimeZone", "Europe/Zürich"),
      noticeResponse({ severity: "NOTICE", sqlstate: "00000", message: "by the way" }),
      errorResponse({ severity: "FATAL", ...fields }),
      readyForQuery("T"),
    ]),
  );
  test.match(messages, [
    { name: "backendKeyData", processID: 4711, secretKey: 256 },
    { name: "parameterStatus", parameterName: "TimeZone", parameterValue: "Europe/Zürich" },
    { name: "notice", message: "by the way" },
    { name: "error", severity: "FATAL", code: "57P01", detail: fields.detail, hint: fields.hint },
    { name: "readyForQuery", status: "T" },
  ]);
});
