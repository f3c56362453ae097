from families import Case

CASES = [
    Case(
        "ms_mlp",
        "MSMLP",
        dict(
            dims=(13, 26),
            depths=(1, 2),
            kernel_sizes=((1, 1, 3, 5, 7), (1, 3, 3, 5, 7)),
            layer_scale_init=0.1,
        ),
        map_shape=(4, 6, 26),
        levels=("P2", "P3"),
    ),
]
GOLDEN = {}
