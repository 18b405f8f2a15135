// The table of tracks, and the evidence of each over time.

const columns = data.tracks.columns;
const trackRows = columns.ids.map((id, at) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[at]])));
trackRows.forEach((row, at) => { row.at = at; row.certainty = Math.abs(2 * row.probabilities - 1); });
const trackPlaces = new Map(trackRows.map((row) => [`${row.sequences}:${row.ids}`, row.at]));

const TRACK_COLUMNS = [
  { title: "track", key: "ids", numeric: true, cell: (row) => element("button", { type: "button", class: "link", onclick: () => openTrack(row.at) }, String(row.ids)) },
  { title: "sequence", key: "sequences", text: (row) => data.sequences[row.sequences].name },
  { title: "class", key: "class_ids", text: (row) => data.classes[row.class_ids] },
  { title: "it is", key: "labels", cell: (row) => chip(LABELS[row.labels], { 1: "is-true", 0: "is-false" }[row.labels]) },
  { title: "verdict", key: "verdicts", cell: (row) => chip(VERDICTS[row.verdicts], VERDICTS[row.verdicts].toLowerCase()) },
  { title: "probability", key: "probabilities", numeric: true, text: (row) => figure(row.probabilities, 4) },
  { title: "highest score", key: "scores", numeric: true, text: (row) => figure(row.scores) },
  { title: "boxes", key: "boxes", numeric: true, text: (row) => count(row.boxes) },
  { title: "right", key: "right", numeric: true, text: (row) => count(row.right) },
  { title: "missed frames", key: "missed", numeric: true, text: (row) => count(row.missed) },
  { title: "frames until YES", key: "delays", numeric: true, text: (row) => (row.delays < 0 ? "never" : count(row.delays)) },
  { title: "first frame", key: "first", numeric: true, text: (row) => String(row.first) },
  { title: "notes", key: "interest", cell: (row) => element("span", { class: "chips" }, ...notes(row)) },
];

const KINDS_OF_TRACKS = {
  all: () => true,
  mistakes: (row) => row.mistaken === 1,
  disputed: (row) => row.disputed === 1,
  contested: (row) => row.contested >= 0.5 && row.labels >= 0,
  maybe: (row) => row.verdicts === 2,
  uncertain: () => true, // in another order
};

const tracksShown = { key: null, falling: false, rows: 30 };

const chip = (text, kind) => element("span", { class: `chip ${kind ?? ""}` }, text);

function notes(row) {
  const made = [];
  if (row.mistaken) made.push(chip("mistake", "is-false"));
  if (row.disputed) made.push(chip("raw score says otherwise", "maybe"));
  if (row.contested >= 0.5) made.push(chip("box and track disagree", "maybe"));
  return made;
}

function chosenTracks() {
  const kind = byId("track-kind").value, sequence = byId("track-sequence").value, verdict = byId("track-verdict").value, label = byId("track-label").value;
  const text = byId("track-search").value.trim().toLowerCase();
  const classId = state.scope === "all" ? -1 : Number(state.scope);
  const rows = trackRows.filter((row) =>
    KINDS_OF_TRACKS[kind](row) && (sequence === "" || row.sequences === Number(sequence)) && (verdict === "" || row.verdicts === Number(verdict)) &&
    (label === "" || row.labels === Number(label)) && (classId < 0 || row.class_ids === classId) &&
    (text === "" || `${row.ids} ${data.sequences[row.sequences].name} ${data.classes[row.class_ids]}`.toLowerCase().includes(text)));
  const { key, falling } = tracksShown;
  if (key) {
    const value = (row) => (key === "interest" ? -row.at : key === "sequences" ? data.sequences[row.sequences].name : key === "class_ids" ? data.classes[row.class_ids] : row[key]);
    rows.sort((a, b) => { const x = value(a), y = value(b); return ((x > y) - (x < y)) * (falling ? -1 : 1) || a.at - b.at; });
  } else if (kind === "uncertain") rows.sort((a, b) => a.certainty - b.certainty || a.at - b.at);
  return rows;
}

