import type { TLSSocket } from "node:tls";
import type { Socket } from "node:net";
import { authenticate } from "./authentication.ts";
import type { Deadline } from "./deadline.ts";
import type { DialDeps, Dialled, DialRequest } from "./dial.ts";
import { LoginReader, typeName, violation } from "./login-reader.ts";
import type { LoginFrame } from "./login-reader.ts";
import { startupMessage } from "./startup-messages.ts";

/** `refused`: the server's ErrorResponse, and whether it came before AuthenticationOk. */
export type LoginOutcome =
  | { readonly kind: "ready"; readonly server: Dialled }
  | { readonly kind: "refused"; readonly frame: LoginFrame; readonly authenticated: boolean };

type Connection = { readonly socket: Socket; readonly tls: TLSSocket | undefined };
type Greeting = Omit<Dialled, "socket" | "encrypted" | "leftover">;

/**
 * Logs in on a connection just made, up to the first ReadyForQuery. The caller destroys the socket
 * unless the outcome is `ready`.
 * @throws CodedError
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export async function logIn(
  connection: Connection,
  request: DialRequest,
  deps: DialDeps,
  deadline: Deadline,
): Promise<LoginOutcome> {
  const { socket, tls } = connection;
  const reader = new LoginReader(socket);
  try {
    deadline.waitingFor = "the server to ask for authentication or let us in";
    socket.write(startupMessage(request.parameters));
    const outcome = await authenticate({
      socket,
      tls,
      reader,
      user: request.parameters.find(([name]) => name === "user")?.[1] ?? "",
      credentials: request.credentials,
      channelBinding: request.address.tls.channelBinding,
      random: deps.random,
      scramCache: deps.scramCache,
    });
    if (outcome.kind === "refused") return { ...outcome, authenticated: false };
    deadline.waitingFor = "ReadyForQuery";
    const greeting = await readGreeting(reader);
    if ("kind" in greeting) return greeting;
    const leftover = reader.release();
    const encrypted = tls !== undefined;
    return { kind: "ready", server: { ...greeting, socket, encrypted, leftover } };
  } finally {
    reader.release();
  }
}

/** From AuthenticationOk to ReadyForQuery. */
async function readGreeting(
  reader: LoginReader,
): Promise<Greeting | Extract<LoginOutcome, { kind: "refused" }>> {
  const frames: Buffer[] = [];
  const parameters = new Map<string, string>();
  let processId = 0;
  let secretKey: Uint8Array = Buffer.alloc(0);
  for (;;) {
    const frame = await reader.next();
    switch (String.fromCharCode(frame.type)) {
      case "S": {
        const [name, value] = parameterStatus(frame.body);
        parameters.set(name, value);
        frames.push(frame.bytes);
        break;
      }
      case "N":
        frames.push(frame.bytes);
        break;
      case "K":
        if (frame.body.length < 8 || frame.body.length > 260) {
          throw violation(`the server sent a BackendKeyData of ${frame.body.length} bytes`);
        }
        processId = frame.body.readInt32BE(0);
        secretKey = Buffer.from(frame.body.subarray(4));
        break;
      case "Z":
        return { processId, secretKey, greeting: Buffer.concat(frames), parameters };
      case "E":
        return { kind: "refused", frame, authenticated: true };
      default:
        throw violation(`the server sent ${typeName(frame.type)} before its first ReadyForQuery`);
    }
  }
}

function parameterStatus(body: Buffer): readonly [name: string, value: string] {
  const [name, value, rest, ...more] = body.toString("utf8").split("\0");
  if (name === undefined || value === undefined || rest !== "" || more.length > 0) {
    throw violation("the server sent a malformed ParameterStatus");
  }
  return [name, value];
}
