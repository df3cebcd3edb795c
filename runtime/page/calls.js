// Every prompt and answer of a run, by node and lane.

const FOLD_FROM = 200;
const CHANCE = new Set(["clock", "seed"]);
const isChance = (tool) => CHANCE.has(tool.name);

/** Calls by node, then lane, in the order of the first call; [node, [[lane, calls], ...]]. */
function callGroups(run) {
  const nodes = new Map();
  for (const call of run.calls) {
    const lanes = nodes.get(call.node || "") || new Map();
    lanes.set(call.lane || "", [...(lanes.get(call.lane || "") || []), call]);
    nodes.set(call.node || "", lanes);
  }
  return [...nodes].map(([node, lanes]) => [node, [...lanes]]);
}

function callsSection(run) {
  if (!run.calls.length) return null;
  const before = previousOfAgent(run);
  const list = h("div", {});
  const draw = (needle) => list.replaceChildren(...callGroups(run).map(([node, lanes]) =>
    nodeCalls(run, node, lanes, { before, needle })).filter(Boolean));
  draw("");
  let waiting = 0;
  const find = h("input", {
    type: "search", placeholder: "Find in prompts and answers", "aria-label": "Find in prompts and answers",
    oninput: () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => draw(find.value.trim().toLowerCase()), 150);
    },
  });
  return section("calls", `Calls (${count(run.calls.length)})`, find, list);
}

/** call -> the one before it of the same agent, whose beginning it may share. */
function previousOfAgent(run) {
  const latest = new Map();
  return new Map(run.calls.map((call) => {
    const found = [call, latest.get(call.agent)];
    latest.set(call.agent, call);
    return found;
  }));
}

function nodeCalls(run, node, lanes, options) {
  const kept = lanes.map(([lane, calls]) => [lane, calls.filter((call) => holds(call, options.needle))])
    .filter(([, calls]) => calls.length);
  if (!kept.length) return null;
  const relevant = relevantTo(run);
  const titles = titlesOf(run);
  const made = kept.map(([lane, calls]) => (lane
    ? laneCalls(run, node, lane, calls, options, titles.get(lane), relevant.has(lane))
    : calls.map((call) => oneCall(run, call, options)))).flat();
  if (options.needle) made.forEach((element) => element.openNow());
  const all = kept.flatMap(([, calls]) => calls);
  const total = (name) => all.reduce((sum, call) => sum + (call[name] || 0), 0);
  const opened = () => made.every((element) => element.open);
  const toggle = h("button", {
    class: "quiet", onclick: () => {
      const close = opened();
      made.forEach((element) => (close ? (element.open = false) : element.openNow()));
    },
  }, "open or close all");
  return h("div", { class: "group", "data-node": node },
    h("h3", {}, node || "(no node)", " ", h("small", {},
      `${plural(all.length, "call")}, ${count(total("prompt_tokens"))} prompt tokens`,
      total("cached_tokens") ? ` (${count(total("cached_tokens"))} cached)` : "",
      `, ${count(total("completion_tokens"))} of replies, ${seconds(total("seconds"))}`), toggle), made);
}

function holds(call, needle) {
  if (!needle) return true;
  const exchange = exchangeOf(call);
  const places = [exchange.reply, ...exchange.messages.map(([, place]) => place)];
  return places.some((place) => textAt(place).toLowerCase().includes(needle)) ||
    (exchange.fault?.message || "").toLowerCase().includes(needle);
}

function laneCalls(run, node, lane, calls, options, title, isRelevant) {
  const element = folded({ class: `lane${isRelevant ? " relevant" : ""}`, "data-lane": lane },
    h("span", { class: "call-line" },
      h("span", { class: "who" }, isRelevant && star(), lane),
      h("span", { class: "preview" }, title || ""),
      summaryOdds(calls[0]),
      badges(calls),
      h("span", { class: "figures" }, plural(calls.length, "call")),
      h("span", { class: "figures" }, seconds(calls.reduce((sum, call) => sum + (call.seconds || 0), 0)))),
    () => calls.map((call) => {
      const inner = oneCall(run, call, options);
      inner.openNow();
      return inner;
    }));
  return element;
}

