// Runs the exported network on a photo: class probabilities and a class activation map.

import { resizeAndCrop } from "./resize.js";

const page = document.getElementById("predict");
const status = page.querySelector("[data-role=status]");
const results = page.querySelector("[data-role=results]");
const canvas = page.querySelector("canvas");
const input = page.querySelector("input[type=file]");
const drop = page.querySelector("[data-role=drop]");

const load = async () => {
  const ort = await import("./ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1; // more would need headers that static hosts do not send
  ort.env.wasm.wasmPaths = new URL(".", import.meta.url).href;
  const network = await (await fetch(new URL("network.json", import.meta.url))).json();
  const file = new URL("network.onnx", import.meta.url).href;
  return { ort, network, session: await ort.InferenceSession.create(file) };
};
let loaded; // on the first photo: a reader who only reads downloads nothing

// The pixels of a file as RGB without colour management, as Pillow reads them.
async function pixelsOf(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    data.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
  }
  return { width, height, data };
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const exponentials = logits.map((x) => Math.exp(x - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((x) => x / sum);
}

function drawImage(image) {
  const rgba = new ImageData(image.width, image.height);
  for (let i = 0; i < image.width * image.height; i++) {
    rgba.data.set([...image.data.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  }
  const small = new OffscreenCanvas(image.width, image.height);
  small.getContext("2d").putImageData(rgba, 0, 0);
  canvas.getContext("2d").imageSmoothingEnabled = false;
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
}

// The map of one class over the image: blue lowers its score, orange raises it.
function drawMap(image, maps, index) {
  const [, rows, columns, classes] = maps.dims;
  const values = Array.from({ length: rows * columns }, (_, i) => maps.data[i * classes + index]);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const scale = Math.max(...values.map((x) => Math.abs(x - mean))) || 1;
  const heat = new ImageData(columns, rows);
  values.forEach((value, i) => {
    const share = (value - mean) / scale;
    heat.data.set([...(share > 0 ? [230, 120, 0] : [0, 90, 200]), 170 * Math.abs(share)], 4 * i);
  });
  const small = new OffscreenCanvas(columns, rows);
  small.getContext("2d").putImageData(heat, 0, 0);
  drawImage(image);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = true;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function show(image, maps, probabilities, network) {
  const order = probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
  results.replaceChildren();
  const choose = (index, button) => {
    drawMap(image, maps, index);
    canvas.setAttribute("aria-label", `Photo with the map of the class ${network.class_names[index]}`);
    for (const other of results.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  };
  for (const index of order.slice(0, 5)) {
    const button = document.createElement("button");
    const share = `${(100 * probabilities[index]).toFixed(1)} %`;
    button.type = "button";
    button.textContent = `${network.class_names[index]} ${share}`;
    button.style.setProperty("--share", probabilities[index]);
    button.addEventListener("click", () => choose(index, button));
    results.append(button);
  }
  choose(order[0], results.firstChild);
  page.dataset.probabilities = JSON.stringify(probabilities); // for the browser tests
}

async function predict(file) {
  delete page.dataset.probabilities;
  try {
    status.textContent = "Loading the network.";
    loaded ??= load();
    const { ort, network, session } = await loaded;
    const image = resizeAndCrop(await pixelsOf(file), network);
    const start = performance.now();
    const shape = [1, image.height, image.width, 3];
    const images = new ort.Tensor("float32", Float32Array.from(image.data), shape);
    const [maps] = Object.values(await session.run({ [session.inputNames[0]]: images }));
    const milliseconds = performance.now() - start;
    const [, rows, columns, classes] = maps.dims;
    // The classifier is linear: the mean of the class maps is the logits.
    const logits = new Array(classes).fill(0);
    maps.data.forEach((value, i) => (logits[i % classes] += value / (rows * columns)));
    show(image, maps, softmax(logits), network);
    status.textContent =
      `${network.model}, ${(network.bytes / 1e6).toFixed(1)} MB, took ` +
      `${milliseconds.toFixed(0)} ms. It sees ${network.width} x ${network.height} pixels, as drawn.`;
    document.dispatchEvent(new CustomEvent("photo", { detail: image }));
  } catch (error) {
    if (!page.dataset.probabilities) loaded = undefined; // a failed download is tried again
    status.textContent = `This photo could not be classified: ${error.message}`;
  }
}

page.querySelector("[data-role=sample]").addEventListener("click", async () => {
  predict(await (await fetch(new URL("../pictures/cat.jpg", import.meta.url))).blob());
});
input.addEventListener("change", () => input.files.length && predict(input.files[0]));
for (const name of ["dragover", "drop"]) {
  drop.addEventListener(name, (event) => event.preventDefault());
}
drop.addEventListener("drop", (event) => {
  const file = event.dataTransfer.files[0];
  if (file) predict(file);
});
