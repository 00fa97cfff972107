// The maps of every layer, and the cursor that goes over their pixels.

const Maps = (() => {
  "use strict";

  const GAP = 6; // between two maps, in pixels of the page
  const WIDE = 74; // about as wide as a map is drawn

  const WORDS = {
    convolution: "convolution",
    relu: "ReLU",
    normalisation: "normalisation",
    maximum: "largest",
    average: "mean",
  };
  const stages = Net.stages.map(build);
  let outputs = null; // maps after every layer; null while nothing is drawn
  let cursor = null; // {stage, map, row, column}
  let moved = () => {};

  function element(kind, parent, text = "") {
    const made = document.createElement(kind);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  // A stage: a heading, buttons for its steps, and one canvas with all of its maps.
  function build(stage, number) {
    const [channels, rows, columns] = stage.size;
    const place = element("div", document.getElementById("stages"));
    place.className = "stage";
    const head = element("div", place);
    head.className = "stage-head";
    element("h3", head, `${number + 1}. ${stage.title}`);
    const last = number === Net.stages.length - 1;
    let made = `${channels} maps of ${rows} × ${columns}`;
    if (rows * columns === 1) made = `${channels} numbers`;
    if (last) made = "the ten logits, one for each digit";
    const text = element("p", head, `${made}; each sees ${stage.field.join(" × ")} pixels`);
    text.className = "small";

    const canvas = document.createElement("canvas");
    const tile = document.createElement("canvas");
    tile.width = columns;
    tile.height = rows;
    const built = { ...stage, last, canvas, tile, shown: stage.steps.length - 1 };
    if (stage.steps.length > 1) head.append(stepButtons(built));
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-roledescription", "maps");
    canvas.setAttribute("aria-label", `${stage.title}: ${made}`);
    canvas.setAttribute("aria-describedby", "map-keys");
    place.append(canvas);
    listen(built);
    return built;
  }

  // The maps can be seen after each step of a stage.
  function stepButtons(stage) {
    const group = document.createElement("span");
    group.className = "steps";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Maps after this step");
    stage.steps.forEach((step, i) => {
      const button = element("button", group, WORDS[step.kind]);
      button.type = "button";
      button.setAttribute("aria-pressed", String(i === stage.shown));
      button.addEventListener("click", () => {
        stage.shown = i;
        for (const [j, other] of [...group.children].entries()) {
          other.setAttribute("aria-pressed", String(j === i));
        }
        show(stage);
        moved(cursor, false);
      });
    });
    return group;
  }

  // How the maps of a stage lie on its canvas.
  function layout(stage) {
    const [channels, rows, columns] = stage.size;
    const room = stage.canvas.parentElement.clientWidth;
    let zoom = Math.max(2, Math.floor(WIDE / columns));
    if (rows * columns === 1) zoom = 30;
    const width = columns * zoom;
    const height = rows * zoom;
    const across = Math.max(1, Math.min(channels, Math.floor((room + GAP) / (width + GAP))));
    const down = Math.ceil(channels / across);
    // The ten logits have their digits below them.
    const below = stage.last ? 20 : 0;
    return { zoom, width, height, across, down, below };
  }

  function show(stage) {
    const [channels, rows, columns] = stage.size;
    const { zoom, width, height, across, down, below } = layout(stage);
    const canvas = stage.canvas;
    canvas.style.width = `${across * (width + GAP) - GAP}px`;
    canvas.style.height = `${down * (height + below + GAP) - GAP}px`;
    const context = Drawing.sharpContext(canvas);
    const style = getComputedStyle(document.documentElement);
    const colors = ["--minus", "--zero", "--plus"].map((name) => rgb(style, name));
    const values = outputs?.[stage.steps[stage.shown].layer].values;
    const largest = values ? Math.max(1e-6, ...values.map(Math.abs)) : 1;

    const tile = stage.tile; // one map, a pixel for each of its numbers
    const brush = tile.getContext("2d");
    const image = brush.createImageData(columns, rows);
    context.imageSmoothingEnabled = false;
    for (let map = 0; map < channels; map++) {
      for (let i = 0; i < rows * columns; i++) {
        const share = values ? values[map * rows * columns + i] / largest : 0;
        paint(image.data, 4 * i, share, colors);
      }
      brush.putImageData(image, 0, 0);
      const x = (map % across) * (width + GAP);
      const y = Math.floor(map / across) * (height + below + GAP);
      context.drawImage(tile, x, y, width, height);
      context.strokeStyle = style.getPropertyValue("--line");
      context.lineWidth = 1;
      context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
      if (stage.last) {
        context.fillStyle = style.getPropertyValue("--text");
        context.font = "14px system-ui, sans-serif";
        context.textAlign = "center";
        context.fillText(String(map), x + width / 2, y + height + 16);
      }
      if (cursor?.stage === stage && cursor.map === map) {
        context.strokeStyle = style.getPropertyValue("--frame");
        context.lineWidth = 2.5;
        const left = x + cursor.column * zoom;
        const top = y + cursor.row * zoom;
        context.strokeRect(left - 0.5, top - 0.5, zoom + 1, zoom + 1);
      }
    }
  }

  function rgb(style, name) {
    const digits = style.getPropertyValue(name).trim().slice(1);
    return [0, 2, 4].map((i) => parseInt(digits.slice(i, i + 2), 16));
  }

  // A colour between that of zero and that of the largest number, above or below.
  function paint(bytes, place, share, [minus, zero, plus]) {
    const end = share < 0 ? minus : plus;
    const amount = Math.abs(share) ** 0.65; // small numbers are seen as well
    for (let i = 0; i < 3; i++) bytes[place + i] = zero[i] + (end[i] - zero[i]) * amount;
    bytes[place + 3] = 255;
  }

  // The cursor

  function listen(stage) {
    const canvas = stage.canvas;
    const point = (event) => set(at(stage, event.offsetX, event.offsetY), false);
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
    canvas.addEventListener("pointerleave", (event) => {
      // A finger leaves as soon as it is lifted: its frame stays to be looked at.
      if (event.pointerType === "mouse") set(null, false);
    });
    canvas.addEventListener("keydown", (event) => {
      const next = afterKey(stage, event);
      if (next === undefined) return;
      set(next, true);
      event.preventDefault();
    });
    canvas.addEventListener("blur", () => set(null, false));
  }

  // The pixel of a map at a place of the canvas; null between two maps.
  function at(stage, x, y) {
    const [channels, rows, columns] = stage.size;
    const { zoom, width, height, across, below } = layout(stage);
    const right = Math.floor(x / (width + GAP));
    const down = Math.floor(y / (height + below + GAP));
    const column = Math.floor((x - right * (width + GAP)) / zoom);
    const row = Math.floor((y - down * (height + below + GAP)) / zoom);
    const map = down * across + right;
    const outside = x < 0 || y < 0 || right >= across || column >= columns || row >= rows;
    if (outside || map >= channels) return null;
    return { stage, map, row, column };
  }

  // Where an arrow key leads; undefined for another key. Beyond an edge lies the next map.
  function afterKey(stage, event) {
    const [channels, rows, columns] = stage.size;
    if (event.key === "Escape") return null;
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return undefined;
    if (cursor?.stage !== stage) {
      return { stage, map: 0, row: Math.floor(rows / 2), column: Math.floor(columns / 2) };
    }
    let { map, row, column } = cursor;
    row += steps[event.key][0];
    column += steps[event.key][1];
    const { across } = layout(stage);
    if (column < 0 || column >= columns) map += column < 0 ? -1 : 1;
    if (row < 0 || row >= rows) map += row < 0 ? -across : across;
    if (map < 0 || map >= channels) return cursor;
    return { stage, map, row: (row + rows) % rows, column: (column + columns) % columns };
  }

  function set(next, byKey) {
    const old = cursor;
    cursor = next;
    for (const stage of new Set([old?.stage, next?.stage])) {
      if (stage) show(stage);
    }
    moved(cursor, byKey);
  }

  // The number under the cursor; undefined while nothing is drawn.
  function valueAt({ stage, map, row, column }) {
    const [, rows, columns] = stage.size;
    const values = outputs?.[stage.steps[stage.shown].layer].values;
    return values?.[(map * rows + row) * columns + column];
  }

  return {
    valueAt,
    showAll: () => stages.forEach(show),
    update: (made) => {
      outputs = made;
      stages.forEach(show);
    },
    onMove: (call) => (moved = call),
    leave: () => set(null, false),
    cursor: () => cursor,
  };
})();
