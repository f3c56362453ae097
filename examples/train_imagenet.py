"""Trains any model of the package on ImageNet, on one GPU or on many machines.

    python examples/train_imagenet.py S2MLPv2Small --data imagenet --dtype mixed_bfloat16
    python examples/train_imagenet.py MSMLPTiny --data tfds:imagenet2012
    python examples/train_imagenet.py --smoke        # four steps on random pictures

`--data` is a folder with train/ and val/, each with one subfolder per class. Repeat the command
after an interruption to resume. `--distribute` uses several devices or machines;
docs/distributed.md has the commands. Writes to --out: log.csv, card.json and model.keras.
`--publish FOLDER` publishes the model as a tag; without it the command for that is printed.
"""

import argparse
import logging
import subprocess
import sys
from pathlib import Path

import distribution
import keras
import numpy as np

import keras_shiftmlp
from keras_shiftmlp import training


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="S2MLPv2Small", help="constructor")
    parser.add_argument("--data", help="folder with train/ and val/, or tfds:imagenet2012")
    parser.add_argument("--recipe", help="that of the model's paper by default")
    parser.add_argument("--epochs", type=int, help="the recipe's number by default")
    parser.add_argument("--batch-size", type=int, help="of all devices, the recipe's by default")
    parser.add_argument("--accumulate", type=int, default=1, help="batches per update")
    parser.add_argument("--drop-path", type=float, help="the recipe's by default")
    parser.add_argument("--image-size", type=int, help="side in pixels, the model's own by default")
    parser.add_argument("--dtype", help="such as mixed_bfloat16")
    parser.add_argument("--remat", action="store_true", help="recompute activations: less memory")
    parser.add_argument("--workers", type=int, default=16, help="threads that prepare batches")
    parser.add_argument("--worker-processes", type=int, default=0, help="prepare batches too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--distribute", choices=["none", "data", "model"], default="none")
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="JAX: address of process 0")
    parser.add_argument("--processes", type=int, default=1, help="JAX: number of processes")
    parser.add_argument("--process-id", type=int, default=0, help="JAX: index of this process")
    parser.add_argument("--out", type=Path, default=Path("outputs/train_imagenet"))
    parser.add_argument("--publish", type=Path, metavar="FOLDER", help="folder of checkpoints")
    parser.add_argument("--license", help="of the weights, for --publish")
    parser.add_argument("--smoke", action="store_true", help="two short epochs of a Nano model")
    args = parser.parse_args()
    if args.publish and not args.license:
        parser.error("--publish needs the --license of the weights, such as Apache-2.0")
    logging.basicConfig(format="%(message)s")
    logging.getLogger("keras_shiftmlp").setLevel(logging.INFO)
    keras.utils.set_random_seed(args.seed)
    scope, options = distribution.start(
        args.distribute, args.coordinator, args.processes, args.process_id
    )
    first = options.get("shard", (0, 1))[0] == 0

    # ---------------------------------------------------------------------------------------------
    # Data: the training images, and the 50,000 that are evaluated after each epoch.

    recipe_name = args.recipe or training.imagenet_recipe(args.model)
    recipe = training.recipe(recipe_name)
    if args.smoke:
        from PIL import Image

        # One brightness per class plus noise, in JPEG; each process generates its own.
        args.data = f"{args.out}/pictures_{options.get('shard', (0, 1))[0]}"
        rng = np.random.default_rng(0)
        for split, count in (("train", 8), ("val", 2)):
            for label in range(4):
                folder = Path(args.data, split, f"class_{label}")
                folder.mkdir(parents=True, exist_ok=True)
                for i in range(count):
                    noise = rng.normal(64 * (label + 0.5), 40, (40, 48, 3)).clip(0, 255)
                    Image.fromarray(noise.astype("uint8")).save(folder / f"{i}.jpg")
        args.model = "S2MLPv2Nano" if args.model == "S2MLPv2Small" else args.model
        recipe.update(epochs=2, batch_size=16, warmup_steps=2)
    elif not args.data:
        parser.error("--data is needed, or --smoke")
    if args.data.startswith("tfds:"):
        images = training.load_images(f"{args.data}/train")
        validation = training.load_images(f"{args.data}/validation", images.class_names)
    else:
        images = training.load_images(Path(args.data, "train"))
        validation = training.load_images(Path(args.data, "val"), images.class_names)
    recipe["epochs"] = args.epochs or recipe["epochs"]
    recipe["batch_size"] = args.batch_size or recipe["batch_size"]
    drop_path = recipe.pop("drop_path_rate", 0.0)
    if args.drop_path is not None:
        drop_path = args.drop_path
    print(f"{len(images):,} training and {len(validation):,} validation images, {recipe_name}")

    # ---------------------------------------------------------------------------------------------
    # Model and training, both in the scope of the strategy, which places variables and batches.

    size = args.image_size
    with scope:
        model = keras_shiftmlp.get_model(
            args.model,
            weights=None,
            classes=len(images.class_names),
            input_shape=size and (size, size, 3),
            drop_path_rate=drop_path,
            dtype=args.dtype,
        )
        if args.remat:
            model = keras_shiftmlp.rematerialize(model)
        print(f"{model.name}: {model.count_params():,} parameters")
        card = training.train(
            model,
            images,
            validation,
            out=args.out,
            seed=args.seed,
            accumulate=args.accumulate,
            workers=args.workers,
            worker_processes=args.worker_processes,
            **options,
            **recipe,
        )
        if first:
            model.save(args.out / "model.keras")

    # ---------------------------------------------------------------------------------------------
    # Result: the accuracy of the averaged weights, and a tag that everybody can load.

    if first:
        top1 = 100 * card["history"][-1]["val_top1"]
        print(f"validation top-1 {top1:.2f} % after {card['seconds'] / 3600:.2f} h")
        tool = Path(__file__).parents[1] / "weights" / "publish.py"
        command = [sys.executable, tool, args.out / "model.keras", args.model, "imagenet"]
        command += ["--folder", args.publish or "lab_weights", "--dataset", "ImageNet-1k"]
        command += ["--license", args.license or "Apache-2.0"]
        command += ["--top1", f"{top1:.2f}", "--top1-source", "own run"]
        if args.publish:
            subprocess.run(command, check=True)
        else:
            print("publish it:", subprocess.list2cmdline(map(str, command)))


# Processes that prepare batches import this file.
if __name__ == "__main__":
    main()
