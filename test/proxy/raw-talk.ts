import { query, sync, terminate } from "./raw-messages.ts";
import type { RawSession, RawStartup } from "./raw-session.ts";

/** What a conversation may do besides talking. */
export type Stage = {
  /** Opens a session of the conversation, logged in; all it hears is compared. */
  readonly open: (startup?: RawStartup) => Promise<RawSession>;
  /** Sends a cancel request for a session. */
  readonly cancel: (key: RawSession["key"]) => Promise<void>;
  /** Asks the primary itself; nobody hears it. */
  readonly ask: (sql: string) => Promise<readonly (readonly (string | null)[])[]>;
  /** Waits until a query to the primary itself says yes. */
  readonly until: (sql: string) => Promise<void>;
};

/** A scripted talk with a server. Played twice on equal servers it hears the same bytes. */
export type Conversation = {
  readonly name: string;
  readonly play: (stage: Stage) => Promise<void>;
};

/** What conversations find in the database; the same rows on every server. */
export const FIXTURE = `
  create table items (id int primary key, name text not null, price numeric(10,2), made timestamptz, data bytea, tags text[]);
  insert into items select n, 'item ' || n, n * 1.25, '2024-01-01 00:00:00Z'::timestamptz + n * interval '1 hour',
    decode(lpad(to_hex(n), 8, '0'), 'hex'), array['all', 'n' || n % 7] from generate_series(1, 500) n;
  create table inbox (id int, body text);
  create table strict_inbox (id int primary key, body text check (length(body) < 1000));
  create unlogged table bulk (id int, body text);
  create function complain() returns int language plpgsql as $$ begin
    raise notice 'a notice with a value: %', 7;
    raise warning 'a warning' using detail = 'its detail', hint = 'its hint', errcode = '01234';
    return 7; end $$;
  create function refuse() returns trigger language plpgsql as $$ begin
    raise exception 'not today' using errcode = 'P4242'; end $$;
  create table closed_inbox (id int);
  create trigger refuse before insert on closed_inbox for each statement execute function refuse();
`;

type Step = Buffer | string | readonly Step[];

/** One session, one list of steps: frames are sent, texts are frame types waited for. */
export function talk(name: string, ...steps: readonly Step[]): Conversation {
  return {
    name,
    async play({ open }: Stage) {
      const session = await open();
      const take = async (step: Step): Promise<void> => {
        if (typeof step === "string") await session.until(step);
        else if (Buffer.isBuffer(step)) session.send(step);
        else for (const part of step) await take(part);
      };
      await take(steps);
      session.send(terminate);
      await session.closed();
    },
  };
}

/** A Query, and the answer waited for. */
export const asked = (sql: string): Step => [query(sql), "Z"];
/** The end of a batch, and the answer waited for. */
export const synced: Step = [sync, "Z"];
