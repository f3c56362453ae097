"""The type checker must report each marked line, and no other line."""

import keras_shiftmlp
from keras_shiftmlp import MixerB16, S2MLPv2Smal  # error
from keras_shiftmlp.models import S2MLPv2

keras_shiftmlp.S2MLPv2Smal()  # error
MixerB16(clases=3)  # error
MixerB16(include_top="yes")  # error
MixerB16(classes="3")  # error
MixerB16(patch_sizes=(7, 2))  # error
S2MLPv2(dims=16)  # error
S2MLPv2(depths=("a", "b"))  # error
keras_shiftmlp.S2MLPv2Small(final_norm="no")  # error
keras_shiftmlp.S2MLPv2Small(False, None, None, None, None, 3, "softmax", True, "name", 0.1)  # error
keras_shiftmlp.list_model()  # error
keras_shiftmlp.list_weights(3)  # error
print(keras_shiftmlp.training.trian)  # error
