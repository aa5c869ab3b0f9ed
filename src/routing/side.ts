/** The two databases of a migration. The names never change, whoever is primary. */
export type Side = "old" | "new";

export function otherSide(side: Side): Side {
  return side === "old" ? "new" : "old";
}
