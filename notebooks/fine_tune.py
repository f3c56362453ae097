# %% [markdown]
# # Fine-tune a vision MLP on your photos
#
# A network that knows the ten classes of CIFAR-10 learns classes of yours. `FOLDER` has one
# subfolder of photos per class. If there is no such folder, the notebook takes the scanned digits
# of scikit-learn, so that you can run it as it is. A CPU is enough.

# %%
from pathlib import Path

import keras
import numpy as np

import keras_shiftmlp
from keras_shiftmlp import training, visualization

FOLDER = Path("my_photos")
SIDE = 32  # of the images in pixels; 64 shows more of a photo and takes four times as long
EPOCHS = 8

# %% [markdown]
# ## The images
#
# Four fifths are for training. The other images are for testing; no step of the training sees them.

# %%
if FOLDER.is_dir():
    images = training.load_images(FOLDER)
else:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # (N, 8, 8) grey levels of 0..16 -> (N, 8, 8, 3) pixels of 0..255
    pixels = np.repeat((digits.images * 255 / 16).astype("uint8")[..., None], 3, axis=-1)
    images = training.load_images((pixels, digits.target)).split(600)[1]
images, test = (part.resized(SIDE) for part in images.split(0.2, seed=0))
print(f"{len(images)} images for training, {len(test)} for testing")
print("classes:", *images.class_names)

# %% [markdown]
# ## The network
#
# `classes` differs from that of the checkpoint: the body is loaded, and the head starts from random
# weights.

# %%
keras.utils.set_random_seed(0)
model = keras_shiftmlp.S2MLPv2Nano(
    weights="cifar10", classes=len(images.class_names), input_shape=(SIDE, SIDE, 3)
)
print(f"{model.count_params():,} parameters")

# %% [markdown]
# ## Training
#
# The recipe gives earlier blocks smaller learning rates than later ones.

# %%
recipe = training.recipe("finetune", epochs=EPOCHS, batch_size=16)
card = training.train(model, images, test, out="runs/fine_tune", verbose=0, **recipe)
for row in card["history"]:
    print(f"epoch {row['epoch']}: loss {row['loss']:.2f}, test accuracy {row['val_top1']:.1%}")

# %%
visualization.plot_curves({"fine-tuned": card["history"]})

# %% [markdown]
# ## Results on the test images

# %%
pixels = np.stack([np.asarray(test[i]) for i in range(len(test))])
scores = model.predict(pixels, verbose=0)
visualization.plot_confusion(test.labels, scores.argmax(1), test.class_names)

# %%
visualization.plot_predictions(pixels[:16], test.labels[:16], scores[:16], test.class_names)

# %% [markdown]
# ## Save, and use the file
#
# The file holds the names of the classes and the preparation of the images. In another process,
# `import keras_shiftmlp` comes before `load_model`.

# %%
model.save("fine_tuned.keras")
loaded = keras.models.load_model("fine_tuned.keras")
image = keras_shiftmlp.eval_transform(loaded)(test[0])
scores = loaded.predict(image[None], verbose=0)
keras_shiftmlp.decode_predictions(scores, top=3, class_names=loaded.class_names)
