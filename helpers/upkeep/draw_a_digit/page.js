// The reading: probabilities, what is said of them, and what the net sees.

(() => {
  "use strict";

  const BLOT = 250; // ink of 28 × 28 pixels: not one in a thousand training digits has so much
  const SURE = 0.9; // from this probability on the net is said to read a digit
  const FEW = 5; // of 100 test digits: a drawing that excites the net less is doubted

  const seen = document.getElementById("seen");
  const big = document.getElementById("big");
  const verdict = document.getElementById("verdict");
  const reason = document.getElementById("reason");
  const spot = document.getElementById("spot");
  const said = document.getElementById("said");
  const rows = Array.from({ length: 10 }, (_, digit) => barRow(digit));
  let drawing = null; // what Net.centred gave; null while nothing is drawn
  let waiting = false; // whether a reading is to come with the next picture of the screen
  let silence = null; // the timer of what is to be said

  function barRow(digit) {
    const row = document.querySelector("#bars tbody").insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = digit;
    row.append(head);
    const track = row.insertCell();
    track.setAttribute("aria-hidden", "true");
    track.innerHTML = '<div class="track"><div class="fill"></div></div>';
    return { row, fill: track.querySelector(".fill"), text: row.insertCell() };
  }

  // Many points can come between two pictures of the screen, and one reading is enough for them.
  function readSoon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      read();
    });
  }

  function read() {
    drawing = Drawing.centred();
    let probabilities = null;
    let outputs = null;
    let logits = null;
    if (drawing !== null) {
      outputs = Net.forward(drawing.picture);
      logits = Array.from(outputs.at(-1).values);
      probabilities = Net.softmax(logits);
    }
    showBars(probabilities);
    showWords(wordsFor(probabilities, logits));
    Maps.update(outputs);
    showSeen();
    showSpot(Maps.cursor(), false);
  }

  function showBars(probabilities) {
    const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
    rows.forEach(({ row, fill, text }, digit) => {
      const share = probabilities?.[digit] ?? 0;
      fill.style.width = `${100 * share}%`;
      text.textContent = probabilities ? percent(share) : "–";
      row.className = digit === best ? "best" : "";
    });
  }

  // Rounded, and never to a certainty that no probability has.
  function percent(share) {
    if (share > 0.999) return "> 99.9 %";
    if (share < 0.001) return "< 0.1 %";
    return `${(100 * share).toFixed(1)} %`;
  }

  // What is said of a reading: a sign, a verdict, and the reason for it.
  function wordsFor(probabilities, logits) {
    if (probabilities === null) {
      return {
        sign: "?",
        verdict: "Nothing is drawn yet: draw a digit from 0 to 9.",
        reason: "Without ink there is nothing to centre, and the net is not asked.",
      };
    }
    const order = probabilities.map((_, digit) => digit);
    order.sort((a, b) => probabilities[b] - probabilities[a]);
    const [first, second] = order;
    const share = percent(probabilities[first]);
    const fewer = Net.fewerOf100(logits[first]);
    const strength = logits[first].toFixed(1).replace("-", "\u2212");

    if (drawing.ink > BLOT) {
      return {
        sign: `${first}?`,
        doubt: true,
        verdict: `Is this a blot? The nearest digit would be ${a(first)}.`,
        reason:
          `Hardly any digit of MNIST has so much ink. The net still gives ${share} to the ` +
          `${first}, because its ten probabilities always sum to one.`,
      };
    }
    if (fewer < FEW) {
      return {
        sign: `${first}?`,
        doubt: true,
        verdict: `The nearest digit is ${a(first)}, but this may be no digit at all.`,
        reason:
          `The probabilities sum to one whatever is drawn, so one of them has to be the largest. ` +
          `But the strongest logit is only ${strength}: of 100 test digits, ${hardly(fewer)} ` +
          "a weaker one.",
      };
    }
    if (probabilities[first] < SURE) {
      return {
        sign: `${first}?`,
        doubt: true,
        verdict: `Perhaps ${a(first)}, perhaps ${a(second)}: the net wavers.`,
        reason: `It gives ${share} to the ${first}, and ${percent(probabilities[second])} to the ${second}.`,
      };
    }
    return {
      sign: `${first}`,
      verdict: `This is ${a(first)}.`,
      reason:
        `The net gives ${share} to the ${first}. Its strongest logit is ${strength}, ` +
        `stronger than for ${fewer} of 100 test digits.`,
    };
  }

  // Two decimals, with a sign that is as wide as a digit.
  function signed(value) {
    return value.toFixed(2).replace("-", "\u2212");
  }

  function a(digit) {
    return digit === 8 ? "an 8" : `a ${digit}`;
  }

  function hardly(count) {
    if (count === 0) return "less than one has";
    return count === 1 ? "only one has" : `only ${count} have`;
  }

  function showWords(words) {
    big.textContent = words.sign;
    big.className = words.doubt || words.sign === "?" ? "doubt" : "";
    verdict.textContent = words.verdict;
    reason.textContent = words.reason;
    sayLater(`${words.verdict} ${words.reason}`);
  }

  // A screen reader hears a reading when the hand rests, and not at every point.
  function sayLater(text) {
    clearTimeout(silence);
    silence = setTimeout(() => say(text), 900);
  }

  function say(text) {
    said.textContent = text;
  }

  // The image that the net gets, always white on black as MNIST's are.
  function showSeen() {
    const context = Drawing.sharpContext(seen);
    const side = seen.clientWidth;
    const size = side / Net.SIDE;
    context.fillStyle = "#000";
    context.fillRect(0, 0, side, side);
    if (drawing === null) return;
    const { picture, box, centre } = drawing;
    picture.forEach((value, i) => {
      if (value === 0) return;
      const grey = Math.round(255 * value);
      context.fillStyle = `rgb(${grey}, ${grey}, ${grey})`;
      const [row, column] = [Math.floor(i / Net.SIDE), i % Net.SIDE];
      // A little larger than a pixel, so that no seams are seen.
      context.fillRect(column * size, row * size, size + 0.4, size + 0.4);
    });

    // The box of 20 pixels on its longer side, and the centre of mass.
    context.strokeStyle = "#8fd0ff";
    context.lineWidth = 1.25;
    context.setLineDash([4, 4]);
    context.strokeRect(box.column * size, box.row * size, box.columns * size, box.rows * size);
    context.setLineDash([]);
    context.beginPath();
    const [x, y] = [centre.column * size, centre.row * size];
    context.moveTo(x - 6, y);
    context.lineTo(x + 6, y);
    context.moveTo(x, y - 6);
    context.lineTo(x, y + 6);
    context.stroke();
    const cursor = Maps.cursor();
    if (cursor === null) return;
    const field = clipped(Net.fieldOf(cursor.stage, cursor.row, cursor.column));
    context.strokeStyle = "#ffb25a";
    context.lineWidth = 2.5;
    context.strokeRect(
      field.left * size + 1,
      field.top * size + 1,
      field.columns * size - 2,
      field.rows * size - 2,
    );
  }

  // The part of a receptive field that lies on the image; the rest of it is padding.
  function clipped(field) {
    const top = Math.max(0, field.top);
    const left = Math.max(0, field.left);
    return {
      top,
      left,
      rows: Math.min(Net.SIDE, field.top + field.rows) - top,
      columns: Math.min(Net.SIDE, field.left + field.columns) - left,
    };
  }

  function showSpot(cursor, byKey) {
    if (cursor === null) {
      spot.textContent =
        "Dashed: the 20 pixels that the digit's longer side is scaled to. Cross: its centre of mass.";
      return;
    }
    const { stage, map, row, column } = cursor;
    const value = Maps.valueAt(cursor);
    let where = `Map ${map + 1} of ${stage.size[0]}, row ${row + 1}, column ${column + 1}`;
    if (stage.size[1] * stage.size[2] === 1) where = `Number ${map + 1} of ${stage.size[0]}`;
    if (stage.last) where = `The logit of the ${map}`;
    const field = clipped(Net.fieldOf(stage, row, column));
    const text =
      `${where}: ${value === undefined ? "nothing is drawn" : signed(value)}. It sees rows ` +
      `${field.top + 1} to ${field.top + field.rows} and columns ${field.left + 1} to ` +
      `${field.left + field.columns} of the 28.`;
    spot.textContent = text;
    if (byKey) {
      clearTimeout(silence);
      say(text);
    }
  }

  // The same window on the paper, where there is a digit.
  function showOnPaper(cursor) {
    if (cursor === null || drawing === null) {
      Drawing.showField(null);
      return;
    }
    const { scale, top, left } = drawing.paper;
    const field = clipped(Net.fieldOf(cursor.stage, cursor.row, cursor.column));
    Drawing.showField({
      top: top + field.top * scale,
      left: left + field.left * scale,
      width: field.columns * scale,
      height: field.rows * scale,
    });
  }

  // A finger that has looked at a map comes back to the paper.
  document.getElementById("paper").addEventListener("pointerdown", Maps.leave);
  Drawing.onChange(readSoon);
  Drawing.onSay(say);
  Maps.onMove((cursor, byKey) => {
    showSeen();
    showSpot(cursor, byKey);
    showOnPaper(cursor);
  });
  const redraw = () => {
    Drawing.show();
    Maps.showAll();
    showSeen();
  };
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  redraw();
  read();
})();
