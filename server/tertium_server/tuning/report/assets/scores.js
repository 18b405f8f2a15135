// How scores, overlaps, lengths and delays are distributed, and whether probabilities mean what they say.

const root = (value) => Math.sign(value) * Math.sqrt(Math.abs(value));
const middles = (edges) => edges.slice(1).map((edge, at) => (edge + edges[at]) / 2);

/** Counts up and counts down from one line, on a square-root scale, for the rare ones matter. */
function mirrored(container, options) {
  const { edges, up, down, upName, downName, marks, bands, label, title, names } = options;
  const most = Math.max(1, ...up.map(root), ...down.map(root));
  const centres = middles(edges);
  const step = [0, 0.25, 0.5, 0.75, 1].map((part) => Math.round((part * most) ** 2));
  const levels = [...new Set([...step.map((value) => -root(value)).reverse(), ...step.map(root)])];
  const say = (k) => [names ? names[k] : `${figure(edges[k], 3)} to ${figure(edges[k + 1], 3)}`, `${upName}: ${count(up[k])}`, `${downName}: ${count(down[k])}`];
  chart(container, {
    title, marks, bands,
    x: { label, range: [edges[0], edges[edges.length - 1]], ...(options.ticks ?? {}) },
    y: { label: "", range: [-most * 1.05, most * 1.05], splits: () => levels, values: (self, splits) => splits.map((value) => count(Math.round(value * value))) },
    layers: [
      { kind: "bars", label: upName, colour: "--true", xs: centres, ys: up.map(root), edges, say },
      { kind: "bars", label: downName, colour: "--false", xs: centres, ys: down.map((value) => -root(value)), edges },
    ],
  });
}

function showHistograms() {
  const parent = byId("histogram-charts");
  parent.replaceChildren();
  for (const view of ["raw", state.view]) {
    const counts = data.histograms[view]?.[state.scope];
    if (!counts) continue;
    const pair = view === "raw" ? [] : thresholdsOf("box", state.scope);
    mirrored(place(parent), {
      edges: counts.edges, up: counts.true, down: counts.false, upName: "true boxes", downName: "false boxes",
      label: view === "raw" ? "raw score" : `probability (${VIEW_NAMES[view]})`, marks: pair,
      bands: pair.length ? [{ from: pair[0].x, to: pair[1].x, colour: "--maybe-band" }] : [],
      title: `True and false boxes by ${VIEW_NAMES[view]}.`,
    });
  }
  const rows = [];
  const raw = data.histograms.raw[state.scope], fused = data.histograms[state.view][state.scope];
  for (let k = 0; raw && fused && k < raw.true.length; k++) {
    rows.push([`${figure(raw.edges[k], 3)} – ${figure(raw.edges[k + 1], 3)}`, count(raw.true[k]), count(raw.false[k]), `${figure(fused.edges[k], 3)} – ${figure(fused.edges[k + 1], 3)}`, count(fused.true[k]), count(fused.false[k])]);
  }
  byId("histogram-table").replaceChildren(tableOf([["raw score"], ["true", true], ["false", true], ["probability"], ["true", true], ["false", true]], rows));
}

function showReliability() {
  const parent = byId("reliability-charts");
  parent.replaceChildren();
  const colours = { raw: "--raw", calibrated: "--calibrated", held_out: "--fused", fused: "--fused" };
  for (const views of [["raw"], ["calibrated", state.view]]) {
    const sets = views.map((view) => [view, data.reliability[view]?.[state.scope]]).filter(([, bins]) => bins);
    if (!sets.length) continue;
    chart(place(parent), {
      title: "Share that is true over what was said: " + sets.map(([view, bins]) => `${VIEW_NAMES[view]}, calibration error ${figure(bins.error)}`).join("; "),
      x: { label: "what was said (mean of the bin)", range: [-0.01, 1.01] }, y: { label: "share that is true", range: [-0.01, 1.01] },
      layers: [
        { kind: "line", label: "", colour: "--muted", width: 1, dash: [4, 4], xs: [0, 1], ys: [0, 1] },
        ...sets.flatMap(([view, bins]) => [
          { kind: "line", label: `${VIEW_NAMES[view]}, ECE ${figure(bins.error)}`, colour: colours[view], xs: bins.said, ys: bins.came_true },
          { kind: "points", label: "", colour: colours[view], size: 4, xs: bins.said, ys: bins.came_true,
            say: (k) => [VIEW_NAMES[view], `said ${figure(bins.said[k])}, came true ${figure(bins.came_true[k])}`, `${count(bins.counts[k])} boxes`] },
        ]),
      ],
    });
  }
  const rows = Object.entries(data.reliability).filter(([, byName]) => byName[state.scope]).map(([view, byName]) => {
    const bins = byName[state.scope];
    return [VIEW_NAMES[view], figure(bins.error, 4), count(bins.counts.reduce((sum, value) => sum + value, 0)), count(bins.counts.length)];
  });
  byId("reliability-table").replaceChildren(tableOf([["probabilities"], ["calibration error (ECE)", true], ["boxes", true], ["bins of equal numbers", true]], rows));
  const bins = Object.entries(data.reliability).flatMap(([view, byName]) => {
    const one = byName[state.scope];
    return one ? one.said.map((said, k) => [VIEW_NAMES[view], figure(said, 4), figure(one.came_true[k], 4), count(one.counts[k])]) : [];
  });
  byId("reliability-bins").replaceChildren(tableOf([["probabilities"], ["said", true], ["came true", true], ["boxes", true]], bins));
}

