from families import Case

CASES = [
    Case(
        "s2_mlp", "S2MLP", dict(patch_size=8, dim=18, depth=2), map_shape=(4, 6, 18), levels=("P3",)
    ),
    Case(
        "s2_mlp_deep",
        "S2MLP",
        dict(patch_size=8, dim=18, depth=2, norm="affine", norm_position="pre", setting="b"),
        map_shape=(4, 6, 18),
        levels=("P3",),
    ),
]
GOLDEN = {}
