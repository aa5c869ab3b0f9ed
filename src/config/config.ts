/**
 * The configuration after loading: defaults filled in, secrets resolved, durations in
 * milliseconds and sizes in bytes. What the YAML looks like is in `config/twinwire.example.yaml`.
 */
export type Config = {
  readonly migrations: readonly MigrationConfig[];
  readonly admin: AdminConfig;
  readonly store: { readonly path: string };
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" | "silent" };
};

export type AdminConfig = {
  readonly host: string;
  readonly port: number;
  /** Required beyond loopback. */
  readonly token: string | undefined;
};

export type MigrationConfig = {
  readonly name: string;
  readonly listen: ListenConfig;
  readonly old: EndpointConfig;
  readonly new: EndpointConfig;
  readonly auth: AuthConfig;
  readonly shadow: ShadowConfig;
  readonly compare: CompareConfig;
  readonly replication: ReplicationConfig;
  readonly cutover: { readonly maxPauseMs: number; readonly guards: GuardBars };
};

/** How Twinwire moves the data, where it does so itself (`managed`). */
export type ReplicationConfig = {
  readonly managed: boolean;
  /** Which tables of OLD travel, such as `public.*` and `!public.audit_*`; the last pattern that matches a table decides, and none means no. */
  readonly tables: readonly string[];
  readonly mapping: {
    readonly tables: readonly MappedTableConfig[];
    readonly schemas: readonly MappedSchemaConfig[];
  };
  readonly copy: {
    /** Chunks at once. */
    readonly parallel: number;
    readonly chunkBytes: number;
    /** Bytes in a second; undefined: as fast as it goes. */
    readonly maxRate: number | undefined;
  };
  /** What happens when a mapped table's definition changes on the side that is read. */
  readonly ddl: "stop" | "additive" | "ignore";
  /** The migration gives its slot up before the log kept for it exceeds this. */
  readonly walBudgetBytes: number;
  /** The source keeps the log of what was applied for so long. */
  readonly ackMarginMs: number;
  /** By how many values the other side's sequences are ahead. */
  readonly sequences: { readonly headroom: number };
  readonly spool: {
    /** Folder for transactions that are too large for memory; undefined: within the store's. */
    readonly path: string | undefined;
    /** What a stream keeps in memory of transactions under way. */
    readonly memoryBytes: number;
  };
};

/** Names as the catalogue holds them. */
export type QualifiedName = { readonly schema: string; readonly name: string };

export type MappedSchemaConfig = { readonly schema: string; readonly to: string };

/** What a table of OLD becomes on NEW. */
export type MappedTableConfig = {
  readonly table: QualifiedName;
  readonly to: QualifiedName | undefined;
  /** Names on NEW by those on OLD; null: does not travel. Others keep their names. */
  readonly columns: Readonly<Record<string, string | null>>;
  /** Values, as the database prints them, of columns that only NEW has. */
  readonly constants: Readonly<Record<string, string | null>>;
  /** By the names on OLD. */
  readonly convert: Readonly<Record<string, "boolean_to_integer" | "integer_to_boolean">>;
  /** Only rows with one of these values in the column of OLD travel. */
  readonly where: { readonly column: string; readonly in: readonly (string | null)[] } | undefined;
};

/** What the guards of a cutover ask for; undefined where any number will do. */
export type GuardBars = {
  /** Share of the reads that were compared, 0 to 1; with 0 any that is above 0. */
  readonly minCompared: number;
  readonly maxDivergences: number;
  readonly maxUnsettled: number | undefined;
  /** Statements that are slower on NEW. */
  readonly maxDegraded: number | undefined;
};

export type ListenConfig = {
  readonly protocol: "postgres";
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  /** PEM texts, read from the files named. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** A client must have logged in after so long. */
  readonly loginTimeoutMs: number;
};

/** One connection string of the configuration, taken apart. */
export type EndpointConfig = {
  readonly url: DatabaseUrl;
  /** For Twinwire's own queries (catalogue, verifiers); the data path never uses it. */
  readonly admin: DatabaseUrl | undefined;
};

export type DatabaseUrl = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly tls: TlsOptions;
};

/** libpq's `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `channel_binding`; files already read as PEM. */
export type TlsOptions = {
  readonly mode: "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";
  readonly rootCert: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly channelBinding: "disable" | "prefer" | "require";
};

export type AuthConfig = {
  readonly method: "users" | "old" | "trust";
  readonly users: readonly UserConfig[];
};

export type UserConfig = {
  readonly name: string;
  readonly password: string | undefined;
  /** `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>` */
  readonly verifier: string | undefined;
};

export type ShadowConfig = {
  readonly enabled: boolean;
  /** Share of the transactions to mirror, 0 to 1. */
  readonly sample: number;
  readonly writes: "skip" | "rehearse" | "apply";
  readonly timeoutMs: number;
  /** A session's reads wait so long for the shadow to have what the session wrote. */
  readonly lagWaitMs: number;
  readonly queue: {
    /** Bounds for one session. */
    readonly exchanges: number;
    readonly bytes: number;
    /** Bound for all sessions of the migration together. */
    readonly totalBytes: number;
  };
  /** Bounds of what a rehearsed transaction may hold up on the shadow. */
  readonly rehearsal: {
    /** How long a statement may wait for a lock there. */
    readonly lockTimeoutMs: number;
    /** How long a transaction may stay open there once it has written, or stand idle. */
    readonly holdMs: number;
    /** How long nobody may have written a table before a difference in its rows is taken for real. */
    readonly quietMs: number;
  };
};

export type CompareConfig = {
  readonly rules: readonly CompareRuleConfig[];
  /** Volatile functions that are safe to run on the shadow all the same. */
  readonly safeFunctions: readonly string[];
  /** Answers up to this size are kept and compared as a whole, larger ones by digest. */
  readonly keepBytes: number;
  readonly recheck: RecheckConfig;
  readonly samples: {
    readonly perDivergence: number;
    readonly reveal: readonly string[];
    /** Requests in which a difference was seen are stored with their values, to be asked again later. */
    readonly storeRequests: boolean;
  };
};

/** How differences are asked about again before they are reported. */
export type RecheckConfig = {
  readonly enabled: boolean;
  /** Rechecks of one fingerprint in a minute. */
  readonly perMinute: number;
  readonly concurrent: number;
  /** How long the shadow is waited for, or a difference must last where nothing tells how far it is. */
  readonly patienceMs: number;
};

export type CompareRuleConfig = {
  readonly name: string;
  readonly match: {
    readonly fingerprint?: string | undefined;
    readonly table?: string | undefined;
    readonly column?: string | undefined;
    readonly type?: string | undefined;
  };
  readonly action:
    | { readonly kind: "ignore" }
    | {
        readonly kind: "tolerate";
        readonly absolute?: number | undefined;
        readonly relative?: number | undefined;
        /** Groups of SQLSTATEs that count as alike when both sides fail. */
        readonly sqlstates?: readonly (readonly string[])[] | undefined;
      }
    | {
        readonly kind: "clean";
        readonly with: readonly ("trim" | "lower_case" | "collapse_space" | "null_is_empty")[];
      }
    | { readonly kind: "sample"; readonly rate: number };
};
