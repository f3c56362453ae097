"""What the ImageNet recipes of the papers share: 300 epochs at 224 pixels."""

IMAGENET = dict(
    epochs=300,
    batch_size=1024,
    final_learning_rate=1e-5,
    weight_decay=0.05,
    label_smoothing=0.1,
    crop_scale=(0.08, 1.0),
    crop_fraction=0.875,
    flip=True,
)
