/** What of a plan's node is shown: names and numbers, never an expression, for it holds values. */
const NAMES = ["Join Type", "Strategy", "Partial Mode", "Command", "Parallel Aware"] as const;

/**
 * EXPLAIN (FORMAT JSON) as lines for people, one for each node, indented by depth:
 * `Index Scan using orders_pkey on orders (cost 0.29..8.31, 1 rows)`. Undefined for what is no plan.
 */
export function planText(json: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return undefined;
  }
  const [first] = Array.isArray(parsed) ? (parsed as readonly unknown[]) : [];
  const plan = field(first, "Plan");
  return plan === undefined ? undefined : lines(plan, 0).join("\n");
}

/** Plans nest as deeply as queries do; what is beyond is of no help to anybody. */
const MAX_DEPTH = 50;

function lines(node: unknown, depth: number): string[] {
  if (depth > MAX_DEPTH) return [];
  const inner = field(node, "Plans");
  const children = Array.isArray(inner) ? (inner as readonly unknown[]) : [];
  return [
    `${"  ".repeat(depth)}${nodeText(node)}`,
    ...children.flatMap((child) => lines(child, depth + 1)),
  ];
}

function nodeText(node: unknown): string {
  const details = NAMES.flatMap((name) => {
    const value = field(node, name);
    return typeof value === "string" && value !== "Plain" && value !== "Simple" ? [value] : [];
  });
  const kind = [text(node, "Node Type"), ...details.map((detail) => `(${detail})`)].join(" ");
  const index = text(node, "Index Name");
  const relation = text(node, "Relation Name") || text(node, "CTE Name");
  const using = index === "" ? "" : ` using ${index}`;
  const on = relation === "" ? "" : ` on ${relation}`;
  const cost = `cost ${number(node, "Startup Cost")}..${number(node, "Total Cost")}`;
  return `${kind}${using}${on} (${cost}, ${number(node, "Plan Rows")} rows)`;
}

function text(node: unknown, name: string): string {
  const value = field(node, name);
  return typeof value === "string" ? value : "";
}

function number(node: unknown, name: string): string {
  const value = field(node, name);
  return typeof value === "number" ? String(value) : "?";
}

function field(node: unknown, name: string): unknown {
  return typeof node === "object" && node !== null
    ? (node as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
