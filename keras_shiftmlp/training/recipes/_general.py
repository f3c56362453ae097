"""Recipes for any family."""

RECIPES = {
    # The comparison budget of the four Nano models: small pictures, a short run on two CPU cores.
    "cifar10_nano": dict(
        epochs=15,
        batch_size=128,
        learning_rate=2e-3,
        final_learning_rate=1e-5,
        warmup_epochs=1,
        weight_decay=0.05,
        clip_norm=1.0,
        label_smoothing=0.1,
        ema_momentum=0.998,
        crop_padding=4,
        flip=True,
    ),
    # From a checkpoint to a data set of a few thousand images.
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
