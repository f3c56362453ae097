"""Training recipes as data: keyword arguments of `train`, and of the model (`drop_path_rate`)."""

# What the ImageNet recipes of the papers share: 300 epochs at 224 pixels.
_IMAGENET = dict(
    epochs=300,
    batch_size=1024,
    final_learning_rate=1e-5,
    weight_decay=0.05,
    label_smoothing=0.1,
    crop_scale=(0.08, 1.0),
    crop_fraction=0.875,
    flip=True,
)
_MS_MLP = dict(
    _IMAGENET,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    warmup_epochs=20,
    clip_norm=5.0,
    randaugment=(2, 0.9),
    mixup=0.8,
    cutmix=1.0,
    erase=0.25,
)

RECIPES = {
    # Tolstikhin et al., 2021, Table 4, the rows of ImageNet-1k. Linear decay; RandAugment's
    # magnitude 15 is out of 30. Decay is decoupled from the learning rate in the authors' code.
    "mixer_imagenet": dict(
        _IMAGENET,
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
    # Yu et al., 2021, section 4.1, "the DeiT strategy"; the paper gives no drop path rate and no
    # length of the warm-up, these are DeiT's.
    "s2_mlp_imagenet": dict(
        _IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=5,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.1,
    ),
    # Yu et al., 2021, section 5. Medium uses a batch of 744.
    "s2_mlp_v2_imagenet": dict(
        _IMAGENET,
        learning_rate=2e-3,
        warmup_epochs=10,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.9999,
        drop_path_rate=0.1,
    ),
    # Zheng et al., 2022: paper and released code differ in drop path (Tiny; 0.3 and 0.4 for
    # Small, 0.5 for Base) and in where the warm-up starts.
    "ms_mlp_imagenet_paper": dict(_MS_MLP, warmup_learning_rate=1e-5, drop_path_rate=0.2),
    "ms_mlp_imagenet_code": dict(_MS_MLP, warmup_learning_rate=1e-6, drop_path_rate=0.1),
    # Chen et al., 2021, section 4.1 and the released code, DeiT's settings. The code also repeats
    # each image three times per batch, which `train` does not.
    "cycle_mlp_imagenet": dict(
        _IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=5,
        warmup_learning_rate=1e-6,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.99996,
        drop_path_rate=0.1,
    ),
    # Hou et al., 2021, section 4.1 and the released code, for Small. Medium has a drop path of 0.2,
    # Large 0.3.
    "vip_imagenet": dict(
        _IMAGENET,
        batch_size=2048,
        learning_rate=2e-3,
        warmup_epochs=20,
        warmup_learning_rate=1e-6,
        crop_fraction=0.9,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.1,
    ),
    # The comparison budget of the four Nano models: small pictures, a short run on two CPU cores.
    "cifar10_nano": dict(
        epochs=15,
        batch_size=128,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
        warmup_epochs=1,
        weight_decay=0.05,
        clip_norm=1.0,
        label_smoothing=0.1,
        ema_momentum=0.998,
        crop_padding=4,
        flip=True,
    ),
    # From a checkpoint to a few thousand pictures of one's own.
    "finetune": dict(
        epochs=15,
        batch_size=64,
        learning_rate=5e-4,
        final_learning_rate=1e-6,
        warmup_epochs=1,
        weight_decay=0.05,
        clip_norm=1.0,
        label_smoothing=0.1,
        ema_momentum=0.99,
        layer_decay=0.8,
        crop_scale=(0.5, 1.0),
        flip=True,
    ),
}


def recipe(name: str, **changes) -> dict:
    """The recipe called `name` with some of its values replaced.

    Raises:
        ValueError: For an unknown name.

    Example:

    >>> recipe("cifar10_nano", epochs=2)["epochs"]
    2
    """
    if name not in RECIPES:
        raise ValueError(
            f"`recipe` must be one of {', '.join(map(repr, RECIPES))}. Received: `recipe={name!r}`"
        )
    return {**RECIPES[name], **changes}
