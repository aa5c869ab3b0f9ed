import type { PreparedStatement } from "../routing/prepared-statements.ts";
import type { SessionState } from "../routing/session-state.ts";
import type { Dialled } from "../upstream/dial.ts";
import { FrameReader, LARGEST_MESSAGE_BYTES, typeFlags } from "../wire/postgres/frame-reader.ts";
import { queryMessage, SYNC_MESSAGE } from "../wire/postgres/frontend-messages.ts";
import { Backend, BACKEND_TYPES } from "../wire/postgres/message-types.ts";
import { errorFields } from "../wire/postgres/error-response.ts";
import { readParameterStatus } from "./server-parameters.ts";

const LIMITS = {
  wholeBytes: 16_384,
  interesting: typeFlags("ZES"),
  known: typeFlags(BACKEND_TYPES),
  maxBodyBytes: LARGEST_MESSAGE_BYTES,
};

/** The server session, with its parameters as they are now, or why it could not be made equal. */
export type InStep =
  | { readonly kind: "ready"; readonly server: Dialled }
  | { readonly kind: "refused"; readonly sqlstate: string };

/**
 * Makes a fresh server session equal to a client's: settings, then prepared statements.
 * @param timeoutMs for the whole of it
 */
export async function bringInStep(
  server: Dialled,
  state: SessionState,
  prepared: Iterable<PreparedStatement>,
  timeoutMs: number,
): Promise<InStep> {
  const frames = [...state.settings.values()].map(queryMessage);
  let answers = frames.length;
  for (const { origin } of prepared) {
    if (origin.kind === "parse") frames.push(origin.frame, SYNC_MESSAGE);
    else frames.push(queryMessage(origin.sql));
    answers++;
  }
  if (answers === 0) return { kind: "ready", server };
  return await replay(server, Buffer.concat(frames), answers, timeoutMs);
}

function replay(
  server: Dialled,
  frames: Buffer,
  answers: number,
  timeoutMs: number,
): Promise<InStep> {
  const { socket } = server;
  const parameters = new Map(server.parameters);
  return new Promise((resolve) => {
    let awaited = answers;
    let refused: string | undefined;
    const reader = new FrameReader(LIMITS, {
      frame: (type, bytes, start, end) => {
        if (type === Backend.ParameterStatus) {
          const [name, value] = readParameterStatus(bytes, start, end);
          parameters.set(name, value);
        } else if (type === Backend.ErrorResponse) {
          refused ??= errorFields(bytes.subarray(start, end)).get("C") ?? "XX000";
        } else if (--awaited === 0) {
          finish();
        }
      },
      largeFrame: () => {},
    });
    const finish = (): void => {
      clearTimeout(timer);
      socket.pause();
      socket.off("data", take);
      socket.off("close", lost);
      if (refused === undefined) resolve({ kind: "ready", server: { ...server, parameters } });
      else {
        socket.destroy();
        resolve({ kind: "refused", sqlstate: refused });
      }
    };
    const take = (chunk: Buffer): void => {
      if (reader.push(chunk, 0, chunk.length) < 0) lost();
    };
    const lost = (): void => {
      refused ??= "08006";
      finish();
    };
    const timer = setTimeout(lost, timeoutMs);
    socket.on("data", take);
    socket.on("close", lost);
    socket.resume();
    socket.write(frames);
  });
}
