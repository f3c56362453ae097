from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import official_vip

CASES = [
    Case(
        "vip",
        "ViP",
        dict(
            patch_sizes=(4, 2, 1),
            dims=(24, 36, 36),
            depths=(1, 1, 1),
            segments=((8, 12), (4, 6), (4, 6)),
            mlp_ratio=2,
        ),
        map_shape=(4, 6, 36),
        levels=("P2", "P3"),
        any_size=False,
    ),
]
MEDIUM_7, SMALL_7, SMALL_14 = (source.table for source in official_vip.SOURCES)
_VIP = dict(depths=(1, 1, 2, 1))

GOLDEN = {
    "vip_official": Golden(
        "ViP",
        _VIP | dict(patch_sizes=(7, 2, 1, 1), dims=(16, 32, 32, 32), segments=(8, 4, 4, 4)),
        SMALL_7,
    ),
    "vip_official_m_like": Golden(
        "ViP",
        _VIP | dict(patch_sizes=(7, 1, 2, 1), dims=(16, 16, 24, 24), segments=(8, 8, 4, 4)),
        MEDIUM_7,
    ),
}
