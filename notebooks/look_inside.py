# %% [markdown]
# # Look inside a vision MLP
#
# A vision MLP has no attention and hardly any convolution. What does it do instead? This notebook
# opens two shipped networks: an S2-MLPv2, which shifts, and an MLP-Mixer, which learns a matrix over
# the positions. A CPU is enough.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_shiftmlp
from keras_shiftmlp.layers import SpatialShift

# %% [markdown]
# ## A shift
#
# `SpatialShift` splits the channels into groups and moves each by one position. Nothing is
# multiplied and nothing is learned. Here is one picture per group; the border line keeps its values.

# %%
ramp = np.add.outer(np.arange(6.0), 6 * np.arange(6.0))  # a number for each position
maps = np.repeat(ramp[None, :, :, None], 4, axis=-1)  # (1, 6, 6, 4): the same in four channels
shifted = keras.ops.convert_to_numpy(SpatialShift("a")(maps))
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6))
axes[0].imshow(ramp, cmap="cividis")
axes[0].set_title("before")
for group, name in enumerate(("down", "up", "right", "left")):
    axes[group + 1].imshow(shifted[0, :, :, group], cmap="cividis", vmin=0, vmax=ramp.max())
    axes[group + 1].set_title(f"group {group + 1}: {name}")
for axis in axes:
    axis.set(xticks=[], yticks=[])

# %% [markdown]
# ## Which branch does the image choose?
#
# A block of S2-MLPv2 has three branches: shift 1, shift 2 and no shift. Split attention weighs them
# for each channel. These are the weights for one image, averaged over the channels.

# %%
model = keras_shiftmlp.S2MLPv2Nano(weights="cifar10")
rng = np.random.default_rng(0)
image = keras.ops.image.resize(rng.uniform(0, 255, (1, 6, 6, 3)), model.image_size)
image = keras.ops.convert_to_numpy(image).clip(0, 255)


def branch_weights(layer, x):
    """The softmax over the three branches, `(3, C)`, of one `S2Attention` on its input `x`."""
    branches = keras.ops.split(layer.expand(x), 3, axis=-1)
    branches = [layer.shift1(branches[0]), layer.shift2(branches[1]), branches[2]]
    attention = layer.attention
    reduce = keras.ops.sum if attention.pooling == "sum" else keras.ops.mean
    pooled = reduce(branches[0] + branches[1] + branches[2], axis=(1, 2))
    logits = attention.fc2(attention.fc1(pooled))
    logits = keras.ops.reshape(logits, (3, -1))
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=0))


layers = [x for x in model.layers if type(x).__name__ == "S2Attention"]
inputs = keras.Model(model.input, [layer.input for layer in layers])(image)
weights = np.stack([branch_weights(*pair).mean(1) for pair in zip(layers, inputs)])
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
bottom = np.zeros(len(layers))
for branch, name in enumerate(("shift 1", "shift 2", "no shift")):
    axis.bar(range(len(layers)), weights[:, branch], bottom=bottom, label=name)
    bottom += weights[:, branch]
axis.set(xlabel="block", ylabel="weight of the branch")
figure.legend(loc="outside right upper")

# %% [markdown]
# ## What has MLP-Mixer learned about positions?
#
# Its token-mixing kernel has one row per position. Each picture is one hidden unit: the weight that
# it gives to each position. Nobody told the network that neighbours are neighbours.

# %%
mixer = keras_shiftmlp.MixerNano(weights="cifar10")
kernel = keras.ops.convert_to_numpy(mixer.get_layer("block_0_token_fc1").kernel)
side = round(kernel.shape[0] ** 0.5)
strongest = np.abs(kernel).max(0).argsort()[::-1][:16]
figure, axes = plt.subplots(2, 8, figsize=(11, 3))
for axis, unit in zip(axes.flat, strongest):
    limit = np.abs(kernel[:, unit]).max()
    axis.imshow(kernel[:, unit].reshape(side, side), cmap="PuOr", vmin=-limit, vmax=limit)
    axis.set(xticks=[], yticks=[])

# %% [markdown]
# ## What can one position see?
#
# The gradient of one position of the last map with respect to the pixels shows which pixels move it.
# Without an autograd of our own, we change one pixel after the other and look. Dark pixels have no
# influence on the marked position.


# %%
def influence(network, image):
    """How much each pixel moves the middle of the last map, `(H, W)`."""
    last = network.layers[[x.name for x in network.layers].index("pool")].input
    body = keras.Model(network.input, last)
    height, width = image.shape[1:3]
    changed = np.repeat(image, height * width, axis=0)
    rows, columns = np.indices((height, width)).reshape(2, -1)
    changed[np.arange(height * width), rows, columns] += 32
    maps = body.predict(np.concatenate([image, changed]), batch_size=128, verbose=0)
    middle = maps[:, maps.shape[1] // 2, maps.shape[2] // 2]
    return np.abs(middle[1:] - middle[:1]).sum(-1).reshape(height, width)


figure, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for axis, network in zip(axes, (model, mixer)):
    seen = influence(network, image)
    axis.imshow(np.log10(seen / seen.max() + 1e-4), cmap="cividis")
    axis.set(title=network.name, xticks=[], yticks=[])
