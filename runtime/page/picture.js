// The path through the graph, and when each node and call was at work.

const END_NAMES = { __start__: "start", __end__: "end" };

/** Per node: how often it ran, what failed, from when to when. */
function visitsOf(run) {
  const visits = new Map();
  for (const line of run.nodes) {
    const visit = visits.get(line.node) || { runs: 0, errors: 0, start: Infinity, end: 0 };
    visit.runs += 1;
    visit.errors += Boolean(line.error);
    visit.start = Math.min(visit.start, line.started_s || 0);
    visit.end = Math.max(visit.end, line.finished_s || 0);
    visits.set(line.node, visit);
  }
  return visits;
}

const stateOf = (visit, run) =>
  !visit ? "unvisited" : !visit.errors ? "ok" : run.status === "failed" ? "failed" : "degraded";

function graphPicture(run) {
  const graph = DATA.graphs[run.drawing];
  if (!graph) return null;
  const visits = visitsOf(run);
  const passed = (name) => name in END_NAMES || visits.has(name);
  const went = (path) =>
    passed(path.source) && passed(path.target) &&
    (visits.get(path.target)?.end ?? Infinity) >= (visits.get(path.source)?.start ?? 0) &&
    (path.target !== "__end__" || run.status !== "failed") && visits.size > 0;
  const arrow = (id) => svg("marker", {
    id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto",
  }, svg("path", { d: "M0 0L8 4L0 8z" }));
  const lines = graph.paths.map((path) => svg("path", {
    d: path.d,
    class: `edge ${went(path) ? "taken" : "idle"}${path.conditional ? " conditional" : ""}`,
    "marker-end": `url(#${went(path) ? "taken" : "idle"})`,
  }, svg("title", {}, `${path.source} to ${path.target}`)));
  return h("div", { class: "scroll" }, svg("svg", {
    class: "graph", width: graph.width, height: graph.height, role: "img",
    viewBox: `0 0 ${graph.width} ${graph.height}`, "aria-label": `Path through ${run.graph}`,
  }, svg("defs", {}, arrow("taken"), arrow("idle")), lines,
  graph.boxes.map((box) => nodePicture(box, visits.get(box.name), run))), legend(run, visits));
}

function nodePicture(box, visit, run) {
  const end = box.name in END_NAMES;
  const name = END_NAMES[box.name] || (box.name.length > 30 ? box.name.slice(0, 29) + "…" : box.name);
  const times = visit && visit.runs > 1 ? `×${visit.runs} · ` : "";
  const told = !visit ? "" : times + (visit.errors ? `${visit.errors} failed` : seconds(visit.end - visit.start));
  const centre = { x: box.x + box.width / 2, "text-anchor": "middle" };
  return svg("g", { class: `node ${end ? "end" : stateOf(visit, run)}` },
    svg("title", {}, visit ? `${box.name}: ${times}${seconds(visit.end - visit.start)}` : box.name),
    svg("rect", { x: box.x, y: box.y, width: box.width, height: box.height, rx: end ? 22 : 8 }),
    svg("text", { ...centre, y: box.y + (told ? 19 : 27) }, name),
    told && svg("text", { ...centre, y: box.y + 35, class: "told" }, told));
}

function legend(run, visits) {
  const states = new Set([...visits.values()].map((visit) => stateOf(visit, run)));
  const told = { degraded: "failed in part; the run went on without", failed: "failed" };
  return Object.entries(told).filter(([state]) => states.has(state)).map(([state, text]) =>
    h("p", { class: "hint" }, h("span", { class: `dot ${state}` }), " ", text));
}

/** Rows of bars: each node, and beneath it its lanes with their calls and tools. */
function timeline(run) {
  const rows = timelineRows(run);
  if (!rows.length) return null;
  const end = Math.max(run.seconds, ...rows.flatMap((row) => row.bars.map((bar) => bar.to)), 1e-6);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) =>
    h("span", { style: { left: `${share * 100}%` } }, seconds(share * end)));
  return [
    h("div", { class: "timeline" }, h("div", { class: "row axis" }, h("span", {}), h("div", { class: "track" }, ticks)),
      h("div", { class: "rows" }, rows.map((row) => timelineRow(row, run, end)))),
    h("p", { class: "hint" }, Object.keys(KEYS).filter((kind) => rows.some((row) => row.bars.some((bar) => bar.kind === kind)))
      .map((kind) => [h("span", { class: `bar sample ${kind}` }), h("span", { class: "key" }, KEYS[kind])])),
  ];
}

