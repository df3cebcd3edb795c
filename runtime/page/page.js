// The list of runs, and the one that is shown.

const LONGEST_LIST = 400;
const shown = { run: null };

function start() {
  document.title = `${DATA.path.split("/").pop() || "trace"} · trace`;
  const problems = [...DATA.problems, ...(DATA.closed || DATA.problems.length ? [] : ["The last recording was broken off; what it had finished is here."])];
  document.getElementById("problems").replaceChildren(...problems.map((text) => h("p", { class: "trouble" }, text)));
  if (DATA.runs.length > 1) list();
  else document.body.classList.add("single");
  window.addEventListener("hashchange", route);
  document.addEventListener("keydown", keys);
  route();
}

function route() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const run = DATA.runs.find((one) => one.id === wanted.get("run")) || shown.run || DATA.runs[0];
  if (run && run !== shown.run) {
    shown.run = run;
    show(run);
  }
  if (wanted.get("lane")) showLane(null, wanted.get("lane"));
}

function show(run) {
  const sections = [
    caseSection(run),
    section("path", "Path", graphPicture(run)),
    section("times", "Time", timeline(run)),
    outputSection(run), callsSection(run), toolsSection(run), usageSection(run), settingsSection(run),
  ].filter(Boolean);
  const jumps = sections.map((one) => h("button", {
    class: "quiet", onclick: () => one.scrollIntoView({ block: "start" }),
  }, one.querySelector("h2").firstChild.textContent.replace(/ \(.*/, "")));
  document.getElementById("run").replaceChildren(heading(run), h("nav", { class: "jumps", "aria-label": "Parts of the run" }, jumps), ...sections);
  document.title = `${oneString(nameOf(run))} · trace`;
  for (const link of document.querySelectorAll("#runs a")) {
    const current = link.getAttribute("href") === linkTo(run);
    if (current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    if (current) link.scrollIntoView({ block: "nearest" });
  }
  window.scrollTo(0, 0);
}

function heading(run) {
  const tokens = (run.usage.prompt_tokens || 0) + (run.usage.completion_tokens || 0);
  const facts = [
    run.graph && `graph ${run.graph}`, `run ${run.id}`, run.started && run.started.replace("T", " ").slice(0, 19),
    seconds(run.seconds), plural(run.usage.calls, "call"), `${count(tokens)} tokens`,
  ].filter(Boolean).join(" · ");
  return h("header", {},
    h("h1", {}, nameOf(run), " ", pill(run.status)),
    h("p", { class: "facts" }, facts),
    h("p", { class: "metrics" }, Object.entries(run.metrics).map(([name, value]) =>
      h("span", { class: "metric" }, name, " ", h("b", {}, metric(value))))));
}

function list() {
  const names = metricNames(DATA.runs);
  const systems = [...new Set(DATA.runs.map((run) => run.system))].filter(Boolean);
  const option = (value, text) => h("option", { value }, text);
  const change = () => fill(filter.value.trim().toLowerCase(), system.value, order.value, troubled.checked);
  const filter = h("input", { type: "search", id: "filter", placeholder: "Filter by case, system, id  ( / )", "aria-label": "Filter runs", oninput: change });
  const system = h("select", { "aria-label": "System", onchange: change }, option("", "all systems"), systems.map((name) => option(name, name)));
  const order = h("select", { "aria-label": "Order", onchange: change }, option("", "by case"),
    names.map((name) => option(`metric ${name}`, `worst ${name} first`)), option("seconds", "slowest first"), option("tokens", "most tokens first"));
  const troubled = h("input", { type: "checkbox", onchange: change });
  document.getElementById("choose").replaceChildren(filter, systems.length > 1 ? system : "", order,
    DATA.runs.some((run) => run.status !== "ok") ? h("label", {}, troubled, " with failures only") : "");
  change();
}

const ORDERS = {
  seconds: (run) => -run.seconds,
  tokens: (run) => -((run.usage.prompt_tokens || 0) + (run.usage.completion_tokens || 0)),
};

function fill(needle, system, order, troubled) {
  const names = metricNames(DATA.runs).slice(0, 2);
  const worth = order.startsWith("metric ") ? (run) => run.metrics[order.slice(7)] ?? Infinity : ORDERS[order];
  let runs = DATA.runs.filter((run) => (!system || run.system === system) && (!troubled || run.status !== "ok") &&
    (!needle || [run.case, run.system, run.id, run.graph].some((text) => text.toLowerCase().includes(needle))));
  if (worth) runs = [...runs].sort((a, b) => worth(a) - worth(b));
  document.getElementById("counted").textContent =
    runs.length === DATA.runs.length ? plural(runs.length, "run") : `${count(runs.length)} of ${plural(DATA.runs.length, "run")}`;
  const more = runs.length > LONGEST_LIST && h("li", { class: "hint" }, `and ${count(runs.length - LONGEST_LIST)} more: narrow the filter`);
  document.getElementById("runs").replaceChildren(...runs.slice(0, LONGEST_LIST).map((run) => entry(run, names)), more || "");
}

function entry(run, names) {
  const told = names.filter((name) => name in run.metrics).map((name) => `${name} ${metric(run.metrics[name])}`).join("  ");
  return h("li", {}, h("a", { href: linkTo(run), "aria-current": run === shown.run && "true" },
    h("span", { class: `dot ${run.status}`, title: run.status }), h("span", { class: "name" }, nameOf(run)), told && h("small", {}, told)));
}

/** j and k: the next and the previous run; / goes to the filter. */
function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === "/" && document.getElementById("filter")) {
    event.preventDefault();
    document.getElementById("filter").focus();
  }
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const links = [...document.querySelectorAll("#runs a")];
  const at = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[at < 0 ? 0 : at + step];
  if (next) location.hash = next.getAttribute("href");
}

start();
