from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import as_is, conv, dense
from keras_shiftmlp.layers import ShiftedWindowAttention

_BLOCK, _OURS = r"layers\.(\d+)\.blocks\.(\d+)", r"stage_\1_block_\2"
# timm's Swin Transformer: the hybrid without a stage of MS-blocks.
TIMM_SWIN = [
    (r"patch_embed\.proj\.weight", "stage_0_stem/kernel", conv),
    (r"patch_embed\.proj\.bias", "stage_0_stem/bias", as_is),
    (r"patch_embed\.norm\.weight", "stage_0_stem_norm/gamma", as_is),
    (r"patch_embed\.norm\.bias", "stage_0_stem_norm/beta", as_is),
    (r"layers\.(\d+)\.downsample\.norm\.weight", r"stage_\1_stem_norm/gamma", as_is),
    (r"layers\.(\d+)\.downsample\.norm\.bias", r"stage_\1_stem_norm/beta", as_is),
    (r"layers\.(\d+)\.downsample\.reduction\.weight", r"stage_\1_stem_reduction/kernel", dense),
    (rf"{_BLOCK}\.norm1\.weight", rf"{_OURS}_spatial_norm/gamma", as_is),
    (rf"{_BLOCK}\.norm1\.bias", rf"{_OURS}_spatial_norm/beta", as_is),
    (
        rf"{_BLOCK}\.attn\.relative_position_bias_table",
        rf"{_OURS}_spatial/relative_position_bias_table",
        as_is,
    ),
    (rf"{_BLOCK}\.attn\.qkv\.weight", rf"{_OURS}_spatial/qkv/kernel", dense),
    (rf"{_BLOCK}\.attn\.qkv\.bias", rf"{_OURS}_spatial/qkv/bias", as_is),
    (rf"{_BLOCK}\.attn\.proj\.weight", rf"{_OURS}_spatial/project/kernel", dense),
    (rf"{_BLOCK}\.attn\.proj\.bias", rf"{_OURS}_spatial/project/bias", as_is),
    (rf"{_BLOCK}\.norm2\.weight", rf"{_OURS}_channel_norm/gamma", as_is),
    (rf"{_BLOCK}\.norm2\.bias", rf"{_OURS}_channel_norm/beta", as_is),
    (rf"{_BLOCK}\.mlp\.(fc\d)\.weight", rf"{_OURS}_channel_\3/kernel", dense),
    (rf"{_BLOCK}\.mlp\.(fc\d)\.bias", rf"{_OURS}_channel_\3/bias", as_is),
    (r"norm\.weight", "norm/gamma", as_is),
    (r"norm\.bias", "norm/beta", as_is),
    (r"head\.fc\.weight", "predictions/kernel", dense),
    (r"head\.fc\.bias", "predictions/bias", as_is),
]

CASES = [
    Case(
        "ms_mlp_swin",
        "MSMLPSwin",
        dict(
            patch_size=4,
            dims=(13, 26),
            depths=(1, 2),
            kernel_sizes=((1, 1, 3, 5, 7),),
            num_heads=(2,),
            window_size=3,
            layer_scale_init=0.1,
        ),
        map_shape=(4, 6, 26),
        levels=("P2", "P3"),
    ),
]
GOLDEN = {
    "swin_model_timm": Golden(
        "MSMLPSwin",
        dict(
            patch_size=4,
            dims=(12, 24),
            depths=(2, 2),
            kernel_sizes=(),
            num_heads=(2, 3),
            window_size=4,
        ),
        TIMM_SWIN,
    ),
}
LAYERS = {
    "window_attention": lambda **kw: ShiftedWindowAttention(1, 3, **kw),
    "shifted_window_attention": lambda **kw: ShiftedWindowAttention(1, 3, 1, **kw),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "ms_mlp_swin_imagenet": dict(
        epochs=300,
        batch_size=1024,
        weight_decay=0.05,
        label_smoothing=0.1,
        crop_scale=(0.08, 1.0),
        crop_fraction=0.875,
        flip=True,
        learning_rate=0.001,
        warmup_epochs=20,
        clip_norm=5.0,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        warmup_learning_rate=1e-05,
        drop_path_rate=0.2,
    ),
}