const star = () => h("span", { class: "star", title: "The case's truth names it" }, "★ ");

function badges(calls) {
  const found = [];
  if (calls.some((call) => call.failed)) found.push(["failed", "failed"]);
  if (calls.some((call) => call.repair)) found.push(["repair", "degraded"]);
  const tries = Math.max(...calls.map((call) => call.tries || 1));
  if (tries > 1) found.push([`${tries} tries`, "degraded"]);
  if (calls.some((call) => exchangeOf(call).finish === "length")) found.push(["cut off", "degraded"]);
  if (calls.every((call) => call.same_as)) found.push(["shared", "quiet"]);
  return h("span", { class: "badges" }, found.map(([text, kind]) => h("span", { class: `badge ${kind}` }, text)));
}

/** The likeliest tokens; those that were asked for in their own order, so that lanes can be compared. */
function summaryOdds(call) {
  const { odds: all, options } = exchangeOf(call);
  const place = (token) => (valueAt(options).labels || []).indexOf(token);
  const odds = all.filter(([token, p], n) => place(token) >= 0 || n === 0 || (n < 3 && p >= 0.005))
    .sort(([a], [b]) => place(a) - place(b)).slice(-4);
  return h("span", { class: "odds-line" }, odds.map(([token, p]) =>
    h("span", { class: "odd-one", title: `P(${JSON.stringify(token)}) = ${p}` },
      token.trim() || JSON.stringify(token), " ", h("b", {}, p.toFixed(2)),
      h("i", { style: { width: `${Math.min(p, 1) * 100}%` } }))));
}

function oneCall(run, call, options) {
  const exchange = exchangeOf(call);
  const reply = exchange.fault ? `${exchange.fault.type}: ${exchange.fault.message}` : textAt(exchange.reply);
  return folded({ class: "call" },
    h("span", { class: "call-line" },
      h("span", { class: "who" }, call.agent || exchange.model),
      h("span", { class: exchange.fault ? "preview failed" : "preview" }, exchange.odds.length ? "" : reply.slice(0, 200)),
      summaryOdds(call), badges([call]),
      h("span", { class: "figures", title: "prompt tokens, and those of the reply" },
        `${count(call.prompt_tokens)} → ${count(call.completion_tokens)}`),
      h("span", { class: "figures" }, seconds(call.seconds))),
    () => callBody(run, call, exchange, options));
}

function callBody(run, call, exchange, { before, needle }) {
  const earlier = before.get(call) ? exchangeOf(before.get(call)).messages : [];
  const turns = exchange.messages.map(([role, place], n) =>
    turn(role, needle ? highlighted(textAt(place), needle) : foldedText(textAt(place), earlier[n] && textAt(earlier[n][1]))));
  const answer = exchange.fault
    ? turn("fault", `${exchange.fault.type}: ${exchange.fault.message}`, "failed")
    : turn("answer", needle ? highlighted(textAt(exchange.reply), needle) : replyText(textAt(exchange.reply)), "answer");
  return [
    ...turns, answer,
    exchange.odds.length ? turn("odds", oddsTable(exchange.odds)) : null,
    exchange.tool_calls !== undefined ? turn("tool calls", json(valueAt(exchange.tool_calls))) : null,
    callFacts(run, call, exchange), optionsOf(exchange),
  ].filter(Boolean);
}

const turn = (role, content, kind) =>
  h("div", { class: `turn ${kind || ""}` }, h("div", { class: "role" }, role), h("div", { class: "said" }, content));

/** A reply that is JSON is shown as such. */
function replyText(text) {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return pretty(value);
  } catch {
    // no JSON: shown as it is
  }
  return text || h("em", {}, "(empty)");
}

