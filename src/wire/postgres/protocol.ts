/** The newest minor version of protocol 3 that Twinwire speaks to clients. */
export const NEWEST_MINOR = 2;

/** From this minor version on secret keys may be longer than 4 bytes. */
export const LONG_KEYS_MINOR = 2;

/** The longest secret key of protocol 3.2, in bytes. */
export const MAX_SECRET_KEY_BYTES = 256;

/** The longest startup packet that PostgreSQL takes, without its length word. */
export const MAX_STARTUP_BYTES = 10_000;

/** What client and server agree on. `unknownOptions` are the `_pq_.` names asked for: none is known. */
export type Negotiated = {
  readonly minor: number;
  readonly unknownOptions: readonly string[];
  /** The client must be told with NegotiateProtocolVersion: it asked for more than there is. */
  readonly tell: boolean;
};

/** @see https://www.postgresql.org/docs/18/protocol-overview.html#PROTOCOL-VERSIONS */
export function negotiate(
  requestedMinor: number,
  parameters: readonly (readonly [name: string, value: string])[],
): Negotiated {
  const unknownOptions = parameters.map(([name]) => name).filter(isProtocolOption);
  const minor = Math.min(requestedMinor, NEWEST_MINOR);
  return { minor, unknownOptions, tell: minor < requestedMinor || unknownOptions.length > 0 };
}

/** Parameters of the protocol itself, reserved and never settings of the session. */
export function isProtocolOption(name: string): boolean {
  return name.startsWith("_pq_.");
}