function showDistributions() {
  const parent = byId("distribution-charts");
  parent.replaceChildren();
  const { iou, length, delay } = data.distributions[state.scope];
  showIous(place(parent), iou);
  const names = length.edges.slice(0, -1).map((edge, at) => (length.edges[at + 1] - edge === 1 ? `${edge} box${edge === 1 ? "" : "es"}` : `${edge} to ${length.edges[at + 1] - 1} boxes`));
  mirrored(place(parent), {
    edges: length.edges.map((edge, at) => at), up: length.counts.true, down: length.counts.false, upName: "true tracks", downName: "false tracks",
    label: "boxes of the track (doubling)", names, title: "Tracks by length.",
    ticks: { splits: () => length.edges.map((edge, at) => at), values: (self, splits) => splits.map((at) => String(length.edges[at] ?? "")) },
  });
  showDelays(place(parent), delay);
  byId("distribution-table").replaceChildren(
    tableOf([["IoU of right boxes"], ["YES", true], ["MAYBE", true], ["NO", true]], iou.counts.YES.map((yes, k) =>
      [`${figure(iou.edges[k], 2)} – ${figure(iou.edges[k + 1], 2)}`, count(yes), count(iou.counts.MAYBE[k]), count(iou.counts.NO[k])])),
    tableOf([["length"], ["true tracks", true], ["false tracks", true]], names.map((name, k) => [name, count(length.counts.true[k]), count(length.counts.false[k])])),
    tableOf([["frames until YES"], ["true tracks", true]], [
      ...delay.counts.flatMap((value, k) => (value ? [[k === delay.counts.length - 1 ? `${k} or more` : String(k), count(value)]] : [])), ["never", count(delay.never)],
    ]),
  );
}

function showIous(container, { edges, counts }) {
  const centres = middles(edges);
  const no = counts.NO, maybe = counts.MAYBE.map((value, at) => value + no[at]), yes = counts.YES.map((value, at) => value + maybe[at]);
  const say = (k) => [`IoU ${figure(edges[k], 2)} to ${figure(edges[k + 1], 2)}`, `YES: ${count(counts.YES[k])}`, `MAYBE: ${count(counts.MAYBE[k])}`, `NO: ${count(counts.NO[k])}`];
  const nothing = edges.map(() => 0);
  chart(container, {
    title: "Overlap of right boxes with their objects.",
    x: { label: "IoU of right boxes", range: [edges[0], 1] }, y: { label: "", range: [0, Math.max(1, ...yes) * 1.05], values: (self, splits) => splits.map(count) },
    layers: [
      { kind: "bars", label: "YES", colour: "--yes", xs: centres, ys: yes, base: maybe, edges, say },
      { kind: "bars", label: "MAYBE", colour: "--maybe", xs: centres, ys: maybe, base: no, edges },
      { kind: "bars", label: "NO", colour: "--no", xs: centres, ys: no, base: nothing, edges },
    ],
  });
}

function showDelays(container, delay) {
  const last = delay.counts.findLastIndex((value) => value > 0);
  const shown = delay.counts.slice(0, Math.max(last + 1, 10));
  const edges = [...shown.keys(), shown.length].map((edge) => edge - 0.5);
  const most = Math.max(1, ...shown);
  chart(container, {
    title: `Frames until a true track is YES: median ${figure(delay.median, 0)}, nine of ten by ${figure(delay.p90, 0)}; ${delay.never} never are.`,
    x: { label: `frames until YES (median ${figure(delay.median, 0)}, 90 % ${figure(delay.p90, 0)}, never ${count(delay.never)})`, range: [-0.5, shown.length - 0.5] },
    y: { label: "", range: [0, most * 1.05], values: (self, splits) => splits.map((value) => (Number.isInteger(value) ? count(value) : "")) },
    layers: [{ kind: "bars", label: "true tracks", colour: "--true", xs: [...shown.keys()], ys: shown, edges,
      say: (k) => [k === delay.counts.length - 1 ? `${k} frames or more` : `${k} frame${k === 1 ? "" : "s"}`, `${count(shown[k])} true tracks`] }],
  });
}
