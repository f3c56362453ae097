"""Publishes a trained model so that `weights="<tag>"` finds it: file, card, hash, manifest entry.

    python weights/publish.py model.keras S2MLPv2Small imagenet --folder lab_weights \\
        --dataset ImageNet-1k --license Apache-2.0 --top1 81.9 --top1-source "our own run"
    export KERAS_SHIFTMLP_WEIGHTS=lab_weights      # or the URL of that folder, or hf://owner/repo
    python -c "import keras_shiftmlp; keras_shiftmlp.S2MLPv2Small(weights='imagenet')"

`--push-to-hub owner/repo` uploads the folder to the Hugging Face Hub (needs huggingface_hub).
"""

import argparse
import json
from pathlib import Path

import keras

import keras_shiftmlp
from keras_shiftmlp.checkpoints.cache import sha256_of


def read_cards(paths):
    cards = [json.loads(path.read_text()) for path in paths]
    return [{key: card[key] for key in card if key not in ("model", "classes")} for card in cards]


parser = argparse.ArgumentParser(
    description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("file", type=Path, help="the trained model, a .keras file")
parser.add_argument("model", help="constructor that builds it, such as S2MLPv2Small")
parser.add_argument("tag", help="such as imagenet")
parser.add_argument("--folder", type=Path, required=True, help="where the checkpoints lie")
parser.add_argument("--dataset", required=True)
parser.add_argument("--license", required=True, help="of the weights, such as Apache-2.0")
parser.add_argument("--top1", type=float, help="accuracy in percent, if it was measured")
parser.add_argument("--top1-source", help="who measured it, on what")
parser.add_argument(
    "--card", type=Path, nargs="+", default=[],
    help="card.json of the training run, or of several that went on from one another, in order",
)  # fmt: skip
parser.add_argument(
    "--compared", type=Path, nargs="+", default=[],
    help="cards of runs that stand for this model in a comparison, where the file came another "
    "way; the last one with the accuracy on test images as `test`",
)  # fmt: skip
parser.add_argument("--push-to-hub", metavar="OWNER/REPO")
args = parser.parse_args()

# Compiled, it would save the optimizer along.
model = keras.models.load_model(args.file, compile=False)
args.folder.mkdir(parents=True, exist_ok=True)
name = f"{args.model}.{args.tag}.weights.h5"
model.save_weights(args.folder / name)
facts = model.preprocessing.get_config()
# Mixer comes in two flavours of GELU, and the weights alone don't tell.
token_layers = [layer for layer in model.layers if layer.name == "block_0_token_fc1"]
flavours = {layer.activation.__name__: layer for layer in token_layers}
gelu = {"gelu": "tanh" if "gelu_tanh" in flavours else "erf"} if flavours else {}
entry = {
    "model": args.model,
    "tag": args.tag,
    "file": name,
    "sha256": sha256_of(args.folder / name),
    "dataset": args.dataset,
    "license": args.license,
    "top1": args.top1,
    "top1_source": args.top1_source,
    "size": (args.folder / name).stat().st_size,
    "params": model.count_params(),
    "classes": model.output_shape[-1],
    "class_names": None if model.class_names is None else list(model.class_names),
    "hyperparameters": gelu,
    "preprocessing": {key: facts[key] for key in ("mean", "std", "crop_fraction", "interpolation")},
    "image_size": facts["image_size"],
}
if args.card:
    *entry["earlier_runs"], entry["training"] = read_cards(args.card)
if args.compared:
    entry["compared_runs"] = read_cards(args.compared)
# The file must be what the constructor builds, or nobody could load it.
keras_shiftmlp.get_model(args.model, weights=args.folder / name)

listed = args.folder / "manifest.json"
entries = json.loads(listed.read_text()) if listed.exists() else []
entries = [old for old in entries if (old["model"], old["tag"]) != (args.model, args.tag)]
listed.write_text(json.dumps([*entries, entry], indent=2) + "\n")
(args.folder / f"{args.model}.{args.tag}.json").write_text(json.dumps(entry, indent=2) + "\n")
print(f"wrote {args.folder / name}, its card and its entry in {listed}")

if args.push_to_hub:
    try:
        import huggingface_hub
    except ImportError as error:
        raise SystemExit(
            "--push-to-hub needs huggingface_hub: pip install 'keras_shiftmlp[hf]'"
        ) from error
    huggingface_hub.create_repo(args.push_to_hub, exist_ok=True)
    huggingface_hub.upload_folder(repo_id=args.push_to_hub, folder_path=args.folder)
    print(f"pushed to https://huggingface.co/{args.push_to_hub}")
