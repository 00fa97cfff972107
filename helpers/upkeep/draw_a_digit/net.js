// What runs without a page: ink on paper, the centring, and the net itself. All of it is here.

const Net = (() => {
  "use strict";

  const net = NUMBERS_OF_THE_NET;
  const weights = unpacked(net.weights);

  const SIDE = 28; // pixels of an image of MNIST
  const BOX = 20; // pixels of the longer side of its digit
  const MIDDLE = 14; // the pixel that the centre of mass lies in
  const LEAST = 0.1; // ink from here on belongs to the digit
  const PAPER = 280; // points of the paper's side; ink is kept for each of its points

  // Bytes in letters, four of them a number, the low byte first.
  function unpacked(text) {
    const letters = atob(text);
    const bytes = new DataView(new ArrayBuffer(letters.length));
    for (let i = 0; i < letters.length; i++) bytes.setUint8(i, letters.charCodeAt(i));
    const numbers = new Float32Array(letters.length / 4);
    for (let i = 0; i < numbers.length; i++) numbers[i] = bytes.getFloat32(4 * i, true);
    return numbers;
  }

  // Ink

  function emptyPaper() {
    return new Float32Array(PAPER * PAPER);
  }

  // A straight line of a round pen, from one point to another, each {x, y} in points of the paper.
  function drawLine(paper, from, to, radius) {
    const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius - 1));
    const right = Math.min(PAPER - 1, Math.ceil(Math.max(from.x, to.x) + radius + 1));
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - radius - 1));
    const bottom = Math.min(PAPER - 1, Math.ceil(Math.max(from.y, to.y) + radius + 1));
    const dx = to.x - from.x;
    const dy = to.y - from.y;
    const squared = dx * dx + dy * dy;
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        // The nearest point of the line, from 0 at its beginning to 1 at its end.
        let along = 0;
        if (squared > 0) along = ((x + 0.5 - from.x) * dx + (y + 0.5 - from.y) * dy) / squared;
        along = Math.min(1, Math.max(0, along));
        const distance = Math.hypot(
          x + 0.5 - from.x - along * dx,
          y + 0.5 - from.y - along * dy,
        );
        // Within half a point of the edge the ink is grey.
        const ink = Math.min(1, Math.max(0, radius + 0.5 - distance));
        const place = y * PAPER + x;
        if (ink > paper[place]) paper[place] = ink;
      }
    }
  }

  // Centring, as MNIST's makers did it

  // Rows and columns from the first to the last with ink; null where there is none.
  function inkBox(ink, height, width) {
    let top = height;
    let bottom = -1;
    let left = width;
    let right = -1;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (ink[y * width + x] < LEAST) continue;
        if (y < top) top = y;
        if (y > bottom) bottom = y;
        if (x < left) left = x;
        if (x > right) right = x;
      }
    }
    if (bottom < 0) return null;
    return { top, left, height: bottom - top + 1, width: right - left + 1 };
  }

  // What each old pixel counts in the mean of each new one: a list of [old, weight] for each.
  function meanWeights(length, scale) {
    const count = Math.ceil(length / scale - 1e-9);
    const lists = [];
    for (let i = 0; i < count; i++) {
      const begin = i * scale;
      const end = begin + scale;
      const list = [];
      for (let old = Math.floor(begin); old < Math.min(length, end); old++) {
        const overlap = Math.min(end, old + 1) - Math.max(begin, old);
        if (overlap > 0) list.push([old, overlap / scale]);
      }
      lists.push(list);
    }
    return lists;
  }

  // Where an axis of the digit begins in the picture, and where its centre of mass lies.
  function placed(ink) {
    let sum = 0;
    let moment = 0;
    ink.forEach((value, i) => {
      sum += value;
      moment += value * (i + 0.5);
    });
    const centre = moment / sum;
    const begin = MIDDLE - Math.floor(centre + 1e-6);
    const inside = Math.min(Math.max(begin, 0), SIDE - ink.length);
    return { begin: inside, centre: inside + centre };
  }

  // The digit in 28 × 28 pixels, and how to find its pixels on the paper; null without ink.
  function centred(ink, height, width) {
    const box = inkBox(ink, height, width);
    if (box === null) return null;
    const scale = Math.max(box.height, box.width) / BOX;
    const down = meanWeights(box.height, scale);
    const across = meanWeights(box.width, scale);

    // First the rows are made fewer, then the columns.
    const rows = down.length;
    const columns = across.length;
    const narrow = new Float64Array(rows * box.width);
    for (let y = 0; y < rows; y++) {
      for (const [old, weight] of down[y]) {
        const from = (box.top + old) * width + box.left;
        for (let x = 0; x < box.width; x++) narrow[y * box.width + x] += weight * ink[from + x];
      }
    }
    const small = new Float64Array(rows * columns);
    let strongest = 0;
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        let sum = 0;
        for (const [old, weight] of across[x]) sum += weight * narrow[y * box.width + old];
        small[y * columns + x] = sum;
        if (sum > strongest) strongest = sum;
      }
    }

    // The centre of mass goes to the middle of the picture.
    const byRow = new Float64Array(rows);
    const byColumn = new Float64Array(columns);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        byRow[y] += small[y * columns + x] / strongest;
        byColumn[x] += small[y * columns + x] / strongest;
      }
    }
    const vertical = placed(byRow);
    const horizontal = placed(byColumn);
    const picture = new Float32Array(SIDE * SIDE);
    let sum = 0;
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const value = small[y * columns + x] / strongest;
        picture[(y + vertical.begin) * SIDE + x + horizontal.begin] = value;
        sum += value;
      }
    }
    return {
      picture,
      ink: sum,
      centre: { row: vertical.centre, column: horizontal.centre },
      box: { row: vertical.begin, column: horizontal.begin, rows, columns },
      // A row of the picture lies on the paper at top + row * scale.
      paper: {
        scale,
        top: box.top - vertical.begin * scale,
        left: box.left - horizontal.begin * scale,
      },
    };
  }

  // The net

  // How many windows fit along one axis.
  function windows(size, kernel, stride, padding, dilation) {
    return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  }

  function emptyMaps(channels, rows, columns) {
    return { channels, rows, columns, values: new Float32Array(channels * rows * columns) };
  }

  function convolution(layer, maps) {
    const [kernelRows, kernelColumns] = layer.kernel;
    const [down, right] = layer.stride;
    const [above, left] = layer.padding;
    const [rowStep, columnStep] = layer.dilation;
    const rows = windows(maps.rows, kernelRows, down, above, rowStep);
    const columns = windows(maps.columns, kernelColumns, right, left, columnStep);
    const made = emptyMaps(layer.out, rows, columns);
    const perGroup = maps.channels / layer.groups;
    let place = layer.weight;
    for (let out = 0; out < layer.out; out++) {
      const target = out * rows * columns;
      if (layer.bias >= 0) {
        made.values.fill(weights[layer.bias + out], target, target + rows * columns);
      }
      const first = Math.floor((out * layer.groups) / layer.out) * perGroup;
      for (let i = 0; i < perGroup; i++) {
        const source = (first + i) * maps.rows * maps.columns;
        for (let ky = 0; ky < kernelRows; ky++) {
          for (let kx = 0; kx < kernelColumns; kx++) {
            // One weight of the window, at every place where it does not meet padding, a zero.
            const weight = weights[place++];
            const shift = kx * columnStep - left;
            const begin = Math.max(0, Math.ceil(-shift / right));
            const end = Math.min(columns - 1, Math.floor((maps.columns - 1 - shift) / right));
            for (let y = 0; y < rows; y++) {
              const row = y * down + ky * rowStep - above;
              if (row < 0 || row >= maps.rows) continue;
              const from = source + row * maps.columns + shift;
              const to = target + y * columns;
              for (let x = begin; x <= end; x++) {
                made.values[to + x] += weight * maps.values[from + x * right];
              }
            }
          }
        }
      }
    }
    return made;
  }

  function pooling(layer, maps) {
    const [kernelRows, kernelColumns] = layer.kernel;
    const [down, right] = layer.stride;
    const [above, left] = layer.padding;
    const rows = windows(maps.rows, kernelRows, down, above, 1);
    const columns = windows(maps.columns, kernelColumns, right, left, 1);
    const made = emptyMaps(maps.channels, rows, columns);
    for (let channel = 0; channel < maps.channels; channel++) {
      const source = channel * maps.rows * maps.columns;
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++) {
          let largest = -Infinity;
          let sum = 0;
          for (let ky = 0; ky < kernelRows; ky++) {
            for (let kx = 0; kx < kernelColumns; kx++) {
              const row = y * down + ky - above;
              const column = x * right + kx - left;
              if (row < 0 || row >= maps.rows || column < 0 || column >= maps.columns) continue;
              const value = maps.values[source + row * maps.columns + column];
              sum += value;
              if (value > largest) largest = value;
            }
          }
          let value = largest;
          if (layer.kind === "average") value = sum / (kernelRows * kernelColumns);
          made.values[(channel * rows + y) * columns + x] = value;
        }
      }
    }
    return made;
  }

  // ReLU and normalisation: each number for itself, made by change(value, channel).
  function pointwise(maps, change) {
    const made = emptyMaps(maps.channels, maps.rows, maps.columns);
    const size = maps.rows * maps.columns;
    for (let i = 0; i < made.values.length; i++) {
      made.values[i] = change(maps.values[i], Math.floor(i / size));
    }
    return made;
  }

  function run(layer, maps) {
    if (layer.kind === "convolution") return convolution(layer, maps);
    if (layer.kind === "relu") return pointwise(maps, (value) => Math.max(0, value));
    if (layer.kind === "normalisation") {
      return pointwise(
        maps,
        (value, channel) =>
          value * weights[layer.factor + channel] + weights[layer.summand + channel],
      );
    }
    return pooling(layer, maps);
  }

  // The maps after every layer, the logits last, of a picture of 28 × 28 numbers from 0 to 1.
  function forward(picture) {
    let maps = emptyMaps(1, SIDE, SIDE);
    maps.values = Float32Array.from(picture, (value) => (value - net.mean) / net.deviation);
    return net.layers.map((layer) => (maps = run(layer, maps)));
  }

  function logits(picture) {
    return Array.from(forward(picture).at(-1).values);
  }

  // Shares of e to the power of each logit; the largest is subtracted, or e**x could overflow.
  function softmax(numbers) {
    const largest = Math.max(...numbers);
    const powers = numbers.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  }

  // Of 100 test digits of MNIST, how many excited the net less than this.
  function fewerOf100(logit) {
    return net.strongest.filter((value, i) => i > 0 && value < logit).length;
  }

  // The window of the picture that a position of a stage's maps sees, in pixels from its corner.
  function fieldOf(stage, row, column) {
    const [rows, columns] = stage.field;
    const middle = [
      stage.start[0] + row * stage.jump[0],
      stage.start[1] + column * stage.jump[1],
    ];
    return { top: middle[0] - rows / 2, left: middle[1] - columns / 2, rows, columns };
  }

  return {
    SIDE,
    PAPER,
    stages: net.stages,
    emptyPaper,
    drawLine,
    centred,
    forward,
    logits,
    softmax,
    fewerOf100,
    fieldOf,
  };
})();
