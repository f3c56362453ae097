"""`bench`: times of models on the backends."""

import importlib.util
import json
from pathlib import Path
from typing import Literal

from keras_shiftmlp.benchmark.report import bench_tables, save_benchmark
from keras_shiftmlp.cli import output
from keras_shiftmlp.cli.arguments import Count, DType, ExistingFile, Model, check_packages
from keras_shiftmlp.cli.output import UsageError
from keras_shiftmlp.cli.program import USE, Backend, command


@command("bench", example="S2MLPv2Small MixerB16 --backends jax torch --out times", group=USE)
def bench(
    *models: Model,
    backends: tuple[Backend, ...] = ("tensorflow", "jax", "torch"),
    modes: tuple[Literal["predict", "train"], ...] = ("predict", "train"),
    batch_size: Count = 8,
    repeats: Count = 5,
    dtype: DType | None = None,
    growth: bool = False,
    profile: bool = False,
    out: Path | None = None,
    from_json: ExistingFile | None = None,
) -> None:
    """Time models, and their matrix products alone, on several backends.

    Args:
        models: Constructors; S2MLPv2Small, MixerB16 and MSMLPTiny by default.
        backends: Backends of Keras; each runs in a process of its own.
        modes: What to time.
        batch_size: Images per batch.
        repeats: Timed rounds.
        dtype: Keras's dtype policy; float32 by default.
        growth: Also time several image and batch sizes.
        profile: Also time each kind of layer.
        out: Folder for bench.json and its pictures.
        from_json: Print the tables of a bench.json instead.
    """
    if from_json is not None:
        _show(json.loads(from_json.read_text("utf-8")))
        return
    missing = [name for name in backends if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{missing[0]} is not installed: pip install 'keras_shiftmlp[{missing[0]}]', or choose "
            "others with --backends"
        )
    if out is not None:
        check_packages("--out", "keras_shiftmlp[plots]", "matplotlib")

    from keras_shiftmlp.benchmark import bench

    with output.progress("Measuring") as show:
        results = bench.run(
            models or ("S2MLPv2Small", "MixerB16", "MSMLPTiny"),
            backends,
            modes=modes,
            batch_size=batch_size,
            repeats=repeats,
            dtype=dtype,
            growth=growth,
            profile=profile,
            on_progress=show,
        )
    if out is not None:
        save_benchmark(results, out)
    _show(results)


def _show(results):
    for index, table in enumerate(bench_tables(results)):
        if index:
            output.show_separator()
        output.show_table([dict(zip(table.head, row)) for row in table.rows])
