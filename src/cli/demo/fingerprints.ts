import { openAnalyser } from "../../sql/analyser.ts";

/** Loads Twinwire's own reading of SQL. @returns the fingerprint of a statement, as the reports name it. */
export async function openFingerprints(): Promise<(statement: string) => string> {
  const analyser = await openAnalyser();
  return (statement) => {
    const bytes = Buffer.from(statement);
    return analyser.analyse(bytes, 0, bytes.length).statements[0]?.fingerprint ?? "";
  };
}
