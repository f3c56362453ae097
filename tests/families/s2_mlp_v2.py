from families import Case

CASES = [
    Case(
        "s2_mlp_v2",
        "S2MLPv2",
        dict(patch_sizes=(4, 2), dims=(16, 22), depths=(1, 2)),
        map_shape=(4, 6, 22),
        levels=("P2", "P3"),
    ),
]
GOLDEN = {}
