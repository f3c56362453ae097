"""Recipes against the papers, and one short run of each."""

import json

import keras
import numpy as np
import pytest
from cases import once, once_on_torch
from families import RECIPES

from keras_shiftmlp import training
from keras_shiftmlp.training import arguments

pytest.importorskip("grain")

# What DeiT (Touvron et al., 2021, Table 9) gives, whose augmentation S2-MLP and S2-MLPv2 name:
# RandAugment 9/0.5 (magnitude 9 of 10, two operations), MixUp 0.8, CutMix 1.0, erasing 0.25.
DEIT = dict(randaugment=(2, 0.9), mixup=0.8, cutmix=1.0, erase=0.25)

# Of the papers, by the recipe's name. All train for 300 epochs at 224 pixels.
PUBLISHED = {
    # Tolstikhin et al., 2021, section 3 and Table 4 (ImageNet, B and L): Adam with linear warm-up
    # over 10k steps and linear decay; RandAugment with 2 layers of magnitude 15 out of 30.
    "mixer_imagenet": dict(
        batch_size=4096,
        learning_rate=1e-3,
        schedule="linear",
        warmup_steps=10_000,
        weight_decay=0.1,
        clip_norm=1.0,
        label_smoothing=0.0,
        randaugment=(2, 0.5),
        mixup=0.5,
        drop_path_rate=0.1,
    ),
    # Yu et al., 2021 (S2-MLP), section 4.1; from DeiT: warm-up, stochastic depth, smoothing 0.1.
    "s2_mlp_imagenet": dict(
        batch_size=1024,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
        warmup_epochs=5,
        weight_decay=0.05,
        label_smoothing=0.1,
        drop_path_rate=0.1,
        **DEIT,
    ),
    # Yu et al., 2021 (S2-MLPv2), section 5, Small/7.
    "s2_mlp_v2_imagenet": dict(
        batch_size=1024,
        learning_rate=2e-3,
        final_learning_rate=1e-5,
        warmup_epochs=10,
        weight_decay=0.05,
        label_smoothing=0.1,
        ema_momentum=0.9999,
        drop_path_rate=0.1,
        **DEIT,
    ),
    # Zheng et al., 2022, section 4.1 and appendix, Tiny.
    "ms_mlp_imagenet_paper": dict(
        batch_size=1024,
        learning_rate=1e-3,
        warmup_learning_rate=1e-5,
        final_learning_rate=1e-5,
        warmup_epochs=20,
        weight_decay=0.05,
        clip_norm=5.0,
        label_smoothing=0.1,
        drop_path_rate=0.2,
        **DEIT,
    ),
    # The released code: config.py and the Tiny configuration; rates per 512 images of a batch are
    # 5e-4, 5e-7 (warm-up) and 5e-6 (least).
    "ms_mlp_imagenet_code": dict(
        batch_size=1024,
        learning_rate=5e-4 * 1024 / 512,
        warmup_learning_rate=5e-7 * 1024 / 512,
        final_learning_rate=5e-6 * 1024 / 512,
        warmup_epochs=20,
        weight_decay=0.05,
        clip_norm=5.0,
        label_smoothing=0.1,
        drop_path_rate=0.1,
        **DEIT,
    ),
    # Chen et al., 2021 (CycleMLP): the defaults of the released main.py, DeiT's, whose rate is 5e-4
    # per 512 images of a batch.
    "cycle_mlp_imagenet": dict(
        batch_size=1024,
        learning_rate=5e-4 * 1024 / 512,
        warmup_learning_rate=1e-6,
        warmup_epochs=5,
        weight_decay=0.05,
        label_smoothing=0.1,
        ema_momentum=0.99996,
        drop_path_rate=0.1,
        **DEIT,
    ),
    # Hou et al., 2022 (Vision Permutator): the command in the released README, Small.
    "vip_imagenet": dict(
        batch_size=2048,
        learning_rate=1e-3 * 2048 / 1024,
        warmup_learning_rate=1e-6,
        warmup_epochs=20,
        weight_decay=0.05,
        label_smoothing=0.1,
        crop_fraction=0.9,
        drop_path_rate=0.1,
        **DEIT,
    ),
    # Rao et al., 2021 (GFNet): the defaults of the released main_gfnet.py and the command in the
    # README, 8 x 128 images; no erasing.
    "gfnet_imagenet": dict(
        batch_size=8 * 128,
        learning_rate=5e-4 * 1024 / 512,
        warmup_learning_rate=1e-6,
        warmup_epochs=5,
        weight_decay=0.05,
        clip_norm=1.0,
        label_smoothing=0.1,
        drop_path_rate=0.0,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
    ),
    "gfnet_h_imagenet": dict(
        batch_size=8 * 128,
        learning_rate=5e-4 * 1024 / 512,
        warmup_learning_rate=1e-6,
        warmup_epochs=5,
        weight_decay=0.05,
        clip_norm=1.0,
        label_smoothing=0.1,
        drop_path_rate=0.1,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
    ),
}
PUBLISHED |= RECIPES
# The common run of the four Nano models, and the fine-tuning of a checkpoint.
SHORT = dict(
    epochs=15, warmup_epochs=1, weight_decay=0.05, clip_norm=1.0, label_smoothing=0.1, flip=True
)
GENERAL = {
    "cifar10_nano": dict(
        SHORT,
        batch_size=128,
        learning_rate=2e-3,
        final_learning_rate=1e-5,
        ema_momentum=0.998,
        crop_padding=4,
    ),
    "finetune": dict(
        SHORT,
        batch_size=64,
        learning_rate=5e-4,
        final_learning_rate=1e-6,
        ema_momentum=0.99,
        layer_decay=0.8,
        crop_scale=(0.5, 1.0),
    ),
}
# What is not in the table above has the value of a plain run.
SHARED = dict(epochs=300, crop_scale=(0.08, 1.0), crop_fraction=0.875, flip=True)
PLAIN = dict(
    schedule="cosine",
    warmup_learning_rate=0.0,
    final_learning_rate=1e-5,
    clip_norm=None,
    ema_momentum=None,
    accumulate=1,
    layer_decay=1.0,
    cutmix=0.0,
    erase=0.0,
    crop_padding=0,
)


