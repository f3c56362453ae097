from families import Case

CASES = [
    Case(
        "mixer",
        "Mixer",
        dict(patch_size=8, dim=20, depth=2, tokens_mlp_dim=12, channels_mlp_dim=40),
        map_shape=(4, 6, 20),
        levels=("P3",),
        any_size=False,
    ),
]
GOLDEN = {}
