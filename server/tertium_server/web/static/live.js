// The live page: asks for figures every two seconds and draws them. Everything that comes from the server is put in as text, never as markup.

import { $, ask, guarded, known, onSignIn } from "./session.js";

const POLL = 2_000; // milliseconds
const KEPT = 150; // polls: five minutes of them
const SVG = "http://www.w3.org/2000/svg";
const VERDICTS = ["yes", "maybe", "no"];
const METHODS = { audit: "audit", calibrated: "calibrated", frame_audit: "whole frames", truth: "truth" };
const RARE = { frame_audit: 1, truth: 1 }; // shown where there are any
const SOURCES = { maybe: "in doubt", audit_yes: "audits of yes", audit_no: "audits of no", frame_audit: "whole frames", gold: "answer is known" };
const NAMES = { all: "All classes", other: "Classes that neither the policy nor --classes names" };

let span = "1d";
let first = null; // the figures with which the page began
let newest = null;
const rates = [];

function made(kind, text = "", name = "") {
  const element = document.createElement(kind);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

function show(which) {
  for (const id of ["board", "door"]) $(id).hidden = id !== which;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });
const percent = (share) => `${(100 * share).toFixed(share >= 0.995 || share < 0.0995 ? 1 : 0)} %`;
const total = (counts) => VERDICTS.reduce((sum, verdict) => sum + (counts[verdict] || 0), 0);

function ago(seconds) {
  const [size, word] = [[86_400, "day"], [3_600, "hour"], [60, "minute"], [1, "second"]].find(([size]) => seconds >= size) || [1, "second"];
  const count = Math.max(0, Math.floor(seconds / size));
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

// ---------------------------------------------------------------- drawing

function rateOf(pick) {
  // Between the last two polls; a server that was started anew begins with 0.
  if (rates.length < 2) return null;
  const [before, after] = rates.slice(-2);
  const seconds = after.time - before.time;
  return seconds > 0 ? Math.max(0, pick(after) - pick(before)) / seconds : null;
}

function drawTiles(figures) {
  const say = (value) => (value === null ? "–" : short.format(value));
  const waiting = Object.values(figures.queue.waiting).reduce((sum, count) => sum + count, 0);
  $("streams").textContent = whole.format(figures.streams);
  $("frames").textContent = say(rateOf((each) => each.frames));
  $("decisions").textContent = say(rateOf((each) => total(each.verdicts)));
  $("waiting").textContent = whole.format(waiting);
  $("waiting_words").textContent = waiting === 1 ? "case waits" : "cases wait";
  $("policy").textContent = figures.policy ? `policy ${figures.policy.name} ${figures.policy.version}, for ${ago(figures.time - figures.policy.loaded)}` : "";
}

function bar(counts) {
  const element = made("div", "", "bar");
  fillBar(element, counts);
  return element;
}

function fillBar(element, counts) {
  const sum = total(counts);
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", sum ? VERDICTS.map((verdict) => `${verdict} ${percent(counts[verdict] / sum)}`).join(", ") : "nothing yet");
  element.replaceChildren(...(sum ? VERDICTS : []).map((verdict) => {
    const part = made("span", "", verdict);
    part.style.flexGrow = counts[verdict] / sum;
    return part;
  }));
}

function drawMix(figures) {
  // Since the page was opened, or since the server was started, whatever was later.
  const restarted = VERDICTS.some((verdict) => figures.verdicts[verdict] < first.verdicts[verdict]);
  if (restarted) first = figures;
  const fresh = Object.fromEntries(VERDICTS.map((verdict) => [verdict, figures.verdicts[verdict] - first.verdicts[verdict]]));
  const counts = total(fresh) ? fresh : figures.verdicts;
  const sum = total(counts);
  $("mix_since").textContent = total(fresh) ? `Since you opened this page, ${ago(figures.time - first.time)} ago.` : "Since the server was started.";
  fillBar($("mix_bar"), counts);
  $("mix_words").replaceChildren(...VERDICTS.flatMap((verdict) => [
    made("dt", verdict, verdict),
    made("dd", sum ? `${percent(counts[verdict] / sum)} (${short.format(counts[verdict])})` : "–"),
  ]));
}

function drawRate() {
  const points = [];
  for (let place = 1; place < rates.length; place += 1) {
    const seconds = rates[place].time - rates[place - 1].time;
    if (seconds > 0) points.push(Math.max(0, total(rates[place].verdicts) - total(rates[place - 1].verdicts)) / seconds);
  }
  const most = Math.max(...points, 1e-9);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.map((value, place) => `${300 - (points.length - 1 - place) * (300 / (KEPT - 1))},${66 - 60 * (value / most)}`).join(" "));
  const worth = points.length > 1 && most > 1e-6;
  $("rate").toggleAttribute("hidden", !worth);
  $("rate").replaceChildren(...(worth ? [line] : []));
  $("rate_words").textContent = worth ? `A second, over the last five minutes; at most ${short.format(most)}.` : "";
}

