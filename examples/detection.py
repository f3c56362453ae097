"""Fine-tune KerasHub's RetinaNet on an MS-MLP backbone: your boxes, COCO's mAP, a picture.

    python examples/detection.py --data BCCD                    # a folder in VOC format
    python examples/detection.py --data BCCD --size 384 512 --weights imagenet
    python examples/detection.py --data BCCD --model small --size 192 256 --epochs 10
    python examples/detection.py --smoke                        # one minute, drawn shapes
    python examples/detection.py --smoke --data BCCD            # eight of your own images

--data has the images in JPEGImages and one XML file per image in Annotations. If ImageSets/Main
exists, it defines the split. Writes to --out: boxes.png, results.json and detector, a preset of
KerasHub. Runs on TensorFlow, JAX and PyTorch (KERAS_BACKEND). It also needs keras-hub, pycocotools,
pillow and matplotlib.
"""

import argparse
import contextlib
import io
import json
import logging
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import keras
import keras_hub
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image, ImageDraw
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import keras_shiftmlp
import keras_shiftmlp.keras_hub

# `--model small`, also the model of `--smoke`: shaped like MSMLPTiny, a fiftieth of its size.
SMALL = dict(dims=(24, 48, 96, 144), depths=(1, 1, 2, 1), layer_scale_init=0.1)
LEVELS = (3, 5)  # strides 8 to 32

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", type=Path, help="folder with JPEGImages and Annotations")
parser.add_argument("--model", default="MSMLPTiny", help="a constructor with P3 to P5, or small")
parser.add_argument("--weights", help="tag or file with the initial weights of the backbone")
parser.add_argument("--size", type=int, nargs=2, default=(384, 512), metavar=("H", "W"))
parser.add_argument("--head-layers", type=int, default=4, help="convolutions in each head")
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--learning-rate", type=float, default=3e-4)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("outputs/detection"))
parser.add_argument("--smoke", action="store_true", help="overfit eight images")
args = parser.parse_args()
if args.smoke:
    args.model, args.batch_size, args.learning_rate = "small", 4, 2e-3
    args.head_layers, args.epochs = (2, 260) if args.data else (1, 40)
    args.size = (192, 256) if args.data else (96, 128)
height, width = args.size
if height % 2 ** LEVELS[1] or width % 2 ** LEVELS[1]:
    parser.error(f"--size must be multiples of {2 ** LEVELS[1]}. Received: {height} {width}")
logging.getLogger("absl").setLevel("ERROR")  # grain logs about its threads in every epoch
keras.utils.set_random_seed(args.seed)
rng = np.random.default_rng(args.seed)
args.out.mkdir(parents=True, exist_ok=True)

# ---------------------------------------------------------------------------------------------
# Data: pixels (N, H, W, 3) of uint8, boxes (N, most, 4) as x1 y1 x2 y2 in pixels, labels (N, most).


def read_voc(stem):
    """One image, resized to --size, with its boxes and names."""
    with Image.open(next((args.data / "JPEGImages").glob(f"{stem}.*"))) as file:
        scale = np.array([width / file.width, height / file.height] * 2)
        pixels = np.asarray(file.convert("RGB").resize((width, height)))
    boxes, names = [], []
    for item in ET.parse(args.data / "Annotations" / f"{stem}.xml").iter("object"):
        corners = [
            float(item.find(f"bndbox/{key}").text) for key in ("xmin", "ymin", "xmax", "ymax")
        ]
        if corners[2] > corners[0] and corners[3] > corners[1]:
            boxes.append(corners * scale)
            names.append(item.find("name").text)
    return pixels, boxes, names


def draw():
    """An image with two to four discs and squares on a noisy background."""
    image = Image.fromarray(rng.integers(60, 120, (height, width, 3), "uint8"))
    boxes, names = [], []
    for place in rng.permutation(6)[: rng.integers(2, 5)]:
        side, fill = rng.integers(20, 34), tuple(rng.integers(140, 256, 3).tolist())
        # A grid of 2 x 3 places, so that no shape covers another.
        x = place % 3 * width // 3 + rng.integers(0, width // 3 - side)
        y = place // 3 * height // 2 + rng.integers(0, height // 2 - side)
        box = np.array([x, y, x + side, y + side])
        names.append(["disc", "square"][rng.integers(2)])
        pen = ImageDraw.Draw(image)
        (pen.ellipse if names[-1] == "disc" else pen.rectangle)(box.tolist(), fill)
        boxes.append(box)
    return np.asarray(image), boxes, names


