/** The part of the page's script that shows differences and rules, and lets something be done about them. */
export const FINDINGS: string = String.raw`function showDivergences({ items, next }) {
  show("divergences", [items, next], () => [divergenceTable(items, "None is open. What was not compared is under coverage."), next ? h("p", { class: "quiet" }, "More in the report.") : ""]);
}
function showOthers({ items }) {
  const others = items.filter((item) => item.state !== "confirmed");
  const counts = ["unsettled", "ruled", "closed"].map((kind) => others.filter((item) => item.state === kind).length + " " + kind).join(", ");
  $("others").hidden = others.length === 0;
  $("others-title").textContent = "Other differences: " + counts;
  show("other-divergences", others, () => divergenceTable(others, ""));
}
function divergenceTable(items, empty) {
  return table(
    [{ text: "What differs" }, { text: "Statement" }, { text: "Times", number: true }, { text: "Last seen", number: true }],
    items.map((item) => [
      [h("strong", {}, words(item.reason) + (item.column ? " in " + item.column : "")), h("span", { class: "badge" }, item.state), h("div", { class: "quiet" }, item.explanation), h("div", { class: "quiet" }, item.settled), samples(item.samples), doing(item)],
      h("code", { title: item.statement }, item.statement), number.format(item.count), h("time", { datetime: item.lastSeen }, ago(item.lastSeen))]),
    empty);
}
const NUMBERS = ["numeric_value", "float_precision", "numeric_scale"];
const TEXTS = ["value", "text_value", "text_case", "trailing_space"];
function doing(item) {
  if (item.state === "ruled" || item.state === "closed") return null;
  const path = "/divergences/" + encodeURIComponent(item.id);
  const what = words(item.reason) + (item.column ? " in " + item.column : "");
  const rule = (action) => act("/rules", { divergence: item.id, ...action });
  return h("div", { class: "doing" },
    item.repeatable.ok ? button("Ask again", "Ask both sides again: " + what, () => act(path + "/recheck")) : h("span", { class: "quiet", title: item.repeatable.reason }, "cannot be asked again"),
    button("Ignore", "Ignore by a rule: " + what, () => act("/rules", { divergence: item.id, ignore: true }, item.column ? "The column " + item.column + " of this statement is not compared any more." : "This statement is not compared any more.", "Ignore")),
    NUMBERS.includes(item.reason) && item.column ? button("Tolerate…", "Tolerate by a rule: " + what, async () => {
      const amount = await ask("Tolerate", "Numbers in " + item.column + " of this statement may differ by so much.", "Tolerate", false, true);
      if (amount) rule({ tolerate: { absolute: Number(amount) } });
    }) : null,
    TEXTS.includes(item.reason) && item.column ? button("Clean", "Clean by a rule: " + what, () => act("/rules", { divergence: item.id, clean: ["trim", "lower_case", "collapse_space"] }, "Texts in " + item.column + " of this statement are compared without case and superfluous blanks.", "Clean")) : null,
    button("Close", "Say that it was cured: " + what, () => act(path + "/close")));
}
function showRules({ items }) {
  const from = (rule) => rule.source === "file" ? "configuration" : [rule.divergence ? "divergence " + rule.divergence + ", " : "", h("time", { datetime: rule.madeAt }, ago(rule.madeAt))];
  const where = (rule) => Object.entries(rule.match).map(([key, value]) => key + " " + value).join(", ") || "anything";
  show("rules", items, () => table(
    [{ text: "Rule" }, { text: "Does" }, { text: "From" }, { text: "Applied", number: true }, { text: "Covers", number: true }, { text: "" }],
    items.map((rule) => [
      [rule.name, ...rule.warnings.map((warning) => h("div", { class: "bad" }, warning))],
      [words(rule.action.kind) + (rule.action.kind === "clean" ? " " + rule.action.with.map(words).join(", ") : rule.action.kind === "tolerate" ? " " + ["absolute", "relative"].filter((key) => rule.action[key] !== undefined).map((key) => key + " " + rule.action[key]).join(", ") : ""), h("div", { class: "quiet" }, where(rule))],
      from(rule), number.format(rule.applied), number.format(rule.covers),
      rule.source === "file" ? "" : button("Remove", "Remove the rule " + rule.name, () => act("/rules/" + encodeURIComponent(rule.name), undefined, "What the rule " + rule.name + " covers is open again.", "Remove", "DELETE"))]),
    "None. A rule is made of a divergence above, or written in the configuration."));
}
function samples(list) {
  if (list.length === 0) return null;
  return h("details", {}, h("summary", {}, list.length === 1 ? "1 sample" : list.length + " samples"),
    table([{ text: "primary" }, { text: "shadow" }], list.map((sample) => [h("code", {}, sample.primary === null ? "NULL" : sample.primary), h("code", {}, sample.shadow === null ? "NULL" : sample.shadow)]), ""));
}
`;
