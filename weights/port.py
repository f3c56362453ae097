"""Turns an authors' file into one of ours: a `.weights.h5` and a model card.

    python weights/port.py MixerB16 Mixer-B_16.npz --out mixer_b16.imagenet
    python weights/port.py MSMLPTiny msmlp_tiny_patch4_ckpt_epoch299.pth --out msmlp_tiny.imagenet

The source framework is not needed. Every tensor of the file is used and every weight of the model
filled, or it stops and names those that are left over.
"""

import argparse
import json
from pathlib import Path

import keras_shiftmlp
from keras_shiftmlp.checkpoints.cache import sha256_of

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("model", help="constructor, such as MixerB16")
parser.add_argument("file", help="path, URL or hf:// address of the original file, or a tag")
parser.add_argument("--out", required=True, help="path of the results, without ending")
parser.add_argument("--preprocessing", help="for files that are not those of a tag")
args = parser.parse_args()

model = keras_shiftmlp.get_model(args.model, weights=args.file, preprocessing=args.preprocessing)
weights = Path(f"{args.out}.weights.h5")
model.save_weights(weights)
facts = model.preprocessing.get_config()
card = {
    "model": args.model,
    "ported_from": args.file,
    "sha256": sha256_of(weights),
    "parameters": model.count_params(),
    "classes": model.output_shape[-1],
    "preprocessing": {key: facts[key] for key in ("mean", "std", "crop_fraction", "interpolation")},
    "image_size": facts["image_size"],
}
Path(f"{args.out}.json").write_text(json.dumps(card, indent=2) + "\n")
print(f"wrote {weights} ({weights.stat().st_size / 1e6:.1f} MB) and {args.out}.json")
