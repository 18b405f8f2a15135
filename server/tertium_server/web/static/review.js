// The review page: one case on the desk, the next ones loaded behind it. Everything that comes from the server is put in as text, never as markup.

import { $, ask as send, fetchShowing, guarded as guard, onSignIn } from "./session.js";

const AHEAD = 3; // cases held at a time, the one on the desk among them
const HEARTBEAT = 60_000; // milliseconds; leases hold for five minutes
const POLL = 1_500;
const LOOKS = 10; // how often a case without pictures is asked for them
const SVG = "http://www.w3.org/2000/svg";
const WORDS = { yes: "yes", no: "no", maybe: "maybe", cannot_tell: "can’t tell" };
const SOURCES = { maybe: "the machine was in doubt", audit_yes: "an audit of a yes", audit_no: "an audit of a no", frame_audit: "an audit of a whole frame" };

const held = []; // leases; the first one is on the desk
let last = null; // what was answered last
let place = 0; // the picture shown
let busy = false;
let filling = null;
let looking = 0;

const ask = (action, body = {}, options = {}) => send(`/review/api/${action}`, body, options);

function element(kind, attributes = {}, parent = null) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (parent) parent.append(made);
  return made;
}

function show(which) {
  for (const id of ["desk", "empty", "door"]) $(id).hidden = id !== which;
}

const guarded = (work) => guard(work, show);

// No second try would be answered otherwise: the case is gone, or something was answered before, in another tab say.
const isFinal = (error) => error.status === 404 || error.status === 409;

// ---------------------------------------------------------------- loading

async function load(lease) {
  lease.looks = lease.looks || 0;
  lease.pictures = await Promise.all(lease.pictures.map(async (picture) => {
    try {
      const response = await fetchShowing(`/review/api/cases/${lease.case}/pictures/${picture.frame}`);
      return response.ok ? { ...picture, url: URL.createObjectURL(await response.blob()) } : null;
    } catch {
      return null; // the case is ours all the same, and its boxes are known; pictures are asked for again
    }
  }));
  lease.pictures = lease.pictures.filter((picture) => picture !== null);
  return lease;
}

async function lookAgain() {
  // Pictures come from the camera's side a moment after a case is opened.
  for (const lease of held.filter((each) => !each.pictures.length && each.looks < LOOKS)) {
    lease.looks += 1;
    lease.pictures = (await ask("look", { case: lease.case })).pictures;
    if (lease.pictures.length) await load(lease);
    if (lease.pictures.length && lease === held[0]) draw();
  }
}

async function refill() {
  if (held.length >= AHEAD) return;
  const { leases } = await ask("lease", { count: AHEAD - held.length });
  for (const lease of leases) {
    held.push(await load(lease));
    if (held.length === 1) draw();
  }
}

function drop(lease) {
  const at = held.indexOf(lease);
  if (at >= 0) held.splice(at, 1); // in place: refill() adds to it when pictures have come
  lease.pictures.forEach((picture) => URL.revokeObjectURL(picture.url));
}

function fill() {
  // One at a time, or two would lease more than is wanted.
  filling = filling || guarded(refill).finally(() => { filling = null; });
  return filling;
}

async function refresh() {
  const state = await ask("state");
  $("depth").textContent = state.waiting === 1 ? "1 case waits" : `${state.waiting} cases wait`;
  $("pace").textContent = `${state.hour} this hour, ${state.day} today`;
  $("who").textContent = state.name;
  if ($("desk").hidden) draw();
  await fill();
  await lookAgain();
}

async function look() {
  looking += 1;
  await guarded(refresh);
  looking -= 1;
}

async function renew(lease) {
  const { expires } = await ask("renew", { case: lease.case, token: lease.token });
  if (expires !== null) return;
  // The lease has run out, while the computer slept say. What is being looked at may still be answered; the others may be somebody else's by now.
  lease.lapsed = true;
  if (held.indexOf(lease) > 0) drop(lease);
}

// ---------------------------------------------------------------- drawing

