// Charts, on uPlot: it draws axes and keeps scales and zoom; what lies between the axes is drawn here, every point of it.

const charts = new Map(); // container → how to draw it again

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Draws a chart into a container, in place of what is there.
 *
 * layers: {kind: "line" | "points" | "bars" | "cells", label, colour (a CSS variable), xs, ys, …}; for bars xs are edges and ys heights
 * over `base`; for cells xs are edges, `row` the row and `colours` one for each. `say(k)` gives the lines of the hint at point k.
 * marks: {x, label, colour} vertical lines; bands: {from, to, colour}; x, y: {label, range, values}.
 */
function chart(container, options) {
  charts.set(container, options);
  draw(container, options);
}

function draw(container, options) {
  const width = Math.floor(container.clientWidth);
  if (!width) return; // out of sight: drawn when it has its size again
  container.plot?.destroy();
  container.replaceChildren();
  const height = options.height ?? Math.round(Math.min(340, Math.max(240, width * 0.62)));
  const hint = element("div", { class: "hint", hidden: true });
  const plot = new uPlot(
    {
      mode: 2, width, height, legend: { show: false }, padding: [options.marks?.length ? 18 : 10, 12, 0, 0],
      cursor: { drag: { x: true, y: true, uni: 30, dist: 8 }, points: { show: false }, y: options.height === undefined, bind: { dblclick: (self) => () => unzoom(self, options) } },
      scales: { x: scale(options.x), y: scale(options.y) },
      axes: [axis(options.x, false), axis(options.y, true)],
      series: [null, ...options.layers.map((layer) => ({
        facets: [{ scale: "x", auto: true }, { scale: "y", auto: true }], label: layer.label,
        paths: (self) => { PAINTERS[layer.kind](self, layer); return null; }, points: { show: false },
      }))],
      hooks: {
        drawClear: [(self) => drawBands(self, options.bands ?? [])],
        draw: [(self) => drawMarks(self, options.marks ?? [])],
        setCursor: [(self) => showHint(self, options, hint)],
      },
    },
    [null, ...options.layers.map((layer) => [layer.xs, layer.ys])],
    container,
  );
  plot.over.append(hint);
  container.plot = plot;
  container.setAttribute("role", "img");
  container.setAttribute("aria-label", options.title);
  container.append(legend(options.layers));
}

/** A scale that starts as it is told, and goes where someone drags. */
const scale = (side) => ({ time: false, auto: false, min: side.range[0], max: side.range[1], range: (self, low, high) => [low, high] });

function unzoom(self, options) {
  for (const side of ["x", "y"]) self.setScale(side, { min: options[side].range[0], max: options[side].range[1] });
}

function axis(side, isVertical) {
  const colours = { stroke: style("--muted"), grid: { stroke: style("--grid"), width: 1 }, ticks: { stroke: style("--grid"), width: 1, size: 4 } };
  return {
    ...colours, ...(side.label ? { label: side.label, labelSize: 20, labelFont: "12px system-ui, sans-serif" } : {}), font: "11px system-ui, sans-serif",
    size: isVertical ? side.size ?? 48 : 34, ...(side.values ? { values: side.values } : {}), ...(side.splits ? { splits: side.splits } : {}),
    ...(isVertical ? {} : { space: 60 }),
  };
}

const PAINTERS = {
  line(self, layer) {
    const { ctx } = self;
    clipped(self, () => {
      ctx.strokeStyle = style(layer.colour);
      ctx.lineWidth = (layer.width ?? 2) * devicePixelRatio;
      ctx.lineJoin = "round";
      ctx.setLineDash((layer.dash ?? []).map((length) => length * devicePixelRatio));
      ctx.beginPath();
      let isDown = false;
      for (let k = 0; k < layer.xs.length; k++) {
        if (!isNumber(layer.ys[k]) || !isNumber(layer.xs[k])) { isDown = false; continue; }
        const x = self.valToPos(layer.xs[k], "x", true), y = self.valToPos(layer.ys[k], "y", true);
        if (isDown && layer.stepped) ctx.lineTo(x, self.valToPos(layer.ys[k - 1], "y", true));
        isDown ? ctx.lineTo(x, y) : ctx.moveTo(x, y);
        isDown = true;
      }
      ctx.stroke();
    });
  },
  points(self, layer) {
    const { ctx } = self;
    clipped(self, () => {
      for (let k = 0; k < layer.xs.length; k++) {
        if (!isNumber(layer.ys[k]) || !isNumber(layer.xs[k])) continue;
        ctx.beginPath();
        ctx.arc(self.valToPos(layer.xs[k], "x", true), self.valToPos(layer.ys[k], "y", true), (layer.size ?? 3) * devicePixelRatio, 0, 2 * Math.PI);
        ctx.fillStyle = style(layer.colours?.[k] ?? layer.colour);
        ctx.fill();
        if (layer.ring) { ctx.strokeStyle = style("--surface"); ctx.lineWidth = 2 * devicePixelRatio; ctx.stroke(); }
      }
    });
  },
  bars(self, layer) {
    const { ctx } = self;
    clipped(self, () => {
      ctx.fillStyle = style(layer.colour);
      for (let k = 0; k + 1 < layer.edges.length; k++) {
        const left = self.valToPos(layer.edges[k], "x", true), right = self.valToPos(layer.edges[k + 1], "x", true);
        const base = self.valToPos(layer.base?.[k] ?? 0, "y", true), top = self.valToPos(layer.ys[k], "y", true);
        const gap = Math.min(devicePixelRatio, (right - left) / 4);
        ctx.fillRect(left + gap / 2, Math.min(base, top), right - left - gap, Math.abs(base - top));
      }
    });
  },
  cells(self, layer) {
    const { ctx } = self;
    clipped(self, () => {
      const top = self.valToPos(layer.row + 0.8, "y", true), bottom = self.valToPos(layer.row + 0.2, "y", true);
      for (let k = 0; k < layer.xs.length; k++) {
        if (!layer.colours[k]) continue;
        const left = self.valToPos(layer.xs[k] - 0.5, "x", true), right = self.valToPos(layer.xs[k] + 0.5, "x", true);
        ctx.fillStyle = style(layer.colours[k]);
        ctx.fillRect(left, top, Math.max(right - left, devicePixelRatio), bottom - top);
      }
    });
  },
};