def arrays(samples):
    """Pads every image to the same number of boxes; the label -1 marks padding."""
    most = max(len(names) for _, _, names in samples)
    boxes = np.tile(np.float32([0, 0, 1, 1]), (len(samples), most, 1))
    labels = np.full((len(samples), most), -1, "float32")
    for index, (_, corners, names) in enumerate(samples):
        boxes[index, : len(names)] = corners
        labels[index, : len(names)] = [class_names.index(name) for name in names]
    return np.stack([pixels for pixels, _, _ in samples]), boxes, labels


if args.data:
    stems = sorted(path.stem for path in (args.data / "Annotations").glob("*.xml"))
    if not stems:
        parser.error(f"--data must have XML files in its folder Annotations. Received: {args.data}")
    listed = args.data / "ImageSets" / "Main" / "test.txt"
    held_out = set(listed.read_text().split() if listed.exists() else stems[::5])
    samples, test_samples = (
        [read_voc(stem) for stem in stems if (stem in held_out) == is_test]
        for is_test in (False, True)
    )
    if args.smoke:
        samples = test_samples = samples[:8]
elif args.smoke:
    samples = test_samples = [draw() for _ in range(8)]
else:
    parser.error("--data is needed, or --smoke")
class_names = sorted({name for _, _, names in samples + test_samples for name in names})
images, boxes, labels = arrays(samples)
test_images, test_boxes, test_labels = arrays(test_samples)
print(f"{len(images)} training and {len(test_images)} test images of {', '.join(class_names)}")

# ---------------------------------------------------------------------------------------------
# Model: the smallest anchors have the size of the smallest boxes; each level doubles the size.

real = boxes[labels >= 0]
side = np.sqrt((real[:, 2] - real[:, 0]) * (real[:, 3] - real[:, 1]))
anchor_size = float(np.quantile(side, 0.05)) / 2 ** LEVELS[0]
anchors = keras_hub.layers.AnchorGenerator(
    "xyxy", *LEVELS, num_scales=3, aspect_ratios=[0.5, 1.0, 2.0], anchor_size=anchor_size
)
# (anchors, 4), (boxes, 4) -> (boxes,): IoU of each box with its best anchor
every = keras.ops.concatenate(list(anchors(np.zeros((1, height, width, 3))).values()))
fit = keras.utils.bounding_boxes.compute_iou(every, real[:500], "xyxy")
matched = np.mean(keras.ops.convert_to_numpy(fit).max(0) >= 0.5)
print(f"anchors from {anchor_size * 2 ** LEVELS[0]:.0f} pixels match {matched:.1%} of the boxes")
if matched < 0.5:
    parser.error("RetinaNet cannot learn boxes that no anchor matches: choose a larger --size")

network = dict(include_top=False, input_shape=(None, None, 3), weights=args.weights)
if args.model == "small":
    backbone = keras_shiftmlp.MSMLP(**SMALL, **network)
else:
    backbone = keras_shiftmlp.get_model(args.model, **network)
pyramid = keras_hub.models.RetinaNetBackbone(
    keras_shiftmlp.keras_hub.Backbone(backbone), *LEVELS, False
)
detector = keras_hub.models.RetinaNetObjectDetector(
    pyramid,
    len(class_names),
    bounding_box_format="xyxy",
    anchor_generator=anchors,
    pre_logits_num_conv_layers=args.head_layers,
    prediction_decoder=keras_hub.layers.NonMaxSuppression(
        "xyxy", from_logits=True, confidence_threshold=0.05
    ),
)
# The heads start as in RetinaNet's paper: low class probabilities, boxes near their anchors.
# KerasHub 0.32 uses five times larger initial kernels and puts the low-prior bias on the boxes.
for head, start in (("classification_head", -np.log(99)), ("box_head", 0)):
    *kernels, bias = detector.get_layer(head).weights
    for kernel in kernels:
        kernel.assign(0.2 * kernel)
    bias.assign(keras.ops.full(bias.shape, start))
