// The page's data, and small tools. Names come from people's files: they reach the page as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

const VIEW_NAMES = { raw: "raw score", calibrated: "calibrated, held out", held_out: "fused, held out", fused: "fused, all data" };
const VERDICTS = { 1: "NO", 2: "MAYBE", 3: "YES" };
const LABELS = { 1: "true", 0: "false", "-1": "not judged" };

/** An element with attributes ("onclick" and the like: listeners) and children; texts become text nodes. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const KINDS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };

/** A packed column: see packing.py. */
function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  return new KINDS[packed.kind](bytes.buffer);
}

const isNumber = (value) => value !== null && value !== undefined && Number.isFinite(value);
const figure = (value, digits = 3) => (isNumber(value) ? value.toFixed(digits) : "–");
const percent = (value, digits = 1) => (isNumber(value) ? `${(100 * value).toFixed(digits)} %` : "–");
const count = (value) => (isNumber(value) ? value.toLocaleString("en-GB") : "–");
const exact = (value) => (isNumber(value) ? String(Number(value.toPrecision(6))) : "–");

const ratio = (upper, lower) => (lower ? upper / lower : NaN);

/** precision, recall and F1 of counts, as curve.py has them. */
function figuresOf(tp, fp, found, positives) {
  const lower = tp === 0 ? positives + tp + fp : tp * positives + found * (tp + fp);
  return { precision: ratio(tp, tp + fp), recall: ratio(found, positives), f1: ratio(tp === 0 ? 0 : 2 * tp * found, lower) };
}

/** Offers a text as a file. Made in the page: nothing is fetched or sent. */
function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** A cell of CSV. Texts that a spreadsheet would take for a formula are told not to be one. */
function csvCell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csv = (rows) => rows.map((row) => row.map(csvCell).join(",")).join("\n") + "\n";

/** A plain table. Columns: [title, is it a number]. */
function tableOf(columns, rows, caption) {
  return element(
    "table", {},
    caption ? element("caption", {}, caption) : null,
    element("thead", {}, element("tr", {}, ...columns.map(([title, numeric]) => element("th", { scope: "col", class: numeric ? "number" : null }, title)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell, at) => element("td", { class: columns[at][1] ? "number" : null }, cell))))),
  );
}

/** Opens a dialog; what is drawn in it is drawn when it has its size. */
function openDialog(id, title, fill) {
  const dialog = byId(id);
  const body = dialog.querySelector(".dialog-body");
  dialog.querySelector("h2").textContent = title;
  body.replaceChildren();
  if (!dialog.open) dialog.showModal();
  body.scrollTop = 0;
  fill(body);
}
