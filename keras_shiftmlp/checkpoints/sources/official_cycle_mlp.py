"""State dicts of the released CycleMLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import END, Source, linear, of_stage, reweight, row


def _stage(stage):
    theirs, ours = f"network.{2 * stage}.#.attn", f"stage_{stage}_block_#_spatial"
    return [
        *of_stage(stage),
        # In the code, `sfc_h` reads along the width and `sfc_w` along the height.
        *linear(f"{theirs}.sfc_h", f"{ours}_width"),
        *linear(f"{theirs}.sfc_w", f"{ours}_height"),
        # `CycleFC` computes the distances.
        row(f"{theirs}.sfc_h.offset", None),
        row(f"{theirs}.sfc_w.offset", None),
        *linear(f"{theirs}.mlp_c", f"{ours}_channel"),
        *reweight(f"{theirs}.reweight", f"{ours}_attention"),
        *linear(f"{theirs}.proj", f"{ours}_project"),
    ]


STATE_DICT = [*(row for stage in range(8) for row in _stage(stage)), *END]

MARKER = "network.0.0.attn.sfc_h.weight"
SOURCES = [Source("official_cycle_mlp", family="CycleMLP", marker=MARKER, table=STATE_DICT)]