steps = args.epochs * -(-len(images) // args.batch_size)
rate = keras.optimizers.schedules.CosineDecay(
    0.0, steps, warmup_target=args.learning_rate, warmup_steps=max(1, steps // 20)
)
# Offsets are fractions of an anchor. Their squares, as in the default loss, would be negligible.
detector.compile(
    keras.optimizers.AdamW(rate, weight_decay=1e-4, global_clipnorm=10.0),
    box_loss=keras.losses.MeanAbsoluteError(reduction="sum"),
    loss_weights={"bbox_regression": 4.0, "cls_logits": 1.0},
)
print(f"{args.model}: {detector.count_params():,} parameters on {keras.backend.backend()}")

# ---------------------------------------------------------------------------------------------
# Training: a new order in every epoch; except with --smoke, half of the images are flipped.

started, losses = time.time(), []
for epoch in range(args.epochs):
    order = rng.permutation(len(images))
    x, y = images[order], {"boxes": boxes[order], "labels": labels[order]}
    if not args.smoke:
        mirror = rng.random(len(x)) < 0.5
        x[mirror] = x[mirror, :, ::-1]
        # x1 y1 x2 y2 -> W - x2, y1, W - x1, y2
        corners = y["boxes"][mirror][..., [2, 1, 0, 3]] * [-1, 1, -1, 1]
        y["boxes"][mirror] = corners + [width, 0, width, 0]
    # `shuffle=False`: KerasHub turns the arrays into a dataset, for which Keras would warn.
    history = detector.fit(x, y, batch_size=args.batch_size, shuffle=False, verbose=0).history
    losses.append(history["loss"][0])
    if epoch % max(1, args.epochs // 15) == 0 or epoch == args.epochs - 1:
        print(
            f"epoch {epoch + 1}: loss {losses[-1]:.3f}, {time.time() - started:.0f} s", flush=True
        )

# ---------------------------------------------------------------------------------------------
# Result: COCO's average precision, also per class, and a picture of the boxes.

found = detector.predict(test_images, batch_size=args.batch_size, verbose=0)
found = {key: keras.ops.convert_to_numpy(x) for key, x in found.items()}
x1, y1, x2, y2 = np.moveaxis(test_boxes.astype(float), -1, 0)
truth = COCO()
truth.dataset = {
    "images": [{"id": index} for index in range(len(test_images))],
    "categories": [{"id": label, "name": name} for label, name in enumerate(class_names)],
    "annotations": [
        {
            "id": number + 1,
            "image_id": int(i),
            "category_id": int(test_labels[i, j]),
            "bbox": [x1[i, j], y1[i, j], x2[i, j] - x1[i, j], y2[i, j] - y1[i, j]],
            "area": (x2[i, j] - x1[i, j]) * (y2[i, j] - y1[i, j]),
            "iscrowd": 0,
        }
        for number, (i, j) in enumerate(np.argwhere(test_labels >= 0))
    ],
}
i, j = np.nonzero(found["confidence"] > 0)
corners = found["boxes"][i, j].astype(float)
# (detections, 7): image, x, y, width, height, confidence, class
detections = np.column_stack(
    [
        i,
        corners[:, :2],
        corners[:, 2:] - corners[:, :2],
        found["confidence"][i, j],
        found["labels"][i, j],
    ]
)
ap = ap50 = 0.0
each = dict.fromkeys(class_names, 0.0)
if len(detections):
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ap, ap50 = map(float, evaluation.stats[:2])
    # (IoU thresholds, recalls, classes, areas, most detections) -> one AP per class, -1: no box
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    each = {name: float(precision[:, :, label].mean()) for label, name in enumerate(class_names)}
print(f"{'training' if args.smoke else 'test'} images: mAP {ap:.3f}, AP50 {ap50:.3f}")
print(", ".join(f"{name} {value:.3f}" for name, value in each.items()))

shown, rows = min(8, len(test_images)), -(-min(8, len(test_images)) // 4)
figure = Figure(figsize=(16, 0.8 + 4 * height / width * rows), layout="constrained")
for index in range(shown):
    axis = figure.add_subplot(rows, 4, index + 1)
    axis.imshow(test_images[index])
    axis.axis("off")
    real = [(*pair, "--") for pair in zip(test_boxes[index], test_labels[index]) if pair[1] >= 0]
    sure = found["confidence"][index] >= 0.5
    seen = zip(found["boxes"][index][sure], found["labels"][index][sure], "-" * sure.sum())
    for (left, top, right, bottom), label, line in [*real, *seen]:
        color = "white" if line == "--" else colormaps["Set1"](int(label))
        box = Rectangle((left, top), right - left, bottom - top, edgecolor=color, linestyle=line)
        box.set_fill(False)
        axis.add_patch(box)
keys = [Patch(color=colormaps["Set1"](label), label=name) for label, name in enumerate(class_names)]
figure.legend(handles=keys, loc="upper right", ncols=len(keys))
figure.suptitle(f"AP50 {ap50:.2f}. Solid: found with 50% confidence and more, dashed: annotated")
figure.savefig(args.out / "boxes.png", dpi=80)

settings = {key: str(x) if isinstance(x, Path) else x for key, x in vars(args).items()}
report = dict(settings=settings, mAP=ap, AP50=ap50, classes=each, matched=float(matched))
report |= dict(loss=losses, seconds=time.time() - started, backend=keras.backend.backend())
(args.out / "results.json").write_text(json.dumps(report, indent=1) + "\n")
detector.save_to_preset(str(args.out / "detector"))
print(f"wrote boxes.png, results.json and the preset detector to {args.out}")
if args.smoke and ap50 <= 0.9:
    raise SystemExit(f"AP50 after overfitting eight images is {ap50:.3f}, not above 0.9")
