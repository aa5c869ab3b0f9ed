import type { Noise } from "./statement.ts";

/** Why a statement that calls the function may not run on a read-only shadow. */
export type SideEffect = "volatile_function" | "side_effect" | "notify" | "session";

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

/** Another value at each call, and nothing else. */
const DRAWN: readonly string[] = words(`
  random random_normal gen_random_uuid uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc
  uuid_generate_v4 gen_random_bytes gen_salt array_sample array_shuffle normal_rand
  clock_timestamp timeofday
`);

/** Run a query that is given as text, so what they do cannot be known. */
const RUNS_TEXT: readonly string[] = words(`
  query_to_xml query_to_xmlschema query_to_xml_and_xmlschema crosstab connectby xpath_table
`);

/** What they do stays when the transaction is rolled back, or reaches beyond the database. */
const REACHING_OUT: readonly string[] = words(`
  nextval setval
  pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
  pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all
  pg_advisory_xact_lock pg_advisory_xact_lock_shared
  pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
  lo_creat lo_create lo_from_bytea lo_import lo_export lo_put lo_unlink lo_truncate lo_truncate64
  lowrite
  pg_cancel_backend pg_terminate_backend pg_log_backend_memory_contexts
  pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_promote
  pg_switch_wal pg_create_restore_point pg_log_standby_snapshot
  pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup
  pg_wal_replay_pause pg_wal_replay_resume
  pg_logical_emit_message pg_logical_slot_get_changes pg_logical_slot_get_binary_changes
  pg_logical_slot_peek_changes pg_logical_slot_peek_binary_changes
  pg_create_logical_replication_slot pg_create_physical_replication_slot
  pg_copy_logical_replication_slot pg_copy_physical_replication_slot
  pg_drop_replication_slot pg_replication_slot_advance pg_sync_replication_slots
  pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_advance
  pg_replication_origin_session_setup pg_replication_origin_session_reset
  pg_replication_origin_xact_setup pg_replication_origin_xact_reset
  pg_stat_reset pg_stat_reset_shared pg_stat_reset_single_table_counters
  pg_stat_reset_single_function_counters pg_stat_reset_slru pg_stat_reset_replication_slot
  pg_stat_reset_subscription_stats pg_stat_reset_backend_stats pg_stat_statements_reset
  pg_stat_force_next_flush pg_clear_attribute_stats pg_clear_relation_stats
  pg_restore_attribute_stats pg_restore_relation_stats
  pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_logdir
  pg_ls_waldir pg_ls_tmpdir pg_ls_archive_statusdir
  pg_file_write pg_file_sync pg_file_rename pg_file_unlink pg_logdir_ls
  pg_import_system_collations pg_extension_config_dump pg_nextoid pg_stop_making_pinned_objects
  brin_summarize_new_values brin_summarize_range brin_desummarize_range gin_clean_pending_list
  pg_prewarm autoprewarm_start_worker autoprewarm_dump_now pg_truncate_visibility_map
  dblink dblink_exec dblink_connect dblink_connect_u dblink_disconnect dblink_open dblink_fetch
  dblink_close dblink_send_query dblink_get_result dblink_cancel_query dblink_is_busy
  dblink_get_notify postgres_fdw_disconnect postgres_fdw_disconnect_all
`);

/** Read or change what one server session alone has. */
const OF_THE_SESSION: readonly string[] = words(`
  pg_backend_pid currval lastval setseed
  txid_current txid_current_if_assigned pg_current_xact_id pg_current_xact_id_if_assigned
  pg_my_temp_schema pg_listening_channels pg_export_snapshot
  pg_replication_origin_session_is_setup pg_replication_origin_session_progress
  lo_open lo_close loread lo_lseek lo_lseek64 lo_tell lo_tell64
  dblink_get_connections pg_stat_clear_snapshot
`);

function sideEffects(): ReadonlyMap<string, SideEffect> {
  const table = new Map<string, SideEffect>();
  for (const name of DRAWN) table.set(name, "volatile_function");
  for (const name of RUNS_TEXT) table.set(name, "volatile_function");
  for (const name of REACHING_OUT) table.set(name, "side_effect");
  for (const name of OF_THE_SESSION) table.set(name, "session");
  table.set("pg_notify", "notify");
  return table;
}

