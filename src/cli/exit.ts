/** What a pipeline can tell from the way a command ended. */
export const EXIT = { fine: 0, failed: 1, usage: 2, refused: 3, divergent: 4 } as const;

/** Ends a command with a sentence for people and a code for pipelines. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}
