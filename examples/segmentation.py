"""Fine-tune KerasHub's DeepLabV3+ on an MS-MLP encoder: your masks, mIoU, a picture.

    python examples/segmentation.py --data photos               # images/x.jpg and masks/x.png
    python examples/segmentation.py --data VOC2012              # JPEGImages and SegmentationClass
    python examples/segmentation.py --data BCCD --model small --size 192 256 --epochs 10
    python examples/segmentation.py --smoke                     # one minute, drawn shapes
    python examples/segmentation.py --smoke --data BCCD         # eight of your own images

A mask has the index of a class at each pixel, 0 for the background and 255 for ignored pixels. For
a folder with boxes only (JPEGImages and Annotations), the mask is the ellipse in each box, a fair
approximation for round objects such as cells; the output says so. Writes to --out: masks.png,
results.json and segmenter, a preset of KerasHub. Runs on TensorFlow, JAX and PyTorch
(KERAS_BACKEND). It also needs keras-hub, pillow and matplotlib.
"""

import argparse
import json
import logging
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import keras
import keras_hub
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

import keras_shiftmlp
import keras_shiftmlp.keras_hub

# `--model small`, also the model of `--smoke`: shaped like MSMLPTiny, a fiftieth of its size.
SMALL = dict(dims=(24, 48, 96, 144), depths=(1, 1, 2, 1), layer_scale_init=0.1)

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", type=Path, help="folder of images and masks, or in VOC format")
parser.add_argument("--model", default="MSMLPTiny", help="a constructor with P2 and P5, or small")
parser.add_argument("--weights", help="tag or file with the initial weights of the encoder")
parser.add_argument("--size", type=int, nargs=2, default=(384, 512), metavar=("H", "W"))
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--learning-rate", type=float, default=3e-4)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("outputs/segmentation"))
parser.add_argument("--smoke", action="store_true", help="overfit eight images")
args = parser.parse_args()
if args.smoke:
    args.model, args.epochs, args.batch_size = "small", 200 if args.data else 25, 8
    args.size, args.learning_rate = (96, 128) if args.data else (64, 96), 3e-3
height, width = args.size
if height % 32 or width % 32:
    parser.error(f"--size must be multiples of 32. Received: {height} {width}")
logging.getLogger("absl").setLevel("ERROR")  # grain logs about its threads in every epoch
keras.utils.set_random_seed(args.seed)
rng = np.random.default_rng(args.seed)
args.out.mkdir(parents=True, exist_ok=True)

# ---------------------------------------------------------------------------------------------
# Data: pixels (N, H, W, 3) of uint8 and the class of each pixel, (N, H, W) of uint8.


def read(image, mask):
    """An image and its mask, resized to --size; the mask by nearest neighbour."""
    with Image.open(image) as file:
        pixels = np.asarray(file.convert("RGB").resize((width, height)))
    with Image.open(mask) as file:
        return pixels, np.asarray(file.resize((width, height), Image.Resampling.NEAREST))


def read_boxes(annotation):
    """An image in VOC format, and a mask made of the ellipse in each of its boxes."""
    with Image.open(next((args.data / "JPEGImages").glob(f"{annotation.stem}.*"))) as file:
        scale = np.array([width / file.width, height / file.height] * 2)
        pixels = np.asarray(file.convert("RGB").resize((width, height)))
    mask = Image.new("L", (width, height))
    found = []
    for item in ET.parse(annotation).iter("object"):
        keys = ("xmin", "ymin", "xmax", "ymax")
        corners = np.array([float(item.find(f"bndbox/{key}").text) for key in keys]) * scale
        if corners[2] > corners[0] and corners[3] > corners[1]:
            found.append((corners.tolist(), class_names.index(item.find("name").text)))
    # The largest first, so that a small object in front of a large one stays visible.
    for corners, label in sorted(found, key=lambda x: -(x[0][2] - x[0][0]) * (x[0][3] - x[0][1])):
        ImageDraw.Draw(mask).ellipse(corners, label)
    return pixels, np.asarray(mask)