function draw() {
  const lease = held[0];
  $("undo_empty").hidden = !last || !last.case;
  if (!lease) {
    show("empty");
    return;
  }
  show("desk");
  place = 0;
  const best = lease.pictures.findIndex((picture) => picture.frame === middle(lease));
  if (best > 0) place = best;
  const whole = lease.whole_frame;
  $("question").textContent = whole ? "How many objects have no box?" : `Is this: ${lease.class_name}?`;
  $("about").textContent = whole ? `${lease.stream_id} · a whole frame · keys 1 to 9 answer at once` : `${lease.stream_id} · ${lease.frames.length} frames`;
  $("count").hidden = !whole;
  $("missed").value = "1";
  $("no_word").textContent = whole ? "None" : "No";
  $("yes_word").textContent = whole ? "So many" : "Yes";
  drawStrip(lease);
  drawFrame(lease);
  drawLast();
}

function middle(lease) {
  const pictures = lease.pictures;
  return pictures.length ? pictures[Math.floor(pictures.length / 2)].frame : -1;
}

function drawStrip(lease) {
  $("strip").replaceChildren(...lease.pictures.map((picture, index) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const image = document.createElement("img");
    button.type = "button";
    button.setAttribute("aria-label", `Frame ${picture.frame}`);
    button.setAttribute("aria-current", String(index === place));
    button.addEventListener("click", () => { place = index; drawStrip(lease); drawFrame(lease); });
    image.src = picture.url;
    image.alt = "";
    button.append(image);
    item.append(button);
    return item;
  }));
}

function drawFrame(lease) {
  const picture = lease.pictures[place];
  const overlay = $("overlay");
  overlay.replaceChildren();
  $("picture").hidden = !picture;
  if (picture) {
    const [left, top, right, bottom] = picture.crop;
    $("picture").src = picture.url;
    $("picture").alt = `Frame ${picture.frame}`;
    overlay.setAttribute("viewBox", `${left} ${top} ${Math.max(1, right - left)} ${Math.max(1, bottom - top)}`);
    if (lease.whole_frame) {
      lease.frames.forEach((frame) => drawBox(overlay, frame, "box"));
      $("caption").textContent = `Frame ${picture.frame}, ${lease.frames.length === 1 ? "1 box" : `${lease.frames.length} boxes`}`;
      return;
    }
    const box = lease.frames.find((frame) => frame[0] === picture.frame) || nearest(lease.frames, picture.frame);
    if (box) drawBox(overlay, box, "box");
    $("caption").textContent = `Frame ${picture.frame}, picture ${place + 1} of ${lease.pictures.length}`;
    return;
  }
  // Without a picture: where the track was.
  const width = lease.frame_width || Math.max(1, ...lease.frames.map((frame) => frame[3]));
  const height = lease.frame_height || Math.max(1, ...lease.frames.map((frame) => frame[4]));
  overlay.setAttribute("viewBox", `${-width * 0.02} ${-height * 0.02} ${width * 1.04} ${height * 1.04}`);
  element("rect", { x: 0, y: 0, width, height, class: "edge" }, overlay);
  const step = Math.max(1, Math.floor(lease.frames.length / 40));
  lease.frames.filter((_, index) => index % step === 0).forEach((frame) => drawBox(overlay, frame, "ghost"));
  if (lease.frames.length) drawBox(overlay, lease.frames[lease.frames.length - 1], "box");
  $("caption").textContent = "No picture came from this camera: these are the track’s boxes, the last one bright.";
}

function nearest(frames, index) {
  return frames.reduce((best, frame) => (!best || Math.abs(frame[0] - index) < Math.abs(best[0] - index) ? frame : best), null);
}

function drawBox(overlay, [, x1, y1, x2, y2], kind) {
  element("rect", { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1), class: kind }, overlay);
}

function drawLast() {
  $("last").hidden = !last;
  if (!last) return;
  $("undo").hidden = !last.case;
  if (last.refused) {
    $("told").textContent = last.refused;
    drawCurve({});
    return;
  }
  const { answer, revealed, fenced, class_name: name, missed } = last;
  const parts = [missed === undefined ? `${name || "whole frame"}: you said ${WORDS[answer]}` : `whole frame: you said ${missed} without a box`];
  if (revealed.machine) parts.push(`the machine ${WORDS[revealed.machine]} (${revealed.probability.toFixed(2)}); ${SOURCES[revealed.source]}`);
  if (fenced) parts.push("somebody else had it by then, so your answer was only noted");
  $("told").textContent = parts.join(" · ");
  drawCurve(revealed);
}

