import type { Guard, Page } from "../admin/ports.ts";
import { CommandError, EXIT } from "./exit.ts";

/** What the commands need of the admin API of a running `twinwire serve`. */
export type AdminClient = {
  get<T>(path: string): Promise<T>;
  getText(path: string): Promise<string>;
  post<T>(path: string, body?: object): Promise<T>;
  delete<T>(path: string): Promise<T>;
};

export type ClientOptions = {
  /** `http://host:port`, or `host:port`. */
  readonly admin: string;
  readonly token?: string | undefined;
};

/** @throws CommandError `usage` when the address is none; its methods throw CommandError with the reason. */
export function openAdminClient({ admin, token }: ClientOptions): AdminClient {
  const base = baseUrl(admin);
  const call = async (method: string, path: string, body?: object): Promise<Response> => {
    const response = await fetch(new URL(path, base), {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    }).catch((error: unknown) => {
      throw unreachable(base, error);
    });
    if (!response.ok) throw await refusal(response);
    return response;
  };
  return {
    get: async (path) => (await call("GET", path)).json() as Promise<never>,
    getText: async (path) => (await call("GET", path)).text(),
    post: async (path, body) => (await call("POST", path, body)).json() as Promise<never>,
    delete: async (path) => (await call("DELETE", path)).json() as Promise<never>,
  };
}

/** All items of a list that comes in pages. */
export async function allPages<T>(client: AdminClient, path: string): Promise<T[]> {
  const items: T[] = [];
  let after: string | null = null;
  do {
    const query: string = after === null ? "" : `&after=${encodeURIComponent(after)}`;
    const join = path.includes("?") ? "&" : "?";
    const page: Page<T> = await client.get<Page<T>>(`${path}${join}limit=1000${query}`);
    items.push(...page.items);
    after = page.next;
  } while (after !== null);
  return items;
}

function baseUrl(admin: string): URL {
  const text = /^https?:\/\//.test(admin) ? admin : `http://${admin}`;
  if (!URL.canParse(text)) {
    throw new CommandError("--admin: expected http://host:port", EXIT.usage);
  }
  return new URL(text);
}

function unreachable(base: URL, error: unknown): CommandError {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  const message = `no answer from ${base.origin}${code}: is \`twinwire serve\` running there?`;
  return new CommandError(message, EXIT.failed, { cause: error });
}

type ProblemBody = {
  readonly code?: string;
  readonly detail?: string;
  readonly guards?: readonly Guard[];
};

async function refusal(response: Response): Promise<CommandError> {
  const body = await response.json().then(
    (value) => value as ProblemBody,
    () => ({}) as ProblemBody,
  );
  const detail = body.detail ?? `the admin API answered ${response.status}`;
  if (response.status === 401) {
    return new CommandError(`${detail} Give it with --token or in TWINWIRE_TOKEN.`);
  }
  const failed = (body.guards ?? []).filter(({ ok }) => !ok);
  const lines = failed.map(
    ({ name, value, limit, cure }) => `  ${name}: ${value}, limit ${limit}. ${cure}`,
  );
  const refused = body.code === "refused_by_guard";
  return new CommandError([detail, ...lines].join("\n"), refused ? EXIT.refused : EXIT.failed);
}
