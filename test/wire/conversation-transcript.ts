import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A frame of a recorded conversation. */
export type RecordedFrame = { readonly from: "frontend" | "backend"; readonly bytes: Buffer };

/** What was said after a login, in the order in which it was complete at the frontend. */
export type Transcript = {
  /** `16 COPY IN`: the server's major version and the conversation's name. */
  readonly name: string;
  readonly frames: readonly RecordedFrame[];
};

/** Beside the sources, for these files are read by people: one line a frame, the comment says what it is. */
const FOLDER = fileURLToPath(new URL("../../../test/wire/golden/", import.meta.url));

export function readTranscripts(): readonly Transcript[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".hex"))
    .toSorted()
    .map((file) => {
      const text = readFileSync(FOLDER + file, "utf8");
      return { name: file.slice(0, -".hex".length).replaceAll("-", " "), frames: parse(text) };
    });
}

export function writeTranscript({ name, frames }: Transcript): void {
  writeFileSync(`${FOLDER}${name.replaceAll(" ", "-")}.hex`, format({ name, frames }));
}

export function format({ name, frames }: Transcript): string {
  const [major, ...words] = name.split(" ");
  const head = `# PostgreSQL ${major}: ${words.join(" ")}. From the client >, from the server <.\n`;
  return head + frames.map((frame) => `${line(frame)}\n`).join("");
}

function line({ from, bytes }: RecordedFrame): string {
  const sign = from === "frontend" ? ">" : "<";
  const hex = bytes.toString("hex");
  const header = `${hex.slice(0, 2)} ${hex.slice(2, 10)}`;
  return `${sign} ${header} ${hex.slice(10)}`.trimEnd() + ` # ${comment(from, bytes)}`;
}

function parse(text: string): RecordedFrame[] {
  const lines = text.split("\n").filter((each) => each !== "" && !each.startsWith("#"));
  return lines.map((each) => ({
    from: each.startsWith(">") ? "frontend" : "backend",
    bytes: Buffer.from((each.slice(1).split("#")[0] ?? "").replaceAll(" ", ""), "hex"),
  }));
}

const NAMES: Readonly<Record<RecordedFrame["from"], Readonly<Record<string, string>>>> = {
  frontend: {
    B: "Bind",
    C: "Close",
    D: "Describe",
    E: "Execute",
    F: "FunctionCall",
    H: "Flush",
    P: "Parse",
    Q: "Query",
    S: "Sync",
    X: "Terminate",
    c: "CopyDone",
    d: "CopyData",
    f: "CopyFail",
  },
  backend: {
    "1": "ParseComplete",
    "2": "BindComplete",
    "3": "CloseComplete",
    A: "NotificationResponse",
    C: "CommandComplete",
    D: "DataRow",
    E: "ErrorResponse",
    G: "CopyInResponse",
    H: "CopyOutResponse",
    I: "EmptyQueryResponse",
    N: "NoticeResponse",
    S: "ParameterStatus",
    T: "RowDescription",
    V: "FunctionCallResponse",
    Z: "ReadyForQuery",
    c: "CopyDone",
    d: "CopyData",
    n: "NoData",
    s: "PortalSuspended",
    t: "ParameterDescription",
  },
};

/** The message's name and what of its body can be read. */
function comment(from: RecordedFrame["from"], bytes: Buffer): string {
  const name = NAMES[from][String.fromCharCode(bytes[0] as number)] ?? "?";
  const words = bytes.toString("latin1", 5).match(/[\x20-\x7e]{2,}/g) ?? [];
  const body = from === "backend" && name === "ReadyForQuery" ? bytes.toString("latin1", 5) : "";
  return `${name} ${body}${words.join(" ")}`.replaceAll(/\s+/g, " ").trim().slice(0, 110);
}