function drawCurve({ curve = [], levels = [], yes, no }) {
  const picture = $("curve");
  picture.replaceChildren();
  $("key").hidden = !levels.length;
  if (!curve.length && !levels.length) return;
  const indices = [...curve, ...levels].map(([frame]) => frame);
  const first = Math.min(...indices), span = Math.max(1, Math.max(...indices) - first);
  const x = (frame) => (300 * (frame - first) / span).toFixed(1);
  // Levels on a scale of their own, -6 to 6: they hold until the track is told of again.
  const level = (value) => (45 - 40 * Math.max(-6, Math.min(6, value)) / 6).toFixed(1);
  for (const [column, kind] of [[1, "fast"], [2, "slow"]]) {
    const steps = levels.flatMap((each, index) => [`${x(each[0])},${level(each[column])}`, `${x(index + 1 < levels.length ? levels[index + 1][0] : first + span)},${level(each[column])}`]);
    if (levels.length) element("polyline", { points: steps.join(" "), class: kind }, picture);
  }
  for (const each of levels) element("circle", { cx: x(each[0]), cy: 85 - 80 * each[3], r: 2.5, class: "dot" }, picture);
  if (!curve.length) return;
  const y = (value) => 85 - 80 * value;
  for (const [value, kind] of [[yes, "yes-line"], [no, "no-line"]]) element("line", { x1: 0, x2: 300, y1: y(value), y2: y(value), class: kind }, picture);
  const points = curve.map(([frame, value]) => `${x(frame)},${y(value).toFixed(1)}`).join(" ");
  element("polyline", { points, class: "line" }, picture);
}

// ---------------------------------------------------------------- answering

async function answer(which, counted) {
  const lease = held[0];
  if (!lease || busy) return;
  if (lease.whole_frame && which === "yes" && !counted && !$("missed").reportValidity()) return;
  const body = { case: lease.case, token: lease.token, answer: which };
  if (lease.whole_frame && which === "yes") body.missed = counted || $("missed").valueAsNumber;
  busy = true;
  $("missed").blur(); // keys are for the next case again
  await guarded(async () => {
    const outcome = await ask("vote", body).catch((error) => {
      if (!isFinal(error)) throw error;
      return { refused: `Not taken: ${error.message}` };
    });
    drop(lease);
    last = { ...outcome, answer: which, missed: body.missed, case: lease.case, class_name: lease.class_name };
    draw();
  });
  busy = false;
  look();
}

async function undo() {
  if (!last || !last.case || busy) return;
  busy = true;
  await guarded(async () => {
    const { lease, refused } = await ask("undo", { case: last.case }).catch((error) => {
      if (!isFinal(error)) throw error;
      return { refused: `Not undone: ${error.message}` };
    });
    last = refused ? { refused } : null;
    if (lease) held.unshift(await load(lease));
    draw();
  });
  busy = false;
  look();
}

function move(by) {
  const lease = held[0];
  if (!lease || !lease.pictures.length) return;
  place = (place + by + lease.pictures.length) % lease.pictures.length;
  drawStrip(lease);
  drawFrame(lease);
}

const KEYS = {
  y: () => answer("yes"), n: () => answer("no"), "?": () => answer("cannot_tell"), "/": () => answer("cannot_tell"),
  u: undo, arrowleft: () => move(-1), arrowright: () => move(1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.target.tagName === "INPUT") return;
  const digit = held[0] && held[0].whole_frame && event.key >= "1" && event.key <= "9";
  const act = digit ? () => answer("yes", Number(event.key)) : KEYS[event.key.toLowerCase()];
  if (!act || !$("door").hidden) return;
  event.preventDefault();
  act();
});
for (const which of ["yes", "no", "cannot_tell"]) $(which).addEventListener("click", () => answer(which));
$("missed").addEventListener("keydown", (event) => { if (event.key === "Enter") answer("yes"); });
$("undo").addEventListener("click", undo);
$("undo_empty").addEventListener("click", undo);
onSignIn(look);
window.addEventListener("pagehide", () => {
  for (const lease of held.splice(0)) ask("release", { case: lease.case, token: lease.token }, { keepalive: true }).catch(() => {});
});
window.addEventListener("pageshow", (event) => { if (event.persisted) draw(); }); // come back to: what it held was given back
setInterval(() => held.filter((lease) => !lease.lapsed).forEach((lease) => guarded(() => renew(lease))), HEARTBEAT);
setInterval(() => { if ($("door").hidden && !busy && !looking) look(); }, POLL); // a slow server is not asked faster than it answers

look();