const KEYS = {
  node: "node", "node degraded": "node, failed in part", "node failed": "node, failed", waiting: "call in the queue",
  call: "call", "call failed": "call, failed", tool: "tool", shared: "what another run of the file had asked",
};

function timelineRows(run) {
  const rows = new Map();
  const row = (node, lane) => {
    const key = JSON.stringify([node, lane]);
    if (!rows.has(key)) rows.set(key, { node, lane, bars: [], start: Infinity });
    return rows.get(key);
  };
  const trouble = run.status === "failed" ? "node failed" : "node degraded";
  const several = new Set(run.nodes.filter((line) => line.lane).map((line) => line.node));
  for (const line of run.nodes) {
    const [from, to] = [line.started_s || 0, line.finished_s || 0];
    const bar = { from, to, kind: line.error ? trouble : "node", title: line.error || "" };
    row(line.node, line.lane || "").bars.push(bar);
  }
  for (const [node, visit] of visitsOf(run)) {
    if (several.has(node)) row(node, "").bars.push({ from: visit.start, to: visit.end, kind: "node", title: `${visit.runs} lanes` });
  }
  for (const call of run.calls) row(call.node || "", call.lane || "").bars.push(...callBars(call));
  for (const tool of run.tools) {
    if (isChance(tool)) continue;
    const from = tool.at || 0;
    row(tool.node || "", tool.lane || "").bars.push(tool.same_as
      ? { from, to: from, kind: "shared", title: `${tool.name}: as in ${tool.same_as}` }
      : { from, to: from + (tool.seconds || 0), kind: "tool", title: tool.name });
  }
  const drawn = (DATA.graphs[run.drawing]?.boxes || []).map((box) => box.name);
  return inOrder([...rows.values()], drawn);
}

function inOrder(rows, drawn) {
  const first = new Map();
  for (const row of rows) {
    row.start = Math.min(...row.bars.map((bar) => bar.from));
    first.set(row.node, Math.min(first.get(row.node) ?? Infinity, row.start));
  }
  const order = [...first.keys()].sort((a, b) =>
    first.get(a) - first.get(b) || drawn.indexOf(a) - drawn.indexOf(b));
  return rows.sort((a, b) =>
    order.indexOf(a.node) - order.indexOf(b.node) || Boolean(a.lane) - Boolean(b.lane) || a.start - b.start);
}

function callBars(call) {
  const at = call.at || 0;
  const said = `${call.agent}: ${seconds(call.seconds)}`;
  if (call.same_as) return [{ from: at, to: at, kind: "shared", title: `${call.agent}: as in ${call.same_as}` }];
  const asked = at + Math.min(call.waited_s || 0, call.took || 0);
  const bars = [{ from: asked, to: at + (call.took || 0), kind: call.failed ? "call failed" : "call", title: said }];
  if (call.waited_s > 0.001) bars.unshift({ from: at, to: asked, kind: "waiting", title: `${call.agent} waited ${seconds(call.waited_s)}` });
  return bars;
}

function timelineRow(row, run, end) {
  const share = (value) => `${Math.min(100, (value / end) * 100)}%`;
  const label = [relevantTo(run).has(row.lane) && star(), row.lane || row.node || "(no node)"];
  const asked = run.calls.some((call) => (call.node || "") === row.node && (call.lane || "") === row.lane);
  return h("div", { class: row.lane ? "row lane" : "row" },
    asked
      ? h("button", { class: "label", title: row.lane || row.node, onclick: () => showLane(row.node, row.lane) }, label)
      : h("span", { class: "label" }, label),
    h("div", { class: "track" }, row.bars.map((bar) => h("span", {
      class: `bar ${bar.kind}`,
      title: [bar.title, `${bar.from.toFixed(2)} to ${bar.to.toFixed(2)} s`].filter(Boolean).join("\n"),
      style: { left: share(bar.from), width: share(bar.to - bar.from) },
    }))));
}