def draw():
    """Two to four discs and squares on a noisy background."""
    image = Image.fromarray(rng.integers(60, 120, (height, width, 3), "uint8"))
    mask = Image.new("L", (width, height))
    for place in rng.permutation(6)[: rng.integers(2, 5)]:
        label, side = int(rng.integers(1, 3)), rng.integers(18, 28)
        # A grid of 2 x 3 places, so that no shape covers another.
        x = place % 3 * width // 3 + rng.integers(0, width // 3 - side)
        y = place // 3 * height // 2 + rng.integers(0, height // 2 - side)
        corners = [int(x), int(y), int(x + side), int(y + side)]
        for canvas, fill in ((image, tuple(rng.integers(140, 256, 3).tolist())), (mask, label)):
            pen = ImageDraw.Draw(canvas)
            (pen.ellipse if label == 1 else pen.rectangle)(corners, fill)
    return np.asarray(image), np.asarray(mask)


class_names, made_of, most = ["background"], "the masks of the folder", 8 if args.smoke else None
layouts = {"images": "masks", "JPEGImages": "SegmentationClass"}
found = [pair for pair in layouts.items() if args.data and (args.data / pair[1]).is_dir()]
if found:
    images, masks = (
        {path.stem: path for path in (args.data / name).iterdir()} for name in found[0]
    )
    samples = [read(images[stem], masks[stem]) for stem in sorted(masks) if stem in images][:most]
    if any(mask.ndim != 2 for _, mask in samples):
        parser.error("masks must have one number per pixel (a grey or a palette image), not colors")
    top = max(int(mask[mask < 255].max(initial=0)) for _, mask in samples)
    class_names += [f"class {index}" for index in range(1, top + 1)]
elif args.data:
    made_of = "ellipses in the annotated boxes"
    annotations = sorted((args.data / "Annotations").glob("*.xml"))
    if not annotations:
        parser.error(
            f"--data must have masks, SegmentationClass or Annotations. Received: {args.data}"
        )
    named = {x.text for path in annotations for x in ET.parse(path).iterfind("object/name")}
    class_names += sorted(named)
    samples = [read_boxes(path) for path in annotations[:most]]
elif args.smoke:
    made_of, class_names = "what was drawn", ["background", "disc", "square"]
    samples = [draw() for _ in range(8)]
else:
    parser.error("--data is needed, or --smoke")
images, masks = (np.stack(part) for part in zip(*samples))
test_images, test_masks = images, masks
if not args.smoke:  # every fifth image is held out
    is_test = np.arange(len(images)) % 5 == 0
    test_images, test_masks = images[is_test], masks[is_test]
    images, masks = images[~is_test], masks[~is_test]
print(f"{len(images)} training and {len(test_images)} test images of {', '.join(class_names[1:])}")
print(f"masks: {made_of}")

# ---------------------------------------------------------------------------------------------
# Model: level P5 is dilated at several rates, level P2 gives the edges.

network = dict(include_top=False, input_shape=(None, None, 3), weights=args.weights)
if args.model == "small":
    encoder = keras_shiftmlp.MSMLP(**SMALL, **network)
else:
    encoder = keras_shiftmlp.get_model(args.model, **network)
segmenter = keras_hub.models.DeepLabV3ImageSegmenter(
    keras_hub.models.DeepLabV3Backbone(
        keras_shiftmlp.keras_hub.Backbone(encoder),
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P5",
        upsampling_size=8,
        dilation_rates=[2, 4, 6],
    ),
    len(class_names),
)
# KerasHub's batch norms average over hundreds of steps, too slow for a short run.
[pooling] = (x for x in segmenter.backbone.layers if hasattr(x, "aspp_parallel_channels"))
for part in (segmenter.backbone, pooling.projection, *pooling.aspp_parallel_channels):
    for layer in part.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
