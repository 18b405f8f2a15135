// Precision, recall and F1 at every threshold: the raw score and the fused probability side by side, thresholds and the maybe band drawn in.

const unpackedCurves = new Map();

/** A curve with its columns unpacked and its figures computed, once; null where the view has none. */
function curveOf(unit, view, scope) {
  const key = `${unit} ${view} ${scope}`;
  if (unpackedCurves.has(key)) return unpackedCurves.get(key);
  const curve = data.curves[unit]?.[view]?.[scope];
  if (!curve) return null;
  const thresholds = unpack(curve.thresholds), tp = unpack(curve.tp), fp = unpack(curve.fp);
  const found = curve.found ? unpack(curve.found) : tp;
  const size = thresholds.length;
  const made = { ...curve, size, thresholds, tp, fp, found, precision: new Float64Array(size), recall: new Float64Array(size), f1: new Float64Array(size) };
  for (let k = 0; k < size; k++) {
    const { precision, recall, f1 } = figuresOf(tp[k], fp[k], found[k], curve.positives);
    made.precision[k] = precision;
    made.recall[k] = recall;
    made.f1[k] = f1;
  }
  unpackedCurves.set(key, made);
  return made;
}

/** The counts of what scores `threshold` or more. */
function pointAt(curve, threshold) {
  let low = 0, high = curve.size;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.thresholds[middle] < threshold) low = middle + 1;
    else high = middle;
  }
  const [tp, fp, found] = low < curve.size ? [curve.tp[low], curve.fp[low], curve.found[low]] : [0, 0, 0];
  return { threshold, tp, fp, found, fn: curve.positives - found, ...figuresOf(tp, fp, found, curve.positives) };
}

function sayPoint(curve, k, what) {
  return [
    `${what}, threshold ${exact(curve.thresholds[k])}`,
    `precision ${figure(curve.precision[k])}, recall ${figure(curve.recall[k])}`,
    `F1 ${figure(curve.f1[k], 4)}`,
    `${count(curve.tp[k])} true, ${count(curve.fp[k])} false, ${count(curve.positives - curve.found[k])} missed`,
  ];
}

const VIEW_COLOURS = { raw: "--raw", fused: "--fused", held_out: "--fused" };

function showCurves() {
  const { scope, unit, view } = state;
  const raw = curveOf(unit, "raw", scope), fused = curveOf(unit, view, scope);
  const pair = thresholdsOf(unit, scope);
  const charts = byId("curve-charts");
  charts.replaceChildren();
  if (!raw || !fused || !fused.size) {
    charts.append(element("p", { class: "note" }, "There is no curve: " + (fused?.undetermined ?? "no detections.")));
    byId("curve-table").replaceChildren();
    return;
  }
  showPrecisionRecall(place(charts), raw, fused, pair);
  showByThreshold(place(charts), raw, "raw score", [], raw.best);
  showByThreshold(place(charts), fused, VIEW_NAMES[view], pair, fused.best);
  showPoints(raw, fused, pair);
  const thinned = [raw, fused].filter((curve) => curve.size < curve.of);
  byId("curve-note").textContent = thinned.length
    ? `Shown are ${thinned.map((curve) => `${count(curve.size)} of ${count(curve.of)}`).join(" and ")} points: every one that a line of this size can show, and those chosen.`
    : `Every point: ${count(raw.size)} by raw score, ${count(fused.size)} fused. Drag to zoom, double-click to go back.`;
}

function showPrecisionRecall(container, raw, fused, pair) {
  const line = (curve, label, colour, dash) => ({
    kind: "line", label: `${label}, AP ${figure(curve.average_precision)}`, colour, dash, xs: curve.recall, ys: curve.precision,
    say: (k) => sayPoint(curve, k, label),
  });
  const label = VIEW_NAMES[state.view];
  const ends = pair.map((end) => ({ ...pointAt(fused, end.x), ...end })).filter((end) => isNumber(end.precision));
  const band = ends.length === 2 ? between(fused, pair) : null;
  chart(container, {
    title: `Precision over recall: average precision ${figure(raw.average_precision)} by raw score, ${figure(fused.average_precision)} ${label}.`,
    x: { label: "recall", range: [0, 1.005] }, y: { label: "precision", range: [floorOf(raw, fused), 1.01] },
    layers: [
      ...(band ? [{ kind: "line", label: "maybe", colour: "--maybe", width: 9, ...band }] : []),
      line(raw, "raw score", "--raw"),
      line(fused, label, "--fused"),
      { kind: "points", label: "", colour: "--fused", size: 5, ring: true, xs: ends.map((end) => end.recall), ys: ends.map((end) => end.precision),
        colours: ends.map((end) => end.colour), say: (k) => [ends[k].label, `precision ${figure(ends[k].precision)}, recall ${figure(ends[k].recall)}`] },
    ],
  });
}