function showTracks() {
  const rows = chosenTracks(), shown = rows.slice(0, tracksShown.rows);
  const { key, falling } = tracksShown;
  const head = element("tr", {}, ...TRACK_COLUMNS.map((column) => element(
    "th", { scope: "col", class: column.numeric ? "number" : null, "aria-sort": column.key === key ? (falling ? "descending" : "ascending") : null },
    element("button", { type: "button", class: "sort", "data-key": column.key, onclick: () => sortTracks(column) }, column.title),
  )));
  const body = shown.map((row) => element("tr", {}, ...TRACK_COLUMNS.map((column) =>
    element("td", { class: column.numeric ? "number" : null }, column.cell ? column.cell(row) : column.text(row)))));
  byId("track-table").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
  const { total, shown: listed } = data.tracks;
  const left = listed < total ? `; the page holds the ${count(listed)} most interesting of ${count(total)}` : "";
  byId("track-count").textContent = `${count(rows.length)} of ${count(listed)} tracks${left}.`;
  byId("track-more").hidden = shown.length === rows.length;
}

/** True and false tracks by verdict, of all there are; a number shows those tracks below. */
function showOutcomes() {
  const outcomes = data.tracks.outcomes[state.scope];
  const rows = [["1", "true tracks"], ["0", "false tracks"]].map(([label, title]) => [title, ...outcomes[label].map((value, at) =>
    value ? element("button", { type: "button", class: "link", onclick: () => chooseOutcome(label, String(3 - at)) }, count(value)) : "0")]);
  byId("track-outcomes").replaceChildren(tableOf([["was"], ["YES", true], ["MAYBE", true], ["NO", true]], rows));
}

function chooseOutcome(label, verdict) {
  byId("track-kind").value = "all";
  byId("track-label").value = label;
  byId("track-verdict").value = verdict;
  tracksShown.rows = 30;
  showTracks();
  byId("track-count").scrollIntoView({ block: "center" });
}

function sortTracks(column) {
  const again = tracksShown.key === column.key;
  tracksShown.falling = again ? !tracksShown.falling : Boolean(column.numeric);
  tracksShown.key = column.key;
  showTracks();
  byId("track-table").querySelector(`[data-key="${column.key}"]`).focus();
}

function downloadTracks() {
  const names = ["sequence", "track", "class", "label", "verdict", "probability", "score", "boxes", "right", "missed", "delay", "first", "last", "contested", "mistaken", "disputed"];
  download("tracks.csv", "text/csv", csv([names, ...chosenTracks().map((row) => [
    data.sequences[row.sequences].name, row.ids, data.classes[row.class_ids], LABELS[row.labels], VERDICTS[row.verdicts], row.probabilities, row.scores,
    row.boxes, row.right, row.missed, row.delays < 0 ? null : row.delays, row.first, row.last, row.contested, row.mistaken, row.disputed,
  ])]));
}

function openTrack(at) {
  const row = trackRows[at], evidence = data.tracks.evidence[at];
  const title = `Track ${row.ids} of ${data.sequences[row.sequences].name}: ${data.classes[row.class_ids]}`;
  openDialog("track-dialog", title, (body) => {
    body.append(element("p", { class: "chips" }, chip(LABELS[row.labels], { 1: "is-true", 0: "is-false" }[row.labels]), chip(VERDICTS[row.verdicts], VERDICTS[row.verdicts].toLowerCase()), ...notes(row)));
    body.append(element("p", {},
      `Highest probability ${figure(row.probabilities, 4)}, highest score ${figure(row.scores)}. ${count(row.boxes)} boxes in frames ${row.first} to ${row.last}, ${count(row.right)} right, ${count(row.missed)} frames missed. ` +
      (row.delays < 0 ? "It was never YES." : `YES after ${count(row.delays)} frames.`)));
    if (!evidence) {
      body.append(element("p", { class: "note" }, `The page holds the evidence of the ${count(data.tracks.with_evidence)} most interesting tracks; this one is not among them.`));
      return;
    }
    showEvidence(body, row, evidence);
  });
}