/** Functions that come with PostgreSQL or its extensions, by bare name, and what keeps them off a shadow. */
export const SIDE_EFFECTS: ReadonlyMap<string, SideEffect> = sideEffects();

/** Called volatile by some server's catalogue, and yet nothing but a read (or a nap). */
export const HARMLESS: ReadonlySet<string> = new Set(
  words(`
  timezone set_config pg_sleep pg_sleep_for pg_sleep_until current_query lo_get
  pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_database_size
  pg_tablespace_size pg_sequence_last_value pg_is_in_recovery pg_blocking_pids
  pg_safe_snapshot_blocking_pids pg_lock_status pg_partition_tree pg_partition_ancestors
  pg_jit_available pg_xact_status txid_status pg_xact_commit_timestamp pg_last_committed_xact
  pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_last_wal_receive_lsn
  pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_is_wal_replay_paused
  pg_collation_actual_version pg_database_collation_actual_version pg_notification_queue_usage
  pg_control_system pg_control_checkpoint pg_control_init pg_control_recovery
  pg_show_all_file_settings pg_hba_file_rules pg_prepared_xact ts_stat ts_rewrite
  cursor_to_xml cursor_to_xmlschema
`),
);

const CLOCK: ReadonlySet<string> = new Set(
  words(`
  now transaction_timestamp statement_timestamp clock_timestamp timeofday
  current_date current_time current_timestamp localtime localtimestamp
`),
);

const DRAWN_SET: ReadonlySet<string> = new Set(DRAWN);

const OF_THE_SERVER: ReadonlySet<string> = new Set(
  words(`
  version inet_server_addr inet_server_port inet_client_addr inet_client_port
  pg_postmaster_start_time pg_conf_load_time pg_current_snapshot txid_current_snapshot
  pg_snapshot_xmin pg_snapshot_xmax pg_snapshot_xip pg_visible_in_snapshot
  pg_relation_filenode pg_relation_filepath pg_filenode_relation pg_current_logfile
  pg_walfile_name pg_walfile_name_offset pg_wal_lsn_diff pg_stat_file
  pg_tablespace_location pg_trigger_depth pg_options_to_table nextval currval lastval
`),
);

/** What calling this built-in function (bare name) says of an answer, if anything. */
export function noiseOfFunction(name: string): Noise | undefined {
  if (CLOCK.has(name)) return "clock";
  if (DRAWN_SET.has(name)) return "volatile";
  if (OF_THE_SERVER.has(name) || name.startsWith("pg_stat_")) return "server";
  if (SIDE_EFFECTS.get(name) === "session") return "server";
  return name.startsWith("pg_") && HARMLESS.has(name) && !name.startsWith("pg_sleep")
    ? "server"
    : undefined;
}

/** Session-level locks: they outlive the transaction and cannot move to another server. */
export const SESSION_LOCKS: ReadonlySet<string> = new Set(
  words(`
  pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
`),
);

/** Aggregates whose value depends on the order in which the rows come. */
export const ORDERED_AGGREGATES: ReadonlySet<string> = new Set(
  words(`array_agg string_agg json_agg jsonb_agg json_object_agg json_agg_strict jsonb_agg_strict
  json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict xmlagg`),
);

/** Window functions that number or pick rows by the window's order. */
export const ORDERED_WINDOW_FUNCTIONS: ReadonlySet<string> = new Set(
  words(`row_number ntile lag lead first_value last_value nth_value`),
);

/** Aggregates enough to see that a SELECT without GROUP BY yields exactly one row. */
export const AGGREGATES: ReadonlySet<string> = new Set(
  words(`count sum avg min max bool_and bool_or every bit_and bit_or stddev variance
  array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg xmlagg`),
);

/** Settings that should be alike on both sides: an application would notice a difference. */
export const COMPARABLE_SETTINGS: ReadonlySet<string> = new Set(
  words(`timezone datestyle intervalstyle search_path client_encoding server_encoding
  standard_conforming_strings bytea_output extra_float_digits xmloption role
  transaction_isolation default_transaction_isolation lc_monetary lc_numeric lc_time
  lc_collate lc_ctype integer_datetimes statement_timeout lock_timeout max_identifier_length
  default_text_search_config quote_all_identifiers row_security transform_null_equals`),
);
