/** Runs everything for a configuration file until a signal ends it. @returns the exit code. */
export async function serve(_options: { readonly config: string }): Promise<number> {
  process.stderr.write("twinwire serve is not wired yet\n");
  return 1;
}
