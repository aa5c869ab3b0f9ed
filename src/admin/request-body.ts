import type { IncomingMessage } from "node:http";
import { problem } from "./endpoint.ts";
import type { Body, Problem } from "./endpoint.ts";

export type ReadBody = { readonly kind: "read"; readonly value: unknown } | Problem;

/** Reads and checks the JSON body of a request; an endpoint without one takes none, or `{}`. */
export async function readBody(
  request: IncomingMessage,
  body: Body | undefined,
  maxBytes: number,
): Promise<ReadBody> {
  const bytes = await collect(request, maxBytes);
  if (bytes === undefined) {
    return problem(413, "too_large", `A body may have ${maxBytes} bytes at most.`);
  }
  if (bytes.length === 0) {
    return body?.required === true
      ? problem(400, "bad_body", "A JSON body is needed.")
      : { kind: "read", value: undefined };
  }
  // Whatever type it claims: `curl -d` claims a form. Pages of other origins were refused before.
  const json = parseJson(bytes);
  if (json.kind === "wrong")
    return problem(400, "bad_body", `The body is not JSON: ${json.detail}.`);
  const outcome = (body ?? NO_BODY).parse(json.value);
  return outcome.kind === "wrong" ? problem(400, "bad_body", outcome.detail) : outcome;
}

const NO_BODY: Body = {
  schema: {},
  required: false,
  parse: (value) =>
    typeof value === "object" && value !== null && Object.keys(value).length === 0
      ? { kind: "read", value: undefined }
      : { kind: "wrong", detail: "Nothing is expected in the body here." },
};

async function collect(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  // Ending the loop early must leave the connection usable, so that the refusal can be written.
  const iterator: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of iterator) {
    length += chunk.length;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseJson(
  bytes: Buffer,
): { kind: "json"; value: unknown } | { kind: "wrong"; detail: string } {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { kind: "json", value: JSON.parse(text) as unknown };
  } catch (error) {
    if (!(error instanceof SyntaxError)) return { kind: "wrong", detail: "it is not UTF-8" };
    // The engine's message quotes the body; only the place is of use.
    const place = /at position (\d+)/.exec(error.message)?.[1];
    if (place !== undefined) return { kind: "wrong", detail: `character ${place} does not fit` };
    const early = error.message.includes("end of JSON");
    return { kind: "wrong", detail: early ? "it ends too early" : "a character does not fit" };
  }
}