function drawQueue(figures) {
  const entries = Object.entries(figures.queue.waiting).filter(([source, count]) => count || source in { maybe: 1, audit_yes: 1, audit_no: 1 });
  $("queue_words").replaceChildren(...entries.flatMap(([source, count]) => [made("dt", SOURCES[source] || source), made("dd", whole.format(count))]));
  const oldest = figures.queue.oldest ? `The oldest has waited ${ago(figures.time - figures.queue.oldest)}.` : "Nothing waits.";
  $("oldest").textContent = figures.queue.store_up ? oldest : "The review store is away: decisions wait on the disk, and nobody gets cases.";
}

function number(label, text) {
  const cell = made("td", text, "number");
  cell.dataset.label = label;
  return cell;
}

function drawGroups(figures) {
  const before = rates.length > 1 ? rates[rates.length - 2] : null;
  const used = figures.groups.filter((each) => each.group !== "other" || each.streams || each.frames);
  $("groups").replaceChildren(...used.map((each) => {
    const row = made("tr");
    const earlier = before && before.groups.find((other) => other.group === each.group);
    const rate = earlier && figures.time > before.time ? Math.max(0, each.frames - earlier.frames) / (figures.time - before.time) : null;
    const last = made("td");
    if (each.decided) last.append(bar(each.decided));
    row.append(
      made("td", each.group),
      number("Streams", whole.format(each.streams)),
      number("Frames/s", rate === null ? "–" : short.format(rate)),
      number("Tracks, last hour", each.decided ? whole.format(total(each.decided)) : "–"),
      last,
    );
    // A phone shows rows as cards, which would be no table any more to those who listen.
    row.setAttribute("role", "row");
    for (const cell of row.children) cell.setAttribute("role", "cell");
    return row;
  }));
}

function figureRow(method, estimate) {
  const row = made("div", "", `figure ${method}`);
  const scale = made("div", "", "scale");
  row.append(made("span", METHODS[method]), scale);
  if (!estimate || estimate.value === null) {
    const samples = estimate ? Math.floor(estimate.samples) : 0;
    row.append(made("span", `too few yet (${samples})`, "said soft"));
    return row;
  }
  const { value, lower, upper, samples } = estimate;
  if (lower !== null && upper !== null) {
    const band = made("i");
    band.style.left = `${100 * lower}%`;
    band.style.width = `${100 * Math.max(upper - lower, 0.004)}%`;
    scale.append(band);
  }
  const mark = made("b");
  mark.style.left = `${100 * value}%`;
  scale.append(mark);
  const ends = lower === null || upper === null ? "" : ` (${(100 * lower).toFixed(0)} – ${(100 * upper).toFixed(0)})`;
  row.append(made("span", `${percent(value)}${ends}, n ${short.format(samples)}`, "said"));
  return row;
}

function drawEstimates(figures) {
  const chosen = figures.estimates.filter((each) => each.window === span);
  const told = (each) => Object.keys(METHODS).some((method) => chosen.some((other) => other.class === each && other.method === method && (other.precision.samples || other.recall.samples)));
  const classes = [...new Set(chosen.map((each) => each.class))].filter((each) => each === "all" || told(each));
  classes.sort((a, b) => (a === "all" ? -1 : b === "all" ? 1 : a < b ? -1 : 1));
  $("estimates").replaceChildren(...classes.flatMap((name) => {
    const grid = made("div", "", "figures");
    for (const figure of ["precision", "recall"]) {
      const column = made("div");
      column.append(made("p", figure, "soft"));
      for (const method of Object.keys(METHODS)) {
        const entry = chosen.find((each) => each.class === name && each.method === method);
        if (method in RARE && !(entry && entry[figure].samples)) continue;
        column.append(figureRow(method, entry && entry[figure]));
      }
      grid.append(column);
    }
    return [made("h3", NAMES[name] || name), grid];
  }));
  $("estimated").textContent = figures.estimated
    ? `Of tracks decided in the last ${{ "1h": "hour", "1d": "day", "7d": "week" }[span]}; estimated ${ago(figures.time - figures.estimated)} ago.`
    : "Another server that shares this store makes the estimates, or none were made yet.";
}

function draw() {
  drawTiles(newest);
  drawMix(newest);
  drawRate();
  drawQueue(newest);
  drawGroups(newest);
  drawEstimates(newest);
}

// ---------------------------------------------------------------- running

async function look() {
  newest = await ask("/live/api/figures");
  first = first || newest;
  if (!rates.length || newest.time > rates[rates.length - 1].time) rates.push(newest);
  if (rates.length > KEPT) rates.shift();
  show("board");
  draw();
}

const refresh = () => guarded(look, show);

async function run() {
  for (;;) {
    if (!document.hidden && (!$("board").hidden || known() || !newest)) await refresh();
    await new Promise((resolve) => { setTimeout(resolve, POLL); });
  }
}

onSignIn(refresh);

for (const button of document.querySelectorAll("#windows button")) {
  button.addEventListener("click", () => {
    span = button.dataset.window;
    for (const other of document.querySelectorAll("#windows button")) other.setAttribute("aria-pressed", String(other === button));
    if (newest) drawEstimates(newest);
  });
}

run();
