// A case, what came out of a run, and what it took.

const HIDDEN_OUTPUT = new Set(["usage", "usage_by_agent"]);
const NOTHING = [null, undefined, "", false];

function caseSection(run) {
  const found = caseOf(run);
  const rivals = DATA.runs.filter((other) => other.case === run.case && run.case !== "");
  if (!found && rivals.length < 2) return null;
  const { id, segment, request, truth, ...rest } = found || {};
  return section("case", ["Case ", run.case, segment && h("small", {}, " ", String(segment))],
    rivals.length > 1 && rivalTable(run, rivals),
    truth !== undefined && h("h3", {}, "Truth"), isObject(truth) ? facts(named(truth, run)) : truth !== undefined && json(truth),
    Object.keys(rest).length > 0 && facts(rest),
    request !== undefined && folded({ class: "part" }, "request of the case", () => json(request)));
}

/** All systems on one case. */
function rivalTable(run, rivals) {
  const names = metricNames(rivals);
  const placed = rivals.some((other) => placesOf(other));
  const rows = rivals.map((other) => ({
    class: other === run && "current",
    cells: [
      other === run ? h("b", {}, other.system || other.id) : h("a", { href: linkTo(other) }, other.system || other.id),
      ...names.map((name) => metric(other.metrics[name])),
      ...(placed ? [placesOf(other)] : []),
      count(other.usage.calls), count((other.usage.prompt_tokens || 0) + (other.usage.completion_tokens || 0)),
      seconds(other.seconds), other.status === "ok" ? "" : pill(other.status),
    ],
  }));
  return table(["system", ...names, ...(placed ? ["relevant at"] : []), "calls", "tokens", "time", ""], rows);
}

const pill = (status) => h("span", { class: `badge ${status}` }, status);

function outputSection(run) {
  const output = valueAt(run.output);
  const { ranking, recommendations, errors, ...rest } = isObject(output) ? output : {};
  const { ranking: _, ...answer } = valueAt(run.answer);
  const said = Object.entries(rest).filter(([name, value]) => !HIDDEN_OUTPUT.has(name) && !isNothing(value));
  const short = said.filter(([, value]) => typeof value !== "object");
  const long = said.filter(([, value]) => typeof value === "object");
  const extra = Object.fromEntries(Object.entries(answer).filter(([, value]) => !perItem(value)));
  if (Object.keys(extra).length) long.push(["answer to the suite", extra]);
  const body = [
    run.error && h("p", { class: "trouble" }, run.error),
    (Array.isArray(errors) ? errors : []).map((error) => h("p", { class: "trouble" },
      h("b", {}, [error?.node, error?.lane].filter(Boolean).join(" ")), " ", error?.message || JSON.stringify(error))),
    short.length > 0 && facts(Object.fromEntries(short)),
    rankingView(run, output),
    !isObject(output) && !isNothing(output) && valueView(output, run),
    long.map(([name, value]) => folded({ class: "part" }, [name.replaceAll("_", " "), " ", h("small", {}, gist(value))],
      () => valueView(value, run))),
  ];
  return section("output", "Output", body);
}

const isNothing = (value) =>
  NOTHING.includes(value) || (typeof value === "object" && Object.keys(value).length === 0);
const perItem = (value) => isObject(value) && Object.values(value).every((one) => typeof one === "number" || one === null);

/** What a value says, in a few words. */
function gist(value) {
  if (Array.isArray(value)) return plural(value.length, "entry", "entries");
  return value.summary ?? value.text ?? Object.keys(value).join(", ");
}

function rankingView(run, output) {
  const rows = rankingOf(run);
  if (!rows) return null;
  const own = rowsOf(output);
  const same = !own || own.every((row, n) => String(row.item) === rows[n]?.item);
  const kept = same && Array.isArray(output?.recommendations) ? output.recommendations.length : 0;
  return [
    h("h3", {}, "Ranking ", kept > 0 && h("small", {}, `the first ${kept} are recommended`),
      !same && h("small", {}, "as the metrics saw it; the graph's own differs")),
    rowTable(rows, run, kept),
    !same && folded({ class: "part" }, "ranking of the graph", () => rowTable(own, run)),
  ];
}

