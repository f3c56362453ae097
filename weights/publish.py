"""Publishes a trained model so that `weights="<tag>"` finds it.

    python weights/publish.py model.keras S2MLPv2Small imagenet --folder lab_weights \\
        --dataset ImageNet-1k --license Apache-2.0 --top1 81.9 --top1-source "our own run"
    export KERAS_SHIFTMLP_WEIGHTS=lab_weights      # or the URL of that folder
    python -c "import keras_shiftmlp; keras_shiftmlp.S2MLPv2Small(weights='imagenet')"

The same as `keras-shiftmlp publish`. `--push-to-hub owner/repo` uploads a repository for this one
model to the Hugging Face Hub (needs huggingface_hub), and `--hub-folder` writes it to a folder.
"""

import sys

from keras_shiftmlp import cli

cli.main(["publish", *sys.argv[1:]])
