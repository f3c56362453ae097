"""Downloads every published file once and writes its sha256 and size into the manifest.

    python weights/hashes.py
    python weights/hashes.py --imagenet imagenet/val     # one subfolder per class, named by its id

Needs a network, and the disk for all files. Each file is loaded into its model, so a file of
another layout or network is found; nothing in it is executed. What fails is printed at the end and
keeps its entry. A file that was done before is checked against its sha256.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import keras_shiftmlp
from keras_shiftmlp.checkpoints import containers, manifest, sources
from keras_shiftmlp.checkpoints.find import published_file
from keras_shiftmlp.downloads.cache import sha256_of


def load(entry: dict, source: dict):
    """The path of one file of an entry, and the model with its weights."""
    name = f"{entry['model']}.{entry['tag']}.{source['url'].split('/')[-1]}"
    path = published_file(source, name)
    model = keras_shiftmlp.get_model(
        entry["model"], weights=path, preprocessing=entry.get("preprocessing")
    )
    if model.output_shape[-1] != entry["classes"]:
        raise ValueError(f"{entry['classes']} classes were expected, {model.output_shape[-1]} came")
    if "source" in entry:
        layout = sources.recognise(containers.read(path), source["url"]).name
        if layout != entry["source"]:
            raise ValueError(f"the layout {entry['source']} was expected, {layout} came")
    return path, model


def measure(model, entry: dict, folder: Path) -> dict | None:
    """Top-1 in percent under the published transform; `None` if the folder has other classes."""
    ids = entry.get("class_names")
    if isinstance(ids, str):
        ids = [wordnet for wordnet, _ in manifest.class_names(ids)]
    if ids is None or sorted(ids) != sorted(x.name for x in folder.iterdir() if x.is_dir()):
        return None
    transform = keras_shiftmlp.eval_transform(model)
    right = images = 0
    for label, name in enumerate(ids):
        pictures = sorted(path for path in (folder / name).iterdir() if path.is_file())
        for first in range(0, len(pictures), 64):
            batch = np.stack([transform(path) for path in pictures[first : first + 64]])
            right += int((model.predict_on_batch(batch).argmax(-1) == label).sum())
            images += len(batch)
    return {"top1": round(100 * right / images, 3), "images": images}


parser = argparse.ArgumentParser(
    description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--manifest", type=Path, nargs="+", default=sorted(manifest.PUBLISHED.glob("*.json")),
    help="the files to complete",
)  # fmt: skip
parser.add_argument("--imagenet", type=Path, help="folder of validation images, to measure top-1")
args = parser.parse_args()

failures = []
for file in args.manifest:
    entries = json.loads(file.read_text("utf-8"))
    for entry in entries:
        for source in entry["files"]:
            try:
                path, model = load(entry, source)
            except (OSError, ValueError, ImportError) as error:
                failures.append(f"{entry['model']} {entry['tag']}, {source['url']}: {error}")
                continue
            source |= {"sha256": sha256_of(path), "size": path.stat().st_size}
            source.pop("sha256_prefix", None)
            print(f"{entry['model']} {entry['tag']}: {source['url']} {source['sha256']}")
            if args.imagenet and "measured" not in entry:
                measured = measure(model, entry, args.imagenet)
                entry |= {} if measured is None else {"measured": measured}
        # After each entry, so that an interrupted run keeps its results.
        file.write_text(json.dumps(entries, indent=2) + "\n", "utf-8")
if failures:
    raise SystemExit("\n".join(["These failed:", *failures]))
