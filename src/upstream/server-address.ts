/** Where a side is and how to be trusted there. Structurally what the configuration calls a database URL. */
export type ServerAddress = {
  readonly host: string;
  readonly port: number;
  readonly tls: ServerTls;
};

/**
 * libpq's meanings of `sslmode` and `channel_binding`; certificates and keys as PEM. In verify-full no
 * root certificate means the authorities that Node.js trusts, libpq's `sslrootcert=system`.
 */
export type ServerTls = {
  readonly mode: "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";
  readonly rootCert: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly channelBinding: "disable" | "prefer" | "require";
};