function clipped(self, paint) {
  const { ctx, bbox } = self;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  paint();
  ctx.restore();
}

function drawBands(self, bands) {
  clipped(self, () => {
    for (const band of bands) {
      self.ctx.fillStyle = style(band.colour);
      const { left, top, width, height } = self.bbox;
      if (band.side === "y") {
        const high = self.valToPos(band.to, "y", true), low = self.valToPos(band.from, "y", true);
        self.ctx.fillRect(left, high, width, low - high);
      } else {
        const from = self.valToPos(band.from, "x", true);
        self.ctx.fillRect(from, top, self.valToPos(band.to, "x", true) - from, height);
      }
    }
  });
}

function drawMarks(self, marks) {
  const { ctx, bbox } = self;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.lineWidth = 1.5 * devicePixelRatio;
  const named = [];
  for (const mark of marks) {
    ctx.strokeStyle = ctx.fillStyle = style(mark.colour);
    const position = mark.side === "y" ? self.valToPos(mark.y, "y", true) : self.valToPos(mark.x, "x", true);
    const start = mark.side === "y" ? bbox.top : bbox.left, length = mark.side === "y" ? bbox.height : bbox.width;
    if (position < start - 1 || position > start + length + 1) continue;
    ctx.beginPath();
    if (mark.side === "y") {
      ctx.moveTo(bbox.left, position);
      ctx.lineTo(bbox.left + bbox.width, position);
      ctx.textAlign = "right";
      ctx.fillText(mark.label, bbox.left + bbox.width - 4 * devicePixelRatio, position - 3 * devicePixelRatio);
    } else {
      ctx.moveTo(position, bbox.top);
      ctx.lineTo(position, bbox.top + bbox.height);
      named.push({ mark, position, width: ctx.measureText(mark.label).width });
    }
    ctx.stroke();
  }
  drawNames(self, named);
  ctx.restore();
}

/** Names of vertical lines above them, moved aside so that none covers another or leaves the chart. */
function drawNames(self, named) {
  const { ctx, bbox } = self, gap = 6 * devicePixelRatio;
  named.sort((a, b) => a.position - b.position);
  let least = bbox.left;
  for (const one of named) {
    one.left = Math.max(one.position - one.width / 2, least);
    least = one.left + one.width + gap;
  }
  let most = bbox.left + bbox.width;
  for (const one of named.toReversed()) {
    one.left = Math.min(one.left, most - one.width);
    most = one.left - gap;
  }
  ctx.textAlign = "left";
  for (const { mark, left } of named) {
    ctx.fillStyle = style(mark.colour);
    ctx.fillText(mark.label, left, bbox.top - 5 * devicePixelRatio);
  }
}

/** The nearest point of any layer, by pixels; those of time, bars and cells by their column. */
function nearest(self, layers) {
  const { left, top } = self.cursor;
  let best = null, least = 40 * 40;
  for (const layer of layers) {
    if (!layer.say) continue;
    const column = layer.byColumn || layer.kind === "bars" || layer.kind === "cells";
    const points = layer.hints ?? layer.xs.length;
    for (let k = 0; k < points; k++) {
      const x = self.valToPos(layer.xs[k], "x"), dx = x - left;
      if (dx > 40 || dx < -40) continue;
      const dy = column ? 0 : self.valToPos(layer.ys[k], "y") - top;
      const distance = dx * dx + dy * dy;
      if (distance < least) { least = distance; best = { layer, k, x, y: column ? top : dy + top }; }
    }
  }
  return best;
}

function showHint(self, options, hint) {
  const found = self.cursor.left >= 0 ? nearest(self, options.layers) : null;
  hint.hidden = !found;
  if (!found) return;
  hint.replaceChildren(...found.layer.say(found.k).map((line, at) => element(at ? "div" : "strong", {}, line)));
  const width = self.over.clientWidth, height = self.over.clientHeight;
  const left = found.x + 14 + hint.offsetWidth > width ? found.x - 14 - hint.offsetWidth : found.x + 14;
  hint.style.left = `${Math.max(0, Math.min(left, width - hint.offsetWidth))}px`;
  hint.style.top = `${Math.max(0, Math.min(found.y - 10, height - hint.offsetHeight))}px`;
}

function legend(layers) {
  const named = layers.filter((layer) => layer.label);
  return element("div", { class: "legend" }, ...named.map((layer) =>
    element("span", {}, element("i", { class: `key ${layer.colour.slice(2)} ${layer.dash ? "dashed" : ""}` }), layer.label)));
}

function redraw() {
  for (const [container, options] of charts) {
    if (!container.isConnected) charts.delete(container);
    else draw(container, options);
  }
}

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (charts.has(target) && Math.floor(target.clientWidth) !== target.plot?.width) draw(target, charts.get(target));
  }
});

/** A place for a chart. */
function place(parent, ...classes) {
  const made = element("div", { class: ["chart", ...classes].join(" ") });
  parent.append(made);
  resized.observe(made);
  return made;
}
