// The page's data, unpacked where it is looked at; `page_data.py` says how it is packed.

const DATA = JSON.parse(document.getElementById("data").textContent);
const whole = new Map();

/** A text of the table; what it shares with an earlier one is put back. */
function textAt(place) {
  const trail = [];
  let at = place;
  while (!whole.has(at)) {
    trail.push(at);
    if (typeof DATA.texts[at] === "string") break;
    at = DATA.texts[at][0];
  }
  for (const next of trail.reverse()) {
    const packed = DATA.texts[next];
    whole.set(next, typeof packed === "string"
      ? packed : whole.get(packed[0]).slice(0, packed[1]) + packed[2]);
  }
  return whole.get(place);
}

const valueAt = (place) => DATA.values[place];
const exchangeOf = (call) => DATA.exchanges[call.exchange];
const caseOf = (run) => (run.case in DATA.cases ? valueAt(DATA.cases[run.case]) : null);
const nameOf = (run) => [run.case, run.system].filter(Boolean).join(" · ") || run.id;
const linkTo = (run, lane) =>
  "#" + new URLSearchParams(lane ? { run: run.id, lane } : { run: run.id });
const metricNames = (runs) => [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))];

/** What the case's truth names: the texts of its lists. */
function relevantTo(run) {
  const truth = caseOf(run)?.truth;
  const lists = isObject(truth) ? Object.values(truth).filter(Array.isArray) : [];
  return new Set(lists.flat().map(String));
}

/** [{item, ...}] of a ranking, whose rows are objects or bare ids; null where there is none. */
function rowsOf(output) {
  const ranking = isObject(output) ? output.ranking : null;
  if (!Array.isArray(ranking)) return null;
  return ranking.map((row) => (isObject(row) ? row : { item: row }));
}

/** The ranking that the metrics saw, else the graph's, with all that is known of each item. */
function rankingOf(run) {
  const answer = valueAt(run.answer);
  const own = rowsOf(valueAt(run.output));
  const rows = rowsOf(answer) || own;
  if (!rows) return null;
  const known = new Map((own || []).map((row) => [String(row.item), row]));
  const titles = titlesOf(run);
  const columns = Object.entries(isObject(answer) ? answer : {}).filter(([, value]) => isObject(value));
  return rows.map((row, n) => {
    const item = String(row.item);
    const title = titles.get(item);
    const full = { item, ...(title && { title }), ...known.get(item), ...row, rank: n + 1 };
    for (const [name, value] of columns) {
      if (item in value && value[item] !== full.score) full[name] = value[item];
    }
    return full;
  });
}

/** Where the relevant items ended up, from 1. */
function placesOf(run) {
  const relevant = relevantTo(run);
  const ranking = rankingOf(run);
  if (!ranking || !relevant.size) return "";
  const places = ranking.map((row, n) => (relevant.has(String(row.item)) ? n + 1 : 0));
  return places.filter(Boolean).join(", ") || "not in it";
}

const titles = new Map();

/** Item id -> title, from the outputs of all systems on the case. */
function titlesOf(run) {
  const about = run.case ? `case ${run.case}` : `run ${run.id}`;
  if (!titles.has(about)) {
    const runs = run.case ? DATA.runs.filter((other) => other.case === run.case) : [run];
    const rows = runs.flatMap((other) => rowsOf(valueAt(other.output)) || []);
    titles.set(about, new Map(rows.filter((row) => row.title).map((row) => [String(row.item), row.title])));
  }
  return titles.get(about);
}
