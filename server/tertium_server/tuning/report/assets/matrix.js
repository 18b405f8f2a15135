// The rows behind the cells of the confusion matrix.

function cellTitle(row, column) {
  const { classes } = data.confusion, size = classes.length;
  const was = row < size ? classes[row] : "no object";
  const said = column < size ? `YES, ${classes[column]}` : column === size ? "MAYBE" : row < size ? "NO or not detected" : "NO";
  return `Was: ${was}. Said: ${said}.`;
}

function openCell(row, column) {
  const { cells, counts } = data.confusion, cell = cells[`${row},${column}`];
  openDialog("cell-dialog", cellTitle(row, column), (body) => {
    const total = counts[row][column], shown = cell.frames.length;
    body.append(element("p", { class: "note" }, shown < total ? `The ${count(shown)} most wrong of ${count(total)}.` : `All ${count(total)}, the most wrong first.`));
    const rows = cell.frames.map((frame, at) => {
      const place = cell.sequences[at], track = cell.tracks[at];
      const name = data.sequences[place].name;
      return [
        name, String(frame), data.classes[cell.classes[at]] ?? "–", cell.boxes[at].map((value) => value.toFixed(1)).join(", "),
        exact(cell.scores[at]), figure(cell.probabilities[at], 4), figure(cell.ious[at], 2), trackButton(place, track), cell.lines[at] === null ? "not detected" : String(cell.lines[at]),
      ];
    });
    body.append(element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Rows of the cell" }, tableOf(
      [["sequence"], ["frame", true], ["class"], ["left, top, width, height"], ["score", true], ["probability", true], ["IoU", true], ["track", true], ["row of the file", true]], rows,
    )));
    body.append(element("p", {}, element("button", { type: "button", onclick: () => download("cell.csv", "text/csv", csv([
      ["sequence", "frame", "class", "left", "top", "width", "height", "score", "probability", "iou", "track", "row"],
      ...cell.frames.map((frame, at) => [data.sequences[cell.sequences[at]].name, frame, data.classes[cell.classes[at]], ...cell.boxes[at], cell.scores[at], cell.probabilities[at], cell.ious[at], cell.tracks[at], cell.lines[at]]),
    ])) }, "Download as CSV")));
  });
}

function trackButton(place, track) {
  if (track === null) return "–";
  const at = trackPlaces.get(`${place}:${track}`);
  return at === undefined ? String(track) : element("button", { type: "button", class: "link", onclick: () => openTrack(at) }, String(track));
}

function bindMatrix() {
  for (const button of document.querySelectorAll("[data-cell]")) {
    button.addEventListener("click", () => openCell(...button.dataset.cell.split(",").map(Number)));
  }
}
