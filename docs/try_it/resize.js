// Pillow's resize, so that the network sees the pixels that it sees in Python.
//
// Each output pixel is a weighted mean of the input pixels below the filter, which is as wide as
// the reduction. Like Pillow, this works in integers: the weights have 22 fractional bits, and the
// pixels between the two passes are rounded to 8 bits.

const PRECISION = 22;

const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight(x) {
      const a = -0.5;
      x = Math.abs(x);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  },
};

// For each output pixel the first input pixel below the filter, and the weights from there on.
function coefficients(from, to, filter) {
  const scale = from / to;
  const width = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - filter.support * width + 0.5));
    const end = Math.min(from, Math.trunc(centre + filter.support * width + 0.5));
    const weights = [];
    for (let j = start; j < end; j++) weights.push(filter.weight((j - centre + 0.5) / width));
    const sum = weights.reduce((a, b) => a + b, 0);
    // Pillow rounds half away from zero; Math.round rounds half up.
    const integers = weights.map(
      (w) => Math.sign(w) * Math.floor(Math.abs(w / sum) * 2 ** PRECISION + 0.5),
    );
    return { start, weights: integers };
  });
}

// One pass over an image {width, height, data} of 3 channels, along the rows or the columns.
function resizeAxis(image, size, filter, alongRows) {
  const from = alongRows ? image.width : image.height;
  if (from === size) return image;
  const width = alongRows ? size : image.width;
  const height = alongRows ? image.height : size;
  const data = new Uint8ClampedArray(width * height * 3);
  const table = coefficients(from, size, filter);
  const stride = alongRows ? 3 : 3 * image.width;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { start, weights } = table[alongRows ? x : y];
      const first = alongRows ? (y * image.width + start) * 3 : (start * image.width + x) * 3;
      for (let channel = 0; channel < 3; channel++) {
        let sum = 2 ** (PRECISION - 1);
        for (let k = 0; k < weights.length; k++) {
          sum += weights[k] * image.data[first + k * stride + channel];
        }
        data[(y * width + x) * 3 + channel] = Math.floor(sum / 2 ** PRECISION);
      }
    }
  }
  return { width, height, data };
}

// Python's round: half to even.
function roundHalfEven(x) {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

// `eval_transform` of the package: resize the shorter side, then cut out the centre.
export function resizeAndCrop(image, network) {
  const filter = FILTERS[network.interpolation];
  if (!filter) throw new Error(`No filter for the interpolation "${network.interpolation}".`);
  const leastHeight = Math.floor(network.height / network.crop_fraction);
  const leastWidth = Math.floor(network.width / network.crop_fraction);
  let width;
  let height;
  if (leastWidth * image.height > leastHeight * image.width) {
    width = leastWidth;
    height = Math.trunc((leastWidth * image.height) / image.width);
  } else {
    width = Math.trunc((leastHeight * image.width) / image.height);
    height = leastHeight;
  }
  // Pillow resizes the rows first, except of a tall image that it reduces. The order matters,
  // because the pixels between the passes are rounded.
  const columnsFirst = image.height > 2 * image.width && height < image.height;
  const first = resizeAxis(image, columnsFirst ? height : width, filter, !columnsFirst);
  const resized = resizeAxis(first, columnsFirst ? width : height, filter, columnsFirst);
  const left = roundHalfEven((width - network.width) / 2);
  const top = roundHalfEven((height - network.height) / 2);
  const data = new Uint8ClampedArray(network.width * network.height * 3);
  for (let y = 0; y < network.height; y++) {
    const start = ((top + y) * width + left) * 3;
    data.set(resized.data.subarray(start, start + network.width * 3), y * network.width * 3);
  }
  return { width: network.width, height: network.height, data };
}