/** Rows of objects as a table; columns that say nothing are left out. */
function rowTable(rows, run, kept = 0) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const said = names.filter((name) => rows.some((row) => !isNothing(row[name])));
  const columns = [...said.filter((name) => name === "rank"), ...said.filter((name) => name !== "rank")];
  const relevant = relevantTo(run);
  const lanes = new Set(run.calls.map((call) => call.lane).filter(Boolean));
  const share = (name) => name === "score" && rows.every((row) => row[name] === null || row[name] === undefined || (row[name] >= 0 && row[name] <= 1));
  const cells = (row) => columns.map((name) =>
    share(name) && typeof row[name] === "number" ? shareBar(row[name]) : cell(row[name], name, lanes, relevant));
  return table(columns.map((name) => name.replaceAll("_", " ")), rows.map((row, n) => ({
    class: [relevant.has(String(row.item)) && "relevant", kept && n === kept - 1 && "last-kept"].filter(Boolean).join(" "),
    cells: cells(row),
  })));
}

/** A truth whose items have their titles beside them. */
function named(truth, run) {
  const titles = titlesOf(run);
  const title = (item) => (titles.has(String(item)) ? `${item} (${titles.get(String(item))})` : String(item));
  return Object.fromEntries(Object.entries(truth).map(([name, value]) =>
    [name, Array.isArray(value) && value.every((item) => typeof item !== "object") ? value.map(title).join(", ") : value]));
}

const shareBar = (value) => h("span", { class: "share" }, h("i", { style: { width: `${value * 100}%` } }), value.toFixed(3));

function cell(value, name, lanes, relevant) {
  if (isNothing(value)) return value === false ? "no" : "–";
  if (value === true) return "yes";
  if (typeof value === "number") return fixed(value);
  if (typeof value === "string") {
    const text = name === "item" && relevant.has(value) ? [star(), value] : value;
    return lanes.has(value) ? h("button", { class: "link", title: "its calls", onclick: () => showLane(null, value) }, text) : text;
  }
  if (Array.isArray(value) && value.every((part) => typeof part !== "object")) return value.join(", ");
  if (perItem(value)) return Object.entries(value).map(([part, n]) => `${part} ${fixed(n)}`).join(", ");
  return h("code", {}, JSON.stringify(value));
}

function valueView(value, run) {
  if (Array.isArray(value) && value.length && value.every(isObject)) return rowTable(value, run);
  return isObject(value) ? facts(value) : json(value);
}

/** Names and values. */
function facts(values) {
  const view = (value) =>
    typeof value === "string" ? value
      : isObject(value) && JSON.stringify(value).length < 300 ? facts(value)
        : typeof value === "object" && value !== null ? json(value) : String(value);
  return h("dl", {}, Object.entries(values).map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, view(value))]));
}

const USAGE = {
  calls: "calls", prompt_tokens: "prompt", cached_tokens: "cached", completion_tokens: "reply",
  seconds: "model time", waited_s: "queued", retries: "retries", repairs: "repairs", failures: "failures", cost_usd: "cost",
};

function usageSection(run) {
  const agents = Object.entries(run.agents);
  if (!agents.length) return null;
  const shown = Object.keys(USAGE).filter((name) => ["calls", "prompt_tokens", "completion_tokens", "seconds"].includes(name) || run.usage[name]);
  const figure = (name, used) =>
    name === "cost_usd" ? `$${(used[name] || 0).toFixed(4)}` : name === "seconds" || name === "waited_s" ? seconds(used[name]) : count(used[name]);
  const rows = [...agents, ["total", run.usage]].map(([agent, used]) => ({
    class: agent === "total" && "total", cells: [agent, ...shown.map((name) => figure(name, used))],
  }));
  return section("usage", "Usage", table(["agent", ...shown.map((name) => USAGE[name])], rows));
}

function settingsSection(run) {
  const header = valueAt(run.header);
  const part = (name, value) => isObject(value) && Object.keys(value).length > 0 && folded({ class: "part" }, name, () => json(value));
  return section("settings", "Asked with",
    part("request", valueAt(run.request)), part("context", valueAt(run.context)),
    part(`recording of ${header.made || "an unknown day"}`, header.params),
    part("software", header.software), part("prompts", header.prompts));
}
