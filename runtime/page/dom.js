// Elements without markup: every text becomes a text node, whatever it says.

const ODD = /(?![\n\t])[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** A text as nodes. What would hide, or turn what follows it around, becomes a mark that names it. */
function words(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(ODD)) {
    nodes.push(text.slice(from, found.index));
    const mark = document.createElement("span");
    mark.className = "odd";
    mark.textContent = "\ufffd";
    mark.title = "U+" + found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    nodes.push(mark);
    from = found.index + found[0].length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

/** The same for a place that takes one plain string: a tooltip, an SVG text, the window's title. */
const oneString = (text) => String(text).replace(ODD, "\ufffd");

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : oneString(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    if (child instanceof Node) element.append(child);
    else if (element instanceof SVGElement) element.append(oneString(child));
    else element.append(...words(String(child)));
  }
  return element;
}

const h = (tag, attributes, ...children) =>
  filled(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** A section with a heading; nothing where it has no content. */
function section(id, heading, ...content) {
  const body = content.flat(Infinity).filter(Boolean);
  return body.length ? h("section", { id }, h("h2", {}, heading), body) : null;
}

/** Something to open, whose content is made when it is opened first. */
function folded(attributes, summary, make) {
  const element = h("details", attributes, h("summary", {}, summary));
  const open = () => {
    if (element.open && element.childElementCount === 1) element.append(...[make()].flat());
  };
  element.addEventListener("toggle", open);
  element.openNow = () => {
    element.open = true;
    open();
  };
  return element;
}

function table(headings, rows, attributes) {
  const numeric = headings.map((_, n) => rows.every((row) => isNumeric(row.cells[n])));
  const cell = (content, n) => h("td", { class: numeric[n] && "number" }, content);
  return h("div", { class: "scroll" },
    h("table", attributes,
      h("thead", {}, h("tr", {}, headings.map((name, n) =>
        h("th", { scope: "col", class: numeric[n] && "number" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", { class: row.class }, row.cells.map(cell))))));
}

const isNumeric = (cell) =>
  cell === "" || cell === undefined || cell === null || cell === "–" ||
  (typeof cell === "string" && /^-?[\d.,]+( m?s)?$/.test(cell)) ||
  (cell instanceof Element && cell.classList.contains("share"));

const count = (number) => (number || 0).toLocaleString("en");
const seconds = (s) =>
  !s ? "0 s" : s < 0.0995 ? `${(s * 1000).toPrecision(2)} ms` : `${s.toFixed(s < 10 ? 2 : 1)} s`;
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || one + "s"}`;
const fixed = (value) =>
  typeof value !== "number" ? "–" : Number.isInteger(value) ? String(value) : String(+value.toPrecision(4));
const metric = (value) => (typeof value === "number" ? value.toFixed(3) : "–");
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** JSON for people: what is short stays on one line. */
function pretty(value, indent = "") {
  const flat = JSON.stringify(value);
  if (typeof value !== "object" || value === null || flat.length + indent.length <= 96) {
    return flat;
  }
  const inner = indent + "  ";
  const parts = Array.isArray(value)
    ? value.map((item) => inner + pretty(item, inner))
    : Object.entries(value).map(([k, v]) => `${inner}${JSON.stringify(k)}: ${pretty(v, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${parts.join(",\n")}\n${indent}${close}`;
}

const json = (value) => h("pre", { class: "json" }, pretty(value));
