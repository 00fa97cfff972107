/* Makes a full slide smaller, or two of it, until everything fits, and starts the slides. */
(function () {
  "use strict";
  const WIDTH = 1280, HEIGHT = 720;
  // A step is a factor for text and code, and the greatest height of a picture in pixels. What
  // needs a smaller one than the easy steps is better told on two slides; a cell that is alone
  // on its slide may take a small one, below which the back of a room could not read it.
  const EASY = [[1, 400], [1, 350], [0.95, 330], [0.9, 310], [0.86, 290], [0.82, 270]];
  const SMALL = [[0.78, 260], [0.74, 250], [0.7, 240], [0.66, 230]];

  // A slide is one of the inner sections, with everything that it will show at its end.
  function slides() {
    return Array.from(document.querySelectorAll(".slides > section > section"));
  }

  // Whether a part keeps to the column that it stands in.
  function inside(part) {
    const cell = part.closest(".jp-Cell");
    const room = cell ? cell.getClientRects() : [];
    const right = Math.max(...Array.from(room, (box) => box.right));
    const own = Math.max(...Array.from(part.getClientRects(), (box) => box.right));
    return own <= right + 1 && part.scrollWidth <= part.clientWidth + 1;
  }

  function fits(slide) {
    if (slide.scrollHeight > HEIGHT || slide.scrollWidth > WIDTH) return false;
    const parts = Array.from(slide.querySelectorAll("pre, table"));
    return parts.filter((part) => part.getClientRects().length).every(inside);
  }

  function tried(slide, columns, step) {
    slide.classList.toggle("two", columns === 2);
    slide.style.setProperty("--fit", step[0]);
    slide.style.setProperty("--picture", step[1] + "px");
    slide.dataset.fit = step[0];
    return fits(slide);
  }

  // Try the steps in one column, then in two.
  function fitted(slide, steps) {
    for (const step of steps) if (tried(slide, 1, step)) return true;
    for (const step of steps) if (tried(slide, 2, step)) return true;
    return false;
  }

  // The parts of a slide that are never torn: its cells, each with its own fragment around it.
  function parts(slide) {
    for (const whole of Array.from(slide.querySelectorAll(".fragment"))) {
      const cells = Array.from(whole.children);
      for (const cell of cells.slice(1).reverse()) {
        const alone = whole.cloneNode(false);
        alone.append(cell);
        whole.after(alone);
      }
    }
    return Array.from(slide.children);
  }

  // Where one cell is too much, its outputs go to the next slide.
  function tornOff(cell) {
    const outputs = cell.querySelector(".jp-Cell-outputWrapper");
    const shown = cell.querySelector(".jp-Cell-inputWrapper");
    if (!outputs || !shown) return null;
    const whole = outputs.closest(".jp-Cell");
    const inner = whole.cloneNode(false);
    inner.removeAttribute("id");
    inner.dataset.of = whole.id;
    inner.append(outputs);
    if (!cell.classList.contains("fragment")) return inner;
    const fragment = cell.cloneNode(false);
    fragment.append(inner);
    return fragment;
  }

  // Fill a slide with as many parts as fit, and return a new slide with the others.
  function splitOff(slide) {
    const all = parts(slide);
    let rest = [];
    while (all.length > 1 && !fitted(slide, EASY)) {
      const last = all.pop();
      rest.unshift(last);
      last.remove();
    }
    if (all.length === 1 && !fitted(slide, EASY) && !fitted(slide, SMALL)) {
      const outputs = tornOff(all[0]);
      if (outputs) rest.unshift(outputs);
      // What does not fit even so is cut off: the test says so, by the id of the cell.
      if (!fitted(slide, EASY) && !fitted(slide, SMALL)) slide.dataset.fit = "0";
    }
    if (!rest.length) return null;
    const next = slide.cloneNode(false);
    next.dataset.continued = "yes";
    next.append(...rest);
    slide.after(next);
    return next;
  }

  function fit(slide) {
    while (slide && !fitted(slide, EASY)) slide = splitOff(slide);
  }

  function start() {
    // Only now are pictures as large as they will be.
    document.documentElement.classList.add("measuring");
    slides().forEach(fit);
    document.documentElement.classList.remove("measuring");
    Reveal.initialize({
      width: WIDTH, height: HEIGHT, margin: 0, center: false, hash: true,
      slideNumber: "c/t", controls: false, transition: "none", plugins: [RevealNotes],
    });
  }

  if (document.readyState === "complete") start();
  else window.addEventListener("load", start);
})();
