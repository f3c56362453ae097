// The spatial shift of S2-MLP, step by step: what each channel group holds, and what one position
// has received.

const SIDE = 9;
const page = document.getElementById("shift");
const setting = page.querySelector("[data-role=setting]");
const order = page.querySelector("[data-role=order]");
const groups = page.querySelector("[data-role=groups]");
const text = page.querySelector("[data-role=text]");
const reach = page.querySelector("[data-role=reach]");
const shifts = await (await fetch(new URL("shifts.json", import.meta.url))).json();
let steps = 0;
let photo; // {width, height, data} after a prediction

// The colour of a position: its own hue and lightness, or its pixel of the photo.
function colour(row, column) {
  if (photo) {
    const y = Math.floor(((row + 0.5) * photo.height) / SIDE);
    const x = Math.floor(((column + 0.5) * photo.width) / SIDE);
    const start = (y * photo.width + x) * 3;
    return `rgb(${photo.data.subarray(start, start + 3).join(" ")})`;
  }
  return `hsl(${200 + (170 * column) / (SIDE - 1)} 70% ${25 + (55 * row) / (SIDE - 1)}%)`;
}

const clamp = (x) => Math.min(SIDE - 1, Math.max(0, x));

// The steps (rows, columns) of the chosen setting; shift 2 of S2-MLPv2 swaps the axes.
function chosen() {
  return shifts[setting.value].map(({ step: [rows, columns] }) =>
    order.value === "hw" ? [rows, columns] : [columns, rows],
  );
}

function direction([rows, columns]) {
  const vertical = { "-1": "up", 0: "", 1: "down" }[rows];
  const horizontal = { "-1": "left", 0: "", 1: "right" }[columns];
  return [vertical, horizontal].filter(Boolean).join(" and ");
}

function drawCells(canvas, fill) {
  const context = canvas.getContext("2d");
  const size = canvas.width / SIDE;
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      context.fillStyle = fill(row, column);
      context.fillRect(column * size + 0.5, row * size + 0.5, size - 1, size - 1);
    }
  }
  const middle = Math.floor(SIDE / 2) * size;
  context.strokeStyle = "black";
  context.lineWidth = 2;
  context.strokeRect(middle + 1, middle + 1, size - 2, size - 2);
}

// The positions whose values have reached the middle: each block shifts, then mixes all channels.
function reached() {
  const middle = Math.floor(SIDE / 2);
  let positions = new Set([middle * SIDE + middle]);
  for (let block = 0; block < steps; block++) {
    const before = new Set();
    for (const position of positions) {
      for (const [rows, columns] of chosen()) {
        const row = clamp(Math.floor(position / SIDE) - rows);
        before.add(row * SIDE + clamp((position % SIDE) - columns));
      }
    }
    positions = before;
  }
  return positions;
}

function draw() {
  groups.replaceChildren();
  chosen().forEach((step, index) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE * 16;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Group ${index + 1} after ${steps} steps ${direction(step)}`);
    // A value that leaves the map is lost, and the line at the border keeps its values.
    drawCells(canvas, (row, column) =>
      colour(clamp(row - steps * step[0]), clamp(column - steps * step[1])),
    );
    const caption = document.createElement("figcaption");
    caption.textContent = `group ${index + 1}: ${direction(step)}`;
    figure.append(canvas, caption);
    groups.append(figure);
  });
  const positions = reached();
  drawCells(reach, (row, column) =>
    positions.has(row * SIDE + column) ? "#e67800" : "rgb(128 128 128 / 25%)",
  );
  const blocks = steps === 1 ? "1 block" : `${steps} blocks`;
  text.textContent =
    `After ${blocks} the middle has received values of ${positions.size} of ` +
    `${SIDE * SIDE} positions.`;
}

for (const name of Object.keys(shifts)) setting.add(new Option(`(${name})`, name));
for (const select of [setting, order]) select.addEventListener("change", draw);
page.querySelector("[data-role=step]").addEventListener("click", () => {
  steps = Math.min(steps + 1, SIDE - 1);
  draw();
});
page.querySelector("[data-role=reset]").addEventListener("click", () => {
  steps = 0;
  draw();
});
document.addEventListener("photo", (event) => {
  photo = event.detail;
  draw();
});
draw();
