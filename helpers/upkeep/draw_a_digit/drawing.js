// The paper: lines drawn with a pointer or by keys, and the digits that the page draws itself.

const Drawing = (() => {
  "use strict";

  const RADIUS = 11; // of the pen, in points of the paper
  const STEP = 10; // of an arrow key, in points; with Shift a fifth of it

  const canvas = document.getElementById("paper");
  const state = document.getElementById("pen-state");
  let lines = []; // each a list of points {x, y}
  let ink = Net.emptyPaper();
  let pointer = null; // the number of the finger, pen or mouse that draws now
  let field = null; // the receptive field that is shown, in points of the paper
  let timer = null; // of the digit that the page draws itself
  const pen = { x: Net.PAPER / 2, y: Net.PAPER / 2, down: false, shown: false };
  let changed = () => {};
  let say = () => {};

  function addPoint(point) {
    const line = lines.at(-1);
    Net.drawLine(ink, line.at(-1) ?? point, point, RADIUS);
    line.push(point);
    update();
  }

  function beginLine(point) {
    lines.push([]);
    addPoint(point);
  }

  function update() {
    show();
    changed();
  }

  function clear() {
    stopExample();
    lines = [];
    ink = Net.emptyPaper();
    pen.down = false;
    pointer = null;
    tellPen("The paper is empty.");
    update();
  }

  function undo() {
    stopExample();
    const undone = lines.pop();
    ink = Net.emptyPaper();
    for (const line of lines) {
      line.forEach((point, i) => Net.drawLine(ink, line[Math.max(i - 1, 0)], point, RADIUS));
    }
    pen.down = false;
    pointer = null;
    tellPen(undone ? "The last line is undone." : "There is no line to undo.");
    update();
  }

  function tellPen(text) {
    state.textContent = text;
    say(text);
  }

  // Pointers: mouse, fingers and pens

  function pointOf(event) {
    const frame = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - frame.left) / frame.width) * Net.PAPER,
      y: ((event.clientY - frame.top) / frame.height) * Net.PAPER,
    };
  }

  canvas.addEventListener("pointerdown", (event) => {
    // One hand draws, and only with the main button.
    if (pointer !== null || event.button !== 0) return;
    stopExample();
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    pen.shown = false;
    pen.down = false;
    state.textContent = "\u00a0";
    beginLine(pointOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    // A fast hand makes several points between two pictures of the screen.
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length > 0 ? all : [event]) addPoint(pointOf(each));
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, (event) => {
      if (event.pointerId === pointer) pointer = null;
    });
  }

  // Keys

  const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in ARROWS) movePen(ARROWS[key], event.shiftKey ? STEP / 5 : STEP);
    else if (key === " ") turnPen(event.repeat);
    else if (key === "Escape") lift();
    else if (key === "c" || key === "Delete") clear();
    else if (key === "z" || key === "Backspace") undo();
    else return;
    event.preventDefault(); // the page does not scroll
  });
  canvas.addEventListener("focus", () => {
    // A click draws at once, and needs no pen of the keyboard.
    pen.shown = canvas.matches(":focus-visible");
    if (pen.shown) tellPen("The arrow keys move the pen, and the space bar puts it down.");
    show();
  });
  canvas.addEventListener("blur", () => {
    pen.down = false;
    pen.shown = false;
    show();
  });

  function movePen([right, down], step) {
    stopExample();
    pen.shown = true;
    pen.x = Math.min(Net.PAPER, Math.max(0, pen.x + right * step));
    pen.y = Math.min(Net.PAPER, Math.max(0, pen.y + down * step));
    if (pen.down) addPoint({ x: pen.x, y: pen.y });
    else show();
  }

  function turnPen(held) {
    // A space bar that is held down repeats itself.
    if (held) return;
    if (pen.down) {
      lift();
      return;
    }
    stopExample();
    pen.shown = true;
    pen.down = true;
    tellPen("The pen is down: the arrow keys draw.");
    beginLine({ x: pen.x, y: pen.y });
  }

  function lift() {
    if (!pen.down) return;
    pen.down = false;
    const row = Math.round((100 * pen.y) / Net.PAPER);
    const column = Math.round((100 * pen.x) / Net.PAPER);
    tellPen(`The pen is lifted, ${row} % down and ${column} % across.`);
    show();
  }

  // Digits that the page draws itself

  // A part of an ellipse, by angles in degrees; they grow clockwise from the right.
  function arc(x, y, width, height, from, to) {
    const points = [];
    for (let i = 0; i <= 60; i++) {
      const angle = ((from + ((to - from) * i) / 60) * Math.PI) / 180;
      points.push([x + width * Math.cos(angle), y + height * Math.sin(angle)]);
    }
    return points;
  }

  function eight() {
    const points = [];
    for (let i = 0; i <= 40; i++) {
      const angle = (Math.PI * i) / 20;
      points.push([142 - 50 * Math.sin(2 * angle), 140 - 90 * Math.cos(angle)]);
    }
    return points;
  }

  const EXAMPLES = [
    [arc(140, 140, 60, 90, -70, 290)],
    [[[150, 48], [132, 232]]],
    [[...arc(138, 98, 50, 48, -165, 35), [88, 228], [204, 222]]],
    [[...arc(132, 94, 50, 44, -150, 80), ...arc(132, 188, 58, 48, -85, 150)]],
    [[[112, 52], [84, 150], [204, 146]], [[172, 88], [160, 234]]],
    [[[196, 56], [112, 58], [102, 132], ...arc(132, 178, 58, 52, -110, 145)]],
    [[[168, 48], [126, 96], ...arc(142, 186, 48, 46, 190, 540)]],
    [[[78, 64], [204, 60], [128, 234]]],
    [eight()],
    [[...arc(136, 100, 48, 46, 0, -350), [184, 104], [172, 234]]],
  ];
  let next = 3;

  function example() {
    clear();
    // Of each line, points so near that the hand seems to move.
    const todo = [];
    for (const line of EXAMPLES[next]) {
      line.forEach(([x, y], i) => {
        if (i === 0) todo.push({ x, y, begins: true });
        else todo.push(...between(line[i - 1], [x, y]));
      });
    }
    state.textContent = `The page draws a ${next}.`;
    next = (next + 7) % 10; // 3, 0, 7, 4, 1, 8, 5, 2, 9, 6
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const each = still ? todo.length : 3;
    const draw = () => {
      for (const { x, y, begins } of todo.splice(0, each)) {
        if (begins) beginLine({ x, y });
        else addPoint({ x, y });
      }
      timer = todo.length > 0 ? requestAnimationFrame(draw) : null;
    };
    draw();
  }

  function between([x, y], [toX, toY]) {
    const count = Math.max(1, Math.round(Math.hypot(toX - x, toY - y) / 5));
    const points = [];
    for (let i = 1; i <= count; i++) {
      points.push({ x: x + ((toX - x) * i) / count, y: y + ((toY - y) * i) / count });
    }
    return points;
  }

  function stopExample() {
    if (timer !== null) cancelAnimationFrame(timer);
    timer = null;
  }

  // What is seen of it

  function show() {
    const style = getComputedStyle(document.documentElement);
    const context = sharpContext(canvas);
    const scale = canvas.clientWidth / Net.PAPER;
    context.scale(scale, scale);
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = 2 * RADIUS;
    context.strokeStyle = style.getPropertyValue("--ink");
    for (const line of lines) {
      context.beginPath();
      context.moveTo(line[0].x, line[0].y);
      for (const { x, y } of line) context.lineTo(x, y);
      context.stroke();
    }
    if (lines.length === 0) {
      context.fillStyle = style.getPropertyValue("--soft");
      context.font = "16px system-ui, sans-serif";
      context.textAlign = "center";
      context.fillText("Draw a digit here", Net.PAPER / 2, Net.PAPER / 2 + 6);
    }
    context.strokeStyle = style.getPropertyValue("--frame");
    context.lineWidth = 2.5;
    if (field !== null) frame(context, field);
    if (pen.shown) {
      context.beginPath();
      context.arc(pen.x, pen.y, RADIUS, 0, 2 * Math.PI);
      context.stroke();
      if (pen.down) {
        context.fillStyle = context.strokeStyle;
        context.fill();
      }
    }
  }

  // A large field reaches beyond the paper: its frame stays on it.
  function frame(context, { top, left, width, height }) {
    const edge = context.lineWidth / 2;
    const [above, before] = [Math.max(edge, top), Math.max(edge, left)];
    const right = Math.min(Net.PAPER - edge, left + width);
    const below = Math.min(Net.PAPER - edge, top + height);
    context.strokeRect(before, above, right - before, below - above);
  }

  // A context for a canvas with as many pixels as its place on the screen has.
  function sharpContext(any) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(any.clientWidth * ratio);
    const height = Math.round(any.clientHeight * ratio);
    if (any.width !== width || any.height !== height) {
      any.width = width;
      any.height = height;
    }
    const context = any.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, any.clientWidth, any.clientHeight);
    return context;
  }

  document.getElementById("clear").addEventListener("click", clear);
  document.getElementById("undo").addEventListener("click", undo);
  document.getElementById("example").addEventListener("click", example);

  return {
    sharpContext,
    show,
    centred: () => Net.centred(ink, Net.PAPER, Net.PAPER),
    onChange: (call) => (changed = call),
    onSay: (call) => (say = call),
    showField: (place) => {
      field = place;
      show();
    },
  };
})();
