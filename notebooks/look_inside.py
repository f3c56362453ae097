# %% [markdown]
# # Look inside a vision MLP
#
# A vision MLP has no attention and hardly any convolution. What does it do instead? This notebook
# opens the shipped networks, which know the ten classes of CIFAR-10. A CPU is enough. `PHOTO` is a
# photo of yours; without it, the notebook takes a flower, which is none of these classes.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import keras_shiftmlp
from keras_shiftmlp import visualization

PHOTO = Path("photo.jpg")
model = keras_shiftmlp.S2MLPv2Nano(weights="cifar10")
transform = keras_shiftmlp.eval_transform(model)
photo = transform(PHOTO if PHOTO.is_file() else load_sample_image("flower.jpg"))  # (32, 32, 3)
scores = model.predict(photo[None], verbose=0)
print(keras_shiftmlp.decode_predictions(scores, top=3, class_names=model.class_names))
_ = plt.imshow(photo)

# %% [markdown]
# ## A shift
#
# S2-MLP splits the channels into groups and moves each by one position. Nothing is multiplied and
# nothing is learned. A frame marks a value that stayed at the border.

# %%
visualization.plot_spatial_shift("a")

# %% [markdown]
# ## Which branch does the image choose?
#
# A block of S2-MLPv2 has three branches: shift 1, shift 2 and no shift. Split attention weighs them
# for each channel and each image.

# %%
visualization.plot_split_attention(model, photo)

# %% [markdown]
# ## What has MLP-Mixer learned about positions?
#
# Its token-mixing kernel has one row per position. Each square is one hidden unit: the weight that
# it gives to each position. Nobody told the network that neighbours are neighbours.

# %%
mixer = keras_shiftmlp.MixerNano(weights="cifar10")
visualization.plot_token_mixing(mixer)

# %% [markdown]
# ## What can one position see?
#
# The gradient of one position of a map with respect to the pixels, for the first and the last
# block. MLP-Mixer sees everything at once. S2-MLPv2 sees one step further with each block, and a
# faint sum over the whole image.

# %%
visualization.plot_receptive_fields({"MLP-Mixer": mixer, "S2-MLPv2": model}, [0, -1])

# %% [markdown]
# ## Where is the evidence?
#
# Grad-CAM weighs the maps of a layer by their influence on the score of a class.

# %%
visualization.plot_grad_cam(model, photo)