/** A text whose beginning the call before shares, with that folded away. */
function foldedText(text, earlier) {
  let same = 0;
  while (earlier && same < text.length && text[same] === earlier[same]) same += 1;
  if (same < text.length) same = text.lastIndexOf("\n", same) + 1;
  if (same < FOLD_FROM) return text;
  const hidden = h("span", { class: "same", hidden: true }, text.slice(0, same));
  const button = h("button", {
    class: "fold", "aria-expanded": "false", onclick: () => {
      hidden.hidden = !hidden.hidden;
      button.setAttribute("aria-expanded", String(!hidden.hidden));
    },
  }, `⋯ ${count(same)} characters as in this agent's call before`);
  return [button, hidden, text.slice(same)];
}

function highlighted(text, needle) {
  const nodes = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0 && lower.length === text.length; at = lower.indexOf(needle, from)) {
    nodes.push(text.slice(from, at), h("mark", {}, text.slice(at, at + needle.length)));
    from = at + needle.length;
  }
  return [...nodes, text.slice(from)];
}

function oddsTable(odds) {
  const rest = 1 - odds.reduce((sum, [, p]) => sum + p, 0);
  const rows = rest > 0.005 ? [...odds, [null, rest]] : odds;
  return h("div", { class: "odds-table" }, rows.map(([token, p]) => [
    h("code", {}, token === null ? "others" : JSON.stringify(token)),
    h("span", { class: "share-track" }, h("i", { style: { width: `${Math.min(p, 1) * 100}%` } })),
    h("span", { class: "number" }, p.toFixed(4)),
  ]));
}

function callFacts(run, call, exchange) {
  const facts = [
    exchange.model, `asked at ${seconds(call.at)}`,
    call.waited_s && `waited ${seconds(call.waited_s)}`, `answered in ${seconds(call.seconds)}`,
    `${count(call.prompt_tokens)} prompt tokens` + (call.cached_tokens ? `, ${count(call.cached_tokens)} of them cached` : ""),
    plural(call.completion_tokens || 0, "completion token"),
    exchange.finish && `stopped by ${exchange.finish}`,
    call.occurrence && `asked in this lane for the ${call.occurrence + 1}. time`,
  ].filter(Boolean).join(" · ");
  const origin = call.same_as && DATA.runs.find((other) => other.id === call.same_as);
  return h("p", { class: "facts" }, facts, call.same_as && [" · asked first by ",
    origin ? h("a", { href: linkTo(origin, call.lane) }, nameOf(origin)) : call.same_as]);
}

function optionsOf(exchange) {
  const options = valueAt(exchange.options);
  const form = options.response_format?.json_schema;
  const short = Object.entries(options).filter(([name]) => name !== "response_format");
  return h("div", { class: "facts" }, short.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(" · "),
    options.response_format && folded({}, `schema ${form?.name || ""}`, () => json(form?.schema || options.response_format)));
}

function toolsSection(run) {
  const tools = run.tools.map((tool) => folded({ class: "call" },
    h("span", { class: "call-line" },
      h("span", { class: "who" }, tool.name),
      h("span", { class: tool.fault ? "preview failed" : "preview" },
        tool.fault ? `${tool.fault.type}: ${tool.fault.message}` : JSON.stringify(valueAt(tool.value))?.slice(0, 200)),
      h("span", { class: "figures" }, [tool.node, tool.lane].filter(Boolean).join(" ")),
      h("span", { class: "figures" }, seconds(tool.seconds))),
    () => [turn("asked", json(valueAt(tool.args))), turn("answer", json(valueAt(tool.value)), "answer")]));
  return section("tools", `Tools (${count(tools.length)})`, tools);
}

/** Bring a lane's calls, or a node's, into view and open them. */
function showLane(node, lane) {
  const groups = [...document.querySelectorAll("#calls .group")].filter((group) => node === null || group.dataset.node === node);
  const lanes = groups.flatMap((group) => [...group.querySelectorAll(".lane")]);
  const found = lane ? lanes.find((element) => element.dataset.lane === lane) : groups[0];
  if (!found) return;
  if (lane) found.openNow();
  found.scrollIntoView({ block: "start" });
  found.querySelector("summary, button")?.focus({ preventScroll: true });
}
