"""Programs that JAX compiled, kept for the next process."""

import os
import sys

from keras_shiftmlp.downloads import keras_home

LARGEST = 2**30  # bytes of all programs; JAX removes those that were not used for longest


def keep_compiled_programs() -> None:
    """Lets JAX store what it compiles for a second or longer, in `KERAS_HOME` or `~/.keras`.

    A later process that needs the same program reads it. A folder that was chosen with
    `JAX_COMPILATION_CACHE_DIR` or `jax.config` stays, and `JAX_ENABLE_COMPILATION_CACHE=false`
    stores nothing.
    """
    folder = keras_home() / "keras_shiftmlp" / "jax"
    if "jax" not in sys.modules:
        # JAX reads the variables when it is imported.
        if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
            os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
            os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(LARGEST))
        return
    config = sys.modules["jax"].config
    if config.jax_compilation_cache_dir is None:
        config.update("jax_compilation_cache_dir", str(folder))
        config.update("jax_compilation_cache_max_size", LARGEST)
