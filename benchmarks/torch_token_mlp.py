"""The token MLP of Mixer-B/16 on PyTorch: three ways to multiply by one kernel from the left.

    python benchmarks/torch_token_mlp.py

Processor time for a batch of 8 in prediction and in training (forward and all gradients): Keras's
`EinsumDense`, the plain product of kernel and maps, and `TokenDense`. Processor time is less moved
by other work on the machine than the clock; the versions take turns, the smallest of twelve counts.
"""

import os
import time

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from keras import ops

from keras_shiftmlp.layers import TokenDense


class Plain(TokenDense):
    def call(self, inputs):
        y = ops.matmul(ops.transpose(self.kernel), inputs) + self.bias
        return y if self.activation is None else self.activation(y)


def einsum(tokens, activation=None):
    return keras.layers.EinsumDense(
        "bsc,st->btc", (tokens, None), activation=activation, bias_axes="t"
    )


def step(layer, training):
    layers = [layer(384, "gelu"), layer(196)]
    x = torch.randn((8, 196, 768), requires_grad=training)
    upstream = torch.randn_like(x)

    def run():
        started = time.process_time()
        with torch.set_grad_enabled(training):
            y = x + layers[1](layers[0](x))
            if training:
                y.backward(upstream)
        return 1e3 * (time.process_time() - started)

    return run


if __name__ == "__main__":
    print("| mode | EinsumDense, ms | plain product, ms | TokenDense, ms |")
    print("| --- | ---: | ---: | ---: |")
    for mode in ("prediction", "training"):
        runs = [step(layer, mode == "training") for layer in (einsum, Plain, TokenDense)]
        times = [min(turn) for turn in zip(*[[run() for run in runs] for _ in range(12)])]
        print(f"| {mode} | {' | '.join(f'{spent:.1f}' for spent in times)} |")
