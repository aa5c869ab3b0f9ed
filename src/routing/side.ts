/** The two databases of a migration. The names never change, whoever is primary. */
export type Side = "old" | "new";

/** Who answers the client (`primary`) and who is compared with it (`shadow`). */
export type Role = "primary" | "shadow";

export function otherSide(side: Side): Side {
  return side === "old" ? "new" : "old";
}