function showEvidence(body, row, evidence) {
  const { frames } = evidence;
  const low = frames[0] - 1, high = frames[frames.length - 1] + 1;
  const x = (label) => ({ label, range: [low, high], values: (self, splits) => splits.map((value) => (Number.isInteger(value) ? String(value) : "")) });
  const pair = data.thresholds.track[String(row.class_ids)];
  const say = (k) => [
    `frame ${frames[k]}`, `track ${figure(evidence.track[k], 4)}, ${word(evidence.track_verdicts[k])}`, `box ${figure(evidence.box[k], 4)}, ${word(evidence.box_verdicts[k])}, ${SIGNS[evidence.labels[k]]}`,
    `score ${figure(evidence.scores[k])}`, `levels: fast ${figure(evidence.fast[k], 2)}, slow ${figure(evidence.slow[k], 2)}`,
  ];
  const shares = evidence.scores.every((value) => value >= 0 && value <= 1);
  chart(place(body), {
    title: "Probability of track and box, and the score, over time, with the track's thresholds.", height: 220, x: x(""), y: { label: "", range: [0, 1.02], size: 62 },
    bands: [{ side: "y", from: pair.no, to: pair.yes, colour: "--maybe-band" }],
    marks: [{ side: "y", y: pair.yes, label: "yes", colour: "--yes" }, { side: "y", y: pair.no, label: "maybe", colour: "--maybe-line" }],
    layers: [
      ...(shares ? [{ kind: "points", label: "score", colour: "--raw", size: 2, xs: frames, ys: evidence.scores }] : []),
      { kind: "line", label: "box", colour: "--box", width: 1.2, xs: frames, ys: evidence.box },
      { kind: "line", label: "track", byColumn: true, colour: "--fused", width: 2.4, xs: frames, ys: evidence.track, say },
    ],
  });
  const levels = [...evidence.fast, ...evidence.slow].filter(isNumber);
  const least = Math.min(0, ...levels), most = Math.max(0, ...levels), room = 0.06 * (most - least || 1);
  chart(place(body), {
    title: "Evidence levels in log-odds, fast and slow.", height: 165, x: x(""), y: { label: "", size: 62, range: [least - room, most + room] },
    layers: [
      { kind: "line", label: "fast level, log-odds", byColumn: true, colour: "--fast", width: 1.3, xs: frames, ys: evidence.fast, say },
      { kind: "line", label: "slow level, log-odds", colour: "--slow", width: 2.2, xs: frames, ys: evidence.slow },
    ],
  });
  chart(place(body), {
    title: "Verdicts on track and box, and what the boxes were, over time.", height: 140, x: x("frame"),
    y: { label: "", range: [0, 3], size: 62, splits: () => [0.5, 1.5, 2.5], values: () => ["truth", "box", "track"] },
    layers: [
      { kind: "cells", label: "", colour: "--yes", row: 2, xs: frames, ys: frames.map(() => 2.5), colours: [...evidence.track_verdicts].map((letter) => LETTER_COLOURS[letter]), say },
      { kind: "cells", label: "", colour: "--yes", row: 1, xs: frames, ys: frames.map(() => 1.5), colours: [...evidence.box_verdicts].map((letter) => LETTER_COLOURS[letter]) },
      { kind: "cells", label: "", colour: "--yes", row: 0, xs: frames, ys: frames.map(() => 0.5), colours: [...evidence.labels].map((sign) => SIGN_COLOURS[sign]) },
    ],
  });
  body.append(element("div", { class: "legend" }, ...[["yes", "YES"], ["maybe", "MAYBE"], ["no", "NO"], ["true", "true box"], ["false", "false box"], ["dropped", "not judged"]].map(([kind, text]) =>
    element("span", {}, element("i", { class: `key square ${kind}` }), text)), element("span", {}, "gaps: no box")));
  if (frames.length < evidence.of) body.append(element("p", { class: "note" }, `Shown are ${count(frames.length)} of ${count(evidence.of)} boxes, evenly spread, with every change of the track's verdict.`));
  const rows = frames.map((frame, k) => [
    String(frame), figure(evidence.scores[k]), figure(evidence.fast[k], 2), figure(evidence.slow[k], 2), figure(evidence.box[k], 4), word(evidence.box_verdicts[k]),
    figure(evidence.track[k], 4), word(evidence.track_verdicts[k]), SIGNS[evidence.labels[k]],
  ]);
  body.append(element("details", {}, element("summary", {}, "As a table"), element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Evidence over time" }, tableOf(
    [["frame", true], ["score", true], ["fast", true], ["slow", true], ["box", true], ["verdict"], ["track", true], ["verdict"], ["the box is"]], rows,
  ))));
}

const word = (letter) => ({ Y: "YES", M: "MAYBE", N: "NO" })[letter];
const LETTER_COLOURS = { Y: "--yes", M: "--maybe", N: "--no" };
const SIGN_COLOURS = { "+": "--true", "-": "--false", "?": "--dropped" };
const SIGNS = { "+": "true", "-": "false", "?": "not judged" };

function bindTracks() {
  const again = () => { tracksShown.rows = 30; showTracks(); };
  for (const id of ["track-kind", "track-sequence", "track-verdict", "track-label"]) {
    byId(id).addEventListener("change", () => { if (id === "track-kind") tracksShown.key = null; again(); });
  }
  byId("track-search").addEventListener("input", again);
  byId("track-more").addEventListener("click", () => { tracksShown.rows += 100; showTracks(); });
  byId("track-csv").addEventListener("click", downloadTracks);
}
