"""Shows why a channel MLP on JAX flattens its positions and computes GELU with `erf`.

    python benchmarks/xla_mlp.py

Prints the processor time of one MLP of S2-MLPv2-Small (8 images of 32 x 32 positions, 192 channels,
ratio 3), forward and backward, in four versions, and its ratio to six separate matrix products.
Other load on the machine affects processor time less than wall-clock time. The result is the
minimum of ten runs.
"""

import time

import jax
import jax.numpy as jnp

B, H, W, C, HIDDEN = 8, 32, 32, 192, 576
keys = jax.random.split(jax.random.PRNGKey(0), 5)
x, g = (jax.random.normal(key, (B, H, W, C)) for key in keys[:2])
w1, w2 = jax.random.normal(keys[2], (C, HIDDEN)) / 20, jax.random.normal(keys[3], (HIDDEN, C)) / 20
b1, b2 = jnp.zeros(HIDDEN), jnp.zeros(C)


def milliseconds(function, *arguments):
    function = jax.jit(function)
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(10):
        started = time.process_time()
        jax.block_until_ready(function(*arguments))
        times.append(time.process_time() - started)
    return 1e3 * min(times)


def products(x, h, g, w1, w2):
    return x @ w1, h @ w2, g @ w2.T, h.T @ g, h @ w1.T, x.T @ h


def by_erfc(h):
    return jax.nn.gelu(h, approximate=False)


def by_erf(h):
    return 0.5 * h * (1 + jax.lax.erf(h * 0.5**0.5))


def step(gelu, rows):
    """The MLP and its gradients by all arguments; `rows` flattens the positions."""

    def mlp(x, w1, b1, w2, b2):
        y = x.reshape(-1, C) if rows else x
        return (gelu(y @ w1 + b1) @ w2 + b2).reshape(x.shape)

    def run(g, *arguments):
        y, backward = jax.vjp(mlp, *arguments)
        return y, backward(g)

    return run


if __name__ == "__main__":
    h = jax.random.normal(keys[4], (B * H * W, HIDDEN))
    bare = milliseconds(products, x.reshape(-1, C), h, g.reshape(-1, C), w1, w2)
    print(f"six bare products: {bare:.0f} ms")
    for name, gelu in (("no activation", lambda h: h), ("erfc", by_erfc), ("erf", by_erf)):
        for rows in (False, True):
            spent = milliseconds(step(gelu, rows), g, x, w1, b1, w2, b2)
            how = "positions as rows" if rows else "map of four axes"
            print(f"{name}, {how}: {spent:.0f} ms, {spent / bare:.2f} x the products")