@once
@pytest.mark.parametrize("name", PUBLISHED | GENERAL)
def test_recipes_are_those_of_the_papers(name):
    recipe = training.recipe(name)
    expected = GENERAL[name] if name in GENERAL else {**SHARED, **PUBLISHED[name]}
    assert {key: recipe.get(key) for key in expected} == expected
    rest = {key: value for key, value in recipe.items() if key not in expected}
    assert rest == {key: PLAIN[key] for key in rest}


INF, NAN = float("inf"), float("nan")
# Valid values, and invalid ones next to them.
FROM_0 = [0, 1], [-1, 0.5, True, "1"]
FROM_1 = [1, 2], [0, -1, 1.5, True]
NOT_NEGATIVE = [0, 0.0, 1e9], [-1e-9, -9, INF, NAN, True]
POSITIVE = [1e-9, 1e9], [0, -1, INF, NAN]
SHARE = [0, 0.5, 1], [-1e-9, -9, 1 + 1e-9, 9, NAN, False]
BELOW_1 = [0, 1 - 1e-9], [-1e-9, -9, 1, 9, NAN]
ABOVE_0 = [1e-9, 1], [0, -9, 1 + 1e-9, 9, NAN]
BORDERS = {
    **dict.fromkeys(("epochs", "batch_size", "accumulate"), FROM_1),
    **dict.fromkeys(("seed", "workers", "worker_processes", "crop_padding"), FROM_0),
    **dict.fromkeys(("warmup_epochs", "warmup_learning_rate", "final_learning_rate"), NOT_NEGATIVE),
    **dict.fromkeys(("mixup", "cutmix", "erase"), SHARE),
    "weight_decay": NOT_NEGATIVE,
    "learning_rate": POSITIVE,
    "label_smoothing": BELOW_1,
    "layer_decay": ABOVE_0,
    "crop_fraction": ABOVE_0,
    "warmup_steps": ([None, *FROM_0[0]], FROM_0[1]),
    "early_stopping": ([None, *FROM_1[0]], FROM_1[1]),
    "clip_norm": ([None, *POSITIVE[0]], POSITIVE[1]),
    "ema_momentum": ([None, *BELOW_1[0]], BELOW_1[1]),
    "schedule": (["cosine", "linear"], ["step", None]),
    "class_weights": ([None, "balanced"], ["equal", True]),
    "jit_compile": ([True, False, "auto"], ["yes", None]),
    "flip": ([True, False], [None, "no"]),
    "shard": ([(0, 1), [1, 2]], [(1, 1), (2, 1), (-1, 1), (0, 0), (0, 1, 2), None]),
    "crop_scale": ([None, (0.1, 1), (1, 1)], [(0, 1), (0.6, 0.5), (0.5, 1.1), (1,), 1]),
    "randaugment": ([None, (1, 0), [2, 1]], [(0, 0.5), (2, 1.1), (2, -0.1), (1.5, 1), 2]),
}


