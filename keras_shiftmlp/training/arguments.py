"""The valid ranges of the arguments of a run."""

import numbers
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


def _number(holds: Check) -> Check:
    def check(value):
        return isinstance(value, numbers.Real) and not isinstance(value, bool) and holds(value)

    return check


def _integer(least: int) -> Check:
    return _number(lambda value: isinstance(value, numbers.Integral) and int(value) >= least)


def _pair(
    first: Check, second: Check, holds: Callable[[Any, Any], bool] = lambda a, b: True
) -> Check:
    def check(value):
        pair = isinstance(value, (tuple, list)) and len(value) == 2
        return pair and first(value[0]) and second(value[1]) and holds(*value)

    return check


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


_POSITIVE = _number(lambda value: 0 < value < float("inf"))
_AT_LEAST_0 = _number(lambda value: 0 <= value < float("inf"))
_SHARE = _number(lambda value: 0 <= value <= 1)
_BELOW_1 = _number(lambda value: 0 <= value < 1)
_POSITIVE_SHARE = _number(lambda value: 0 < value <= 1)

# For each argument, its valid values in words, and the check.
RANGES: dict[str, tuple[str, Check]] = {
    "epochs": ("an integer of at least 1", _integer(1)),
    "batch_size": ("an integer of at least 1", _integer(1)),
    "accumulate": ("an integer of at least 1", _integer(1)),
    "seed": ("an integer of at least 0", _integer(0)),
    "workers": ("an integer of at least 0", _integer(0)),
    "worker_processes": ("an integer of at least 0", _integer(0)),
    "shard": (
        "`(index, count)` with 0 <= index < count",
        _pair(_integer(0), _integer(1), lambda index, count: index < count),
    ),
    "learning_rate": ("a finite number above 0", _POSITIVE),
    "warmup_epochs": ("a finite number of at least 0", _AT_LEAST_0),
    "warmup_steps": ("None or an integer of at least 0", _optional(_integer(0))),
    "warmup_learning_rate": ("a finite number of at least 0", _AT_LEAST_0),
    "final_learning_rate": ("a finite number of at least 0", _AT_LEAST_0),
    "schedule": ("'cosine' or 'linear'", lambda value: value in ("cosine", "linear")),
    "weight_decay": ("a finite number of at least 0", _AT_LEAST_0),
    "clip_norm": ("None or a finite number above 0", _optional(_POSITIVE)),
    "ema_momentum": ("None or in [0, 1)", _optional(_BELOW_1)),
    "layer_decay": ("in (0, 1]", _POSITIVE_SHARE),
    "label_smoothing": ("in [0, 1)", _BELOW_1),
    "class_weights": ("None or 'balanced'", lambda value: value in (None, "balanced")),
    "early_stopping": ("None or an integer of at least 1", _optional(_integer(1))),
    "crop_fraction": ("in (0, 1]", _POSITIVE_SHARE),
    "jit_compile": ("True, False or 'auto'", lambda value: value in (True, False, "auto")),
    "crop_scale": (
        "None or two shares `(least, largest)` in (0, 1]",
        _optional(_pair(_POSITIVE_SHARE, _POSITIVE_SHARE, lambda least, most: least <= most)),
    ),
    "flip": ("True or False", lambda value: isinstance(value, bool)),
    "crop_padding": ("an integer of at least 0", _integer(0)),
    "randaugment": (
        "None or `(operations, strength)`, an integer of at least 1 and a number in [0, 1]",
        _optional(_pair(_integer(1), _SHARE)),
    ),
    "mixup": ("in [0, 1]", _SHARE),
    "cutmix": ("in [0, 1]", _SHARE),
    "erase": ("in [0, 1]", _SHARE),
}


def check_arguments(**values: Any) -> None:
    """Raises `ValueError` if an argument is out of its range."""
    for name, value in values.items():
        expected, holds = RANGES[name]
        if not holds(value):
            raise ValueError(f"`{name}` must be {expected}. Received: `{name}={value!r}`")
