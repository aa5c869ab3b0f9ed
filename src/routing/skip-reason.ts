/** Every reason for not running an exchange on the shadow. Each is a counter and a word in the reports. */
export const SKIP_REASONS = {
  disabled: "mirroring is switched off",
  sampled_out: "its transaction was not drawn by the sample",
  write: "it writes, and writes are skipped on the shadow",
  after_write:
    "an earlier statement of its transaction wrote, so the shadow could not see the same rows",
  read_write: "it asks for a read-write transaction, and the shadow runs read-only",
  ddl: "it changes the schema",
  copy_in: "it loads rows with COPY",
  volatile_function: "it calls a volatile function",
  side_effect: "it has an effect outside its transaction (lock, notification, file, other server)",
  session: "it reads or changes what belongs to one server session only",
  notify: "it listens or notifies",
  two_phase: "it prepares a transaction for two-phase commit",
  commits_inside:
    "it ends or begins a transaction among other statements, so it cannot be rehearsed and undone",
  table_lock: "it locks a whole table, which would hold up what replicates into the shadow",
  rehearsal_ended: "its rehearsal had held locks on the shadow for as long as it may",
  held_cursor: "it uses a cursor that outlives its transaction",
  utility: "it is a maintenance or administration command",
  function_call: "it uses the function-call sub-protocol",
  replication: "it is a replication connection",
  too_large: "its request is larger than the shadow queue may hold",
  unparsable: "it is not SQL that the parser knows and does not look like a read",
  rule: "a rule in the configuration excludes it",
  not_committed: "its transaction was not committed, so there is nothing to repeat on the shadow",
  queue_full: "the shadow was too far behind",
  shadow_down: "the shadow could not be reached",
  resync: "the shadow session was waiting for a transaction boundary to catch up",
  desync: "the protocol left the known path, so pairing was no longer certain",
} as const;

export type SkipReason = keyof typeof SKIP_REASONS;
