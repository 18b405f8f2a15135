// Ties controls to charts.

const state = { scope: data.classes.length === 1 ? "0" : "all", unit: "box", view: "held_out" };

function show() {
  showCurves();
  showHistograms();
  showReliability();
  showDistributions();
  showOutcomes();
  showTracks();
}

function bind() {
  byId("class")?.addEventListener("change", (event) => { state.scope = event.target.value; show(); });
  for (const radio of document.querySelectorAll("input[name=unit], input[name=view]")) {
    radio.addEventListener("change", () => { state[radio.name] = radio.value; showCurves(); if (radio.name === "view") { showHistograms(); showReliability(); } });
  }
  byId("curve-raw-csv").addEventListener("click", () => downloadCurve("raw"));
  byId("curve-fused-csv").addEventListener("click", () => downloadCurve(state.view));
  byId("curves-json").addEventListener("click", downloadCurves);
  byId("summary-json").addEventListener("click", () => download("summary.json", "application/json", JSON.stringify(data.summary, null, 2)));
  for (const button of document.querySelectorAll("dialog .close")) button.addEventListener("click", () => button.closest("dialog").close());
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }
  byId("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  bindMatrix();
  bindTracks();
}

bind();
show();
