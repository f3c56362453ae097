"""The type checker must report each marked line, and no other line."""

import keras_shiftmlp
from keras_shiftmlp import MixerB16, S2MLPv2Smal  # error
from keras_shiftmlp import export, training
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
MixerB16(weights=3)  # error
MixerB16(pooling="average")  # error
MixerB16(input_shape=(224, 224))  # error
MixerB16(gelu="relu")  # error
S2MLPv2(split_attention_pooling="max")  # error
keras_shiftmlp.get_model(3)  # error
keras_shiftmlp.enable_lora(MixerB16(), rank="8")  # error
keras_shiftmlp.preprocess_input([], 3)  # error
keras_shiftmlp.decode_predictions([], top="5")  # error

model, images = MixerB16(), training.load_images("photos")
export.write(model, "mixer.onnx", "onyx")  # error
export.onnx(model, "mixer.onnx", tolerence=1e-3)  # error
export.onnx(model, "mixer.onnx", size=(224, 224, 3))  # error
training.load_images(3)  # error
run = training.train(model, images, out="run", epochs=1, batch_size=8, learning_rate=1e-3)
training.train(model, images, out="run", epochs=1, batch_size=8)  # error
training.train(model, images, out="run", epochs=1, batch_size=8, learning_rate=1, flop=True)  # error
training.train(model, images, out="run", epochs=1, batch_size=8, learning_rate=1, flip="no")  # error
training.build_optimizer(model, 100, learning_rate=1e-3, schedule="step")  # error