steps = args.epochs * -(-len(images) // args.batch_size)
rate = keras.optimizers.schedules.CosineDecay(
    0.0, steps, warmup_target=args.learning_rate, warmup_steps=max(1, steps // 20)
)
segmenter.compile(
    keras.optimizers.AdamW(rate, weight_decay=1e-4, global_clipnorm=1.0),
    keras.losses.CategoricalCrossentropy(from_logits=True),
    metrics=[],
)
print(f"{args.model}: {segmenter.count_params():,} parameters on {keras.backend.backend()}")

# ---------------------------------------------------------------------------------------------
# Training: a new order in every epoch; except with --smoke, half of the images are flipped.

started, losses = time.time(), []
for epoch in range(args.epochs):
    order = rng.permutation(len(images))
    x, y = images[order], masks[order]
    if not args.smoke:
        mirror = rng.random(len(x)) < 0.5
        x[mirror], y[mirror] = x[mirror, :, ::-1], y[mirror, :, ::-1]
    # (N, H, W) -> (N, H, W, classes); ignored pixels are all zeros and so have no loss
    y = (y[..., None] == np.arange(len(class_names))).astype("float32")
    # `shuffle=False`: KerasHub turns the arrays into a dataset, for which Keras would warn.
    history = segmenter.fit(x, y, batch_size=args.batch_size, shuffle=False, verbose=0).history
    losses.append(history["loss"][0])
    if epoch % max(1, args.epochs // 15) == 0 or epoch == args.epochs - 1:
        print(
            f"epoch {epoch + 1}: loss {losses[-1]:.3f}, {time.time() - started:.0f} s", flush=True
        )

# ---------------------------------------------------------------------------------------------
# Result: intersection over union of each class, and a picture of the masks.

scores = segmenter.predict(test_images, batch_size=args.batch_size, verbose=0)
found = np.asarray(scores).argmax(-1)  # (N, H, W, classes) -> (N, H, W)
each = {}
for label, name in enumerate(class_names):
    metric = keras.metrics.IoU(len(class_names), [label], ignore_class=255)
    metric.update_state(test_masks, found)
    each[name] = float(metric.result())
miou = float(np.nanmean(list(each.values())))  # NaN for a class without a pixel
print(f"{'training' if args.smoke else 'test'} images: mIoU {miou:.3f}")
print(", ".join(f"{name} {value:.3f}" for name, value in each.items()))

shown = min(4, len(test_images))
figure = Figure(figsize=(12, 0.8 + 4 * height / width * shown), layout="constrained")
for index in range(shown):
    given = (test_images[index], None), (test_images[index], test_masks[index])
    columns = [*given, (test_images[index], found[index])]
    for place, ((image, mask), title) in enumerate(zip(columns, ("image", made_of, "found"))):
        axis = figure.add_subplot(shown, 3, 3 * index + place + 1)
        axis.imshow(image)
        axis.axis("off")
        if mask is not None:
            hidden = np.ma.masked_where((mask == 0) | (mask == 255), mask)
            axis.imshow(hidden, cmap="tab10", vmin=0, vmax=9, alpha=0.7, interpolation="nearest")
        if index == 0:
            axis.set_title(title)
figure.suptitle(f"mIoU {miou:.2f}")
figure.savefig(args.out / "masks.png", dpi=80)

settings = {key: str(x) if isinstance(x, Path) else x for key, x in vars(args).items()}
report = dict(settings=settings, masks=made_of, mIoU=miou, classes=each, loss=losses)
report |= dict(seconds=time.time() - started, backend=keras.backend.backend())
(args.out / "results.json").write_text(json.dumps(report, indent=1) + "\n")
segmenter.save_to_preset(str(args.out / "segmenter"))
print(f"wrote masks.png, results.json and the preset segmenter to {args.out}")
if args.smoke and miou <= 0.9:
    raise SystemExit(f"mIoU after overfitting eight images is {miou:.3f}, not above 0.9")