/** Where the axis of precision begins: the tenth under the lowest precision at a recall of two hundredths or more. */
function floorOf(...curves) {
  let least = 1;
  for (const curve of curves) {
    for (let k = 0; k < curve.size; k++) if (curve.recall[k] >= 0.02 && curve.precision[k] < least) least = curve.precision[k];
  }
  return Math.max(0, Math.floor(10 * least - 0.25) / 10);
}

/** The stretch of a curve between the two thresholds. */
function between(curve, pair) {
  const [low, high] = [pair[0].x, pair[1].x].sort((a, b) => a - b);
  const xs = [], ys = [];
  for (let k = 0; k < curve.size; k++) {
    if (curve.thresholds[k] >= low && curve.thresholds[k] < high) { xs.push(curve.recall[k]); ys.push(curve.precision[k]); }
  }
  const end = pointAt(curve, high);
  if (isNumber(end.precision)) { xs.push(end.recall); ys.push(end.precision); }
  return { xs, ys };
}

function showByThreshold(container, curve, label, pair, best) {
  const low = Math.min(0, curve.thresholds[0] ?? 0), high = Math.max(1, curve.thresholds[curve.size - 1] ?? 1);
  const marks = pair.length ? pair : best ? [{ x: best.threshold, label: `best F1 at ${exact(best.threshold)}`, colour: "--ink" }] : [];
  const line = (key, colour, dash, width) => ({
    kind: "line", label: key, colour, dash, width, stepped: true, xs: curve.thresholds, ys: curve[key.toLowerCase()], say: (k) => sayPoint(curve, k, label),
  });
  chart(container, {
    title: `F1 by threshold, ${label}: best ${figure(best?.f1)} at ${exact(best?.threshold)}.`,
    x: { label: label === "raw score" ? "threshold on the raw score" : `threshold on the probability (${label})`, range: [low, high] },
    y: { label: "", range: [0, 1.02] }, marks,
    bands: pair.length === 2 ? [{ from: pair[0].x, to: pair[1].x, colour: "--maybe-band" }] : [],
    layers: [line("precision", "--precision", [5, 4], 1.3), line("recall", "--recall", [2, 3], 1.3), line("F1", label === "raw score" ? "--raw" : "--fused", null, 2.2)],
  });
}

/** NO and YES thresholds of a class, as marks. */
function thresholdsOf(unit, scope) {
  const pair = data.thresholds[unit]?.[scope];
  if (!pair) return [];
  return [{ x: pair.no, label: `maybe ≥ ${figure(pair.no, 2)}`, colour: "--maybe-line" }, { x: pair.yes, label: `yes ≥ ${figure(pair.yes, 2)}`, colour: "--yes" }];
}

function showPoints(raw, fused, pair) {
  const row = (what, point) => [
    what, exact(point.threshold), count(point.tp), count(point.fp), count(point.fn), figure(point.precision), figure(point.recall), figure(point.f1, 4),
  ];
  const label = VIEW_NAMES[state.view];
  const rows = [
    ...(raw.best ? [row("raw score, best F1", raw.best), row("raw score, recommended", raw.recommended)] : []),
    ...(fused.best ? [row(`${label}, best F1`, fused.best), row(`${label}, recommended`, fused.recommended)] : []),
    ...pair.slice().reverse().map((end) => row(end.colour === "--yes" ? `${label}, YES of the policy` : `${label}, YES and MAYBE of the policy`, pointAt(fused, end.x))),
  ];
  byId("curve-table").replaceChildren(tableOf(
    [["point"], ["threshold", true], ["true", true], ["false", true], ["missed", true], ["precision", true], ["recall", true], ["F1", true]], rows,
  ));
}

function curveRows(curve) {
  const rows = [["threshold", "true_positives", "false_positives", "misses", "precision", "recall", "f1"]];
  for (let k = 0; k < curve.size; k++) {
    rows.push([curve.thresholds[k], curve.tp[k], curve.fp[k], curve.positives - curve.found[k], curve.precision[k], curve.recall[k], curve.f1[k]]);
  }
  return rows;
}

function downloadCurve(view) {
  const curve = curveOf(state.unit, view, state.scope);
  if (curve) download(`curve-${state.unit}-${view}.csv`, "text/csv", csv(curveRows(curve)));
}

function downloadCurves() {
  const every = [];
  for (const [unit, views] of Object.entries(data.curves)) {
    for (const [view, scopes] of Object.entries(views)) {
      for (const scope of Object.keys(scopes)) {
        const [columns, ...rows] = curveRows(curveOf(unit, view, scope));
        const points = Object.fromEntries(columns.map((column, at) => [column, rows.map((row) => (Number.isNaN(row[at]) ? null : row[at]))]));
        every.push({ unit, view, class: scope === "all" ? null : data.classes[Number(scope)], objects: scopes[scope].positives, points_in_all: scopes[scope].of, ...points });
      }
    }
  }
  download("curves.json", "application/json", JSON.stringify(every));
}