@once
def test_ranges_have_their_borders():
    assert arguments.RANGES.keys() == BORDERS.keys()
    for name, (valid, invalid) in BORDERS.items():
        for value in valid:
            arguments.check_arguments(**{name: value})
        for value in invalid:
            with pytest.raises(ValueError, match=f"`{name}` must be"):
                arguments.check_arguments(**{name: value})


@once
def test_every_recipe_is_in_a_table():
    assert training.RECIPES.keys() == {**PUBLISHED, **GENERAL}.keys()


@once
def test_every_family_has_its_recipe():
    for name, recipe in training.FAMILY_RECIPES.items():
        assert training.imagenet_recipe(name) == recipe
    assert training.imagenet_recipe("S2MLPWide") == "s2_mlp_imagenet"
    assert training.imagenet_recipe("S2MLPv2Small") == "s2_mlp_v2_imagenet"
    assert training.imagenet_recipe("ms-mlp-tiny") == "ms_mlp_imagenet_paper"
    with pytest.raises(ValueError, match="name='resnet'"):
        training.imagenet_recipe("resnet")


@once
def test_changes_leave_the_recipes_alone():
    changed = training.recipe("finetune", epochs=2, mixup=0.5)
    assert changed == {**training.RECIPES["finetune"], "epochs": 2, "mixup": 0.5}
    assert training.RECIPES["finetune"]["epochs"] == 15
    with pytest.raises(ValueError, match="recipe='resnet'"):
        training.recipe("resnet")


RUNS = {
    "MixerNano": "mixer_imagenet",
    "S2MLPNano": "s2_mlp_imagenet",
    "S2MLPv2Nano": "s2_mlp_v2_imagenet",
    "MSMLPNano": "ms_mlp_imagenet_paper",
    "MSMLPNano again": "ms_mlp_imagenet_code",
}


# PyTorch warns once about a line of Keras's `Equalization`.
@pytest.mark.filterwarnings("ignore:(?s).*Tensor.T is deprecated on 0-D")
@once_on_torch
@pytest.mark.parametrize("run", RUNS)
def test_every_imagenet_recipe_runs(run, smoke, tmp_path):
    name, recipe = run.partition(" ")[0], RUNS[run]
    arguments = [name, "--epochs", "1", "--workers", "2"]
    arguments += ["--recipe", recipe] if "again" in run else []
    printed = smoke("train_imagenet.py", *arguments)
    assert f"32 training and 8 validation images, {recipe}" in printed
    card = json.loads((tmp_path / "card.json").read_text())
    values = {**training.recipe(recipe), "epochs": 1, "batch_size": 16, "warmup_steps": 2}
    model = keras.models.load_model(tmp_path / "model.keras")
    rates = [layer.rate for layer in model.layers if hasattr(layer, "rate")]
    assert max(rates) == pytest.approx(values.pop("drop_path_rate"))
    values.pop("warmup_epochs", None)  # `warmup_steps` replaces it
    if "ema_momentum" in values:
        values["ema_momentum"] = 0.0  # of two updates: the last weights
    assert {key: card[key] for key in values} == json.loads(json.dumps(values))
    assert len(card["history"]) == 1 and np.isfinite(card["history"][0]["val_loss"])
