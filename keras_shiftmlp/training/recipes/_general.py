"""Recipes for any family."""

RECIPES = {
    # The budget of the comparison of the four Nano models: small images, a short run on two cores.
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
    # Fine-tunes a checkpoint on a few thousand images.
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
