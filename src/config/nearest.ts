import { distance } from "fastest-levenshtein";

/** @returns the candidate a person most likely meant by `word`, or undefined when none is close. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const folded = fold(word);
  // A third of the letters may be wrong: `adress` means `address`, `foo` means nothing.
  const limit = Math.max(1, Math.floor(folded.length / 3));
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: distance(folded, fold(candidate)) }))
    .filter((entry) => entry.distance <= limit)
    .toSorted((a, b) => a.distance - b.distance);
  return best?.candidate;
}

/** `maxPause`, `max-pause` and `MAX_PAUSE` all mean `max_pause`. */
function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_\s]/g, "");
}
