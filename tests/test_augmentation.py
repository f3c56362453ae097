"""Augmentation, measured by what it does to pictures that show it.

`python tests/test_augmentation.py` records the batches of `frozen/batches.json`.
"""

import json
import sys

import numpy as np
import pytest
from cases import HERE, fingerprint, once
from PIL import Image

from keras_shiftmlp import training
from keras_shiftmlp.training import augmentation
from keras_shiftmlp.training.augmentation import rand_augment_operations

pytest.importorskip("grain")
pytestmark = once


def batches(pixels, labels=None, *, count, size=None, **kwargs):
    """`(N, H, W, 3)` images and `(N, classes)` labels of `count` batches of all images."""
    labels = np.arange(len(pixels)) if labels is None else labels
    images = training.load_images((np.asarray(pixels, "uint8"), labels))
    options = dict(batch_size=len(pixels), seed=11, flip=False, stop=count)
    dataset = training.training_batches(images, size or pixels.shape[1:3], **{**options, **kwargs})
    x, y = zip(*dataset)
    return np.concatenate(x), np.concatenate(y)


def check_uniform(values, low=0.0, high=1.0):
    """Kolmogorov and Smirnov's distance, at a level that one in 2,000 true samples exceeds."""
    values = np.sort((np.asarray(values) - low) / (high - low))
    expected = (np.arange(len(values)) + 0.5) / len(values)
    assert np.abs(values - expected).max() < 2 / np.sqrt(len(values))


def check_share(hits, share):
    """Within four standard deviations."""
    hits = np.asarray(hits)
    assert abs(hits.mean() - share) < 4 * np.sqrt(share * (1 - share) / hits.size)


def ramps(count, height, width):
    """Pictures whose red is twice the row and whose green is twice the column."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([2 * rows, 2 * columns, 0 * rows], axis=-1)
    return np.repeat(picture[None], count, axis=0)


def boxes(x):
    """Left, top, width and height of the crops of `ramps`, from `(N, size, size, 3)`."""
    size = x.shape[1]
    inner = np.arange(2, size - 2)  # the edges are rounded differently
    found = []
    for channel, axis in ((1, 1), (0, 2)):
        values = x[..., channel].mean(axis)[:, inner] / 2 + 0.5  # (N, size) in source pixels
        slope, offset = np.polyfit(inner + 0.5, values.T, 1)
        found += [offset, slope * size]
    left, width, top, height = found
    return left, top, width, height


HEIGHT, WIDTH = 110, 120


@pytest.fixture(scope="module")
def crops():
    """Boxes of 1,600 random crops whose areas always fit."""
    x, _ = batches(ramps(40, HEIGHT, WIDTH), count=40, size=32, crop_scale=(0.1, 0.4))
    return boxes(x)


def test_areas_of_crops_are_uniform(crops):
    _, _, width, height = crops
    areas = width * height / (HEIGHT * WIDTH)
    assert 0.095 < areas.min() < 0.11 and 0.39 < areas.max() < 0.41
    check_uniform(areas, 0.1, 0.4)


def test_aspect_ratios_of_crops_are_uniform_in_their_logarithm(crops):
    _, _, width, height = crops
    ratios = np.log(width / height) / np.log(4 / 3)
    assert -1.06 < ratios.min() < -0.95 and 0.95 < ratios.max() < 1.06
    check_uniform(ratios, -1, 1)


def test_places_of_crops_are_uniform_and_inside(crops):
    left, top, width, height = crops
    for start, length, side in ((left, width, WIDTH), (top, height, HEIGHT)):
        assert start.min() > -0.6 and (start + length).max() < side + 0.6
        check_uniform((start + 0.5) / (side - length + 1))
    assert abs(np.corrcoef(left, top)[0, 1]) < 0.1


def test_crops_of_one_batch_differ(crops):
    left = crops[0].reshape(40, 40)
    assert left.std(axis=1).min() > 5 and left.std(axis=0).min() > 5


def test_the_whole_scale_of_crops_is_used():
    x, _ = batches(ramps(20, HEIGHT, WIDTH), count=20, size=32, crop_scale=(0.08, 1.0))
    left, top, width, height = boxes(x)
    areas = width * height / (HEIGHT * WIDTH)
    assert areas.min() < 0.12 and areas.max() > 0.9
    assert left.min() > -0.6 and (left + width).max() < WIDTH + 0.6
    assert top.min() > -0.6 and (top + height).max() < HEIGHT + 0.6


def test_a_crop_that_never_fits_is_the_central_square():
    pixels = ramps(4, 20, 120)
    x, _ = batches(pixels, count=3, size=20, crop_scale=(0.9, 1.0))
    np.testing.assert_array_equal(x, np.repeat(pixels[:1, :, 50:70], 12, axis=0))


def test_ten_rectangles_are_tried():
    class Counting:
        drawn = 0

        def uniform(self, low, high):
            self.drawn += 1
            return high

    rng = Counting()
    assert augmentation._rectangle(100, 1, (1.0, 1.0), (1.0, 1.0), rng) is None
    assert rng.drawn == 2 * 10  # an area and a ratio each


def test_crops_are_resized_by_pillow():
    noise = np.random.default_rng(0).integers(0, 256, (1, 40, 30, 3)).astype("uint8")
    # Nothing but the whole picture has its area, at a ratio that is allowed.
    x, _ = batches(noise, count=1, size=(20, 15), crop_scale=(1.0, 1.0), seed=0)
    whole = Image.fromarray(noise[0]).resize((15, 20), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(x[0], np.asarray(whole))


def test_crops_are_antialiased():
    """Without it, each column would be one of the two values of the stripes."""
    stripes = np.zeros((2, 64, 64, 3), "uint8")
    stripes[:, :, ::2] = 255
    x, _ = batches(stripes, count=1, size=16, crop_scale=(1.0, 1.0))
    assert np.abs(x[:, :, 1:-1] - 127.5).max() < 2


def test_padded_crops_are_shifted_uniformly():
    pixels = 20 + 5 * ramps(60, 17, 19)[:, :, :, :]
    x, _ = batches(pixels, count=30, crop_padding=3)
    # The central pixel names its row and its column in the picture.
    down, right = 8 - (x[:, 8, 9, 0] - 20) / 10, 9 - (x[:, 8, 9, 1] - 20) / 10
    for shift in (down, right):
        values, counts = np.unique(shift, return_counts=True)
        assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
        for count in counts:
            check_share(np.arange(1800) < count, 1 / 7)
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.1
    padded = np.pad(pixels[0], [(3, 3), (3, 3), (0, 0)])
    for image, row, column in zip(x[:100], down[:100].astype(int), right[:100].astype(int)):
        top, left = 3 - row, 3 - column
        np.testing.assert_array_equal(image, padded[top : top + 17, left : left + 19])


def test_half_of_the_images_are_flipped_each_by_its_own_chance():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3))
    x, y = batches(pixels, count=40, flip=True)
    originals = pixels[y.argmax(1)].astype("float32")
    kept = (x == originals).all((1, 2, 3))
    flipped = (x == originals[:, :, ::-1]).all((1, 2, 3))
    assert (kept ^ flipped).all()
    check_share(flipped, 0.5)
    flipped = flipped.reshape(40, 50)  # (batch, place)
    check_share(flipped[:, 1:] == flipped[:, :-1], 0.5)
    check_share(flipped[1:] == flipped[:-1], 0.5)
    x, y = batches(pixels, count=2, flip=False)
    np.testing.assert_array_equal(x, pixels[y.argmax(1)])


def test_a_share_of_the_images_has_a_rectangle_of_noise():
    x, _ = batches(np.full((50, 32, 32, 3), 77), count=40, erase=0.25)
    erased = (x != 77).any(-1)  # (N, 32, 32)
    hit = erased.any((1, 2))
    check_share(hit, 0.25)
    check_share(hit.reshape(40, 50)[:, 1:] & hit.reshape(40, 50)[:, :-1], 0.25**2)
    rows, columns = erased.any(2).sum(1)[hit], erased.any(1).sum(1)[hit]
    np.testing.assert_array_equal(erased.sum((1, 2))[hit], rows * columns)  # whole rectangles
    check_uniform(rows * columns / 32**2, 0.02, 0.33)
    check_uniform(np.log(columns / rows), np.log(0.3), np.log(3.3))
    noise = x[erased]
    assert noise.min() == 0 and noise.max() == 255 and noise.std() > 60


@pytest.fixture(scope="module")
def photos():
    """Noise that is smooth, coloured and between 40 and 200."""
    noise = np.random.default_rng(3).normal(size=(24, 32, 32, 3))
    for axis in (1, 2):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)
    low, high = (f(noise, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    return (40 + 160 * (noise - low) / (high - low)).round().astype("uint8")


OPERATIONS = [
    "identity", "full contrast", "equalization", "solarization", "posterization", "colour",
    "contrast", "brightness", "sharpness", "rotation", "shear along x", "shear along y",
    "translation along x", "translation along y",
]  # fmt: skip


def changed(photos, name, strength):
    """What an operation makes of each photo, in float64."""
    rng, operation = np.random.default_rng(0), rand_augment_operations()[name]
    return np.stack(
        [np.asarray(operation(Image.fromarray(x), strength, rng), "float64") for x in photos]
    )


def test_the_operations_are_those_of_the_paper(photos):
    assert list(rand_augment_operations()) == OPERATIONS
    np.testing.assert_array_equal(changed(photos, "identity", 0.9), photos)


@pytest.mark.parametrize("name", OPERATIONS[3:12])
def test_strength_changes_the_images_more(photos, name):
    changes = [
        np.abs(changed(photos, name, strength) - photos).mean() for strength in (0.3, 0.6, 0.9)
    ]
    assert changes[0] > 0 and changes[1] > 1.1 * changes[0] and changes[2] > 1.02 * changes[1]


def test_operations_do_what_they_are_called(photos):
    full = changed(photos, "full contrast", 0.5)
    assert full.min((1, 2)).max() < 1 and full.max((1, 2)).min() > 253
    equal = changed(photos, "equalization", 0.5)
    assert np.histogram(equal, 4, (0, 256))[0].min() > 0.2 * equal.size
    solar = changed(photos, "solarization", 0.5)
    np.testing.assert_array_equal(solar, np.where(photos < 128, photos, 255 - photos))
    poster = changed(photos, "posterization", 1.0)
    np.testing.assert_array_equal(poster, photos // 16 * 16)  # four bits are left


def towards(photos, name):
    """What less of an image's colour, contrast or brightness leads to."""
    luma = photos @ [0.299, 0.587, 0.114]
    return {
        "colour": luma[..., None],
        "contrast": luma.mean((1, 2))[:, None, None, None],
        "brightness": 0,
    }[name]


@pytest.mark.parametrize("name", ["colour", "contrast", "brightness"])
def test_enhancements_are_by_one_factor_in_either_direction(photos, name):
    """By up to 1 + 0.9, here by a quarter of it, which leaves the range of no pixel."""
    end, found = towards(photos, name), changed(photos, name, 0.25)
    more, less = (np.abs(end + f * (photos - end) - found).max((1, 2, 3)) for f in (1.225, 0.775))
    assert np.minimum(more, less).max() < 2.1  # rounded twice
    check_share(more < less, 0.5)


def test_sharpness_goes_in_either_direction(photos):
    def edges(x):
        return np.abs(np.diff(x.astype("float64"), axis=1)).mean((1, 2, 3))

    ratio = edges(changed(photos, "sharpness", 0.9)) / edges(photos)
    assert ratio.min() < 0.95 and ratio.max() > 1.05


@pytest.mark.parametrize(
    ("name", "down", "right"),
    [
        ("rotation", 12 * np.sin(np.pi / 6), 12 * (np.cos(np.pi / 6) - 1)),
        ("shear along x", 0, 0.3 * 32.5),
        ("shear along y", 0.3 * 44.5, 0),
        ("translation along x", 0, 0.3 * 65),
        ("translation along y", 0.3 * 65, 0),
    ],
)
def test_geometry_has_its_range_in_either_direction(name, down, right):
    """How far a disc to the right of the centre moves at full strength."""
    rows, columns = np.mgrid[:65, :65]
    # Two discs, so that one stays inside whichever way they go.
    for column in (44, 20) if name == "translation along x" else (44,):
        disc = ((rows - 32) ** 2 + (columns - column) ** 2 < 36)[..., None].repeat(3, -1)
        picture = (255 * disc).astype("uint8")
        moved = changed(np.repeat(picture[None], 60, 0), name, 1.0)[..., 0]
        assert 128 in moved[0]  # what comes in is grey
        found = []
        for mask in moved > 200:
            if mask.sum() > 80:  # inside
                found.append((rows[mask].mean() - 32, columns[mask].mean() - column))
        found = np.array(found)
        for values, expected in zip(found.T, (down, right)):
            distances = np.abs(values) if name != "rotation" or expected > 0 else -values
            np.testing.assert_allclose(distances, abs(expected), atol=0.6)
        if name != "translation along x":
            check_share(found.max(1) > 0.7, 0.5)


def noise_of_four_greys(count):
    """Operations on colours keep equal greys equal, those on places do not."""
    levels = np.random.default_rng(5).integers(1, 5, (16, 16, 1)) * 50
    return np.repeat(np.repeat(levels, 3, -1)[None], count, 0)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_image_draws_its_number_of_operations(number):
    """Of the 14 operations six move pixels: sharpness and the five of geometry."""
    pixels = noise_of_four_greys(100)
    x, _ = batches(pixels, count=6, randaugment=(number, 0.5))
    moved = [
        max(np.ptp(image[pixels[0] == grey]) for grey in (50, 100, 150, 200)) > 1e-2 for image in x
    ]
    check_share(moved, 1 - (8 / 14) ** number)
    # An image draws for itself: neighbours in a batch share nothing.
    neighbours = np.reshape(moved, (6, 100))
    share = (1 - (8 / 14) ** number) ** 2
    check_share(neighbours[:, 1:] & neighbours[:, :-1], share)


def test_randaugment_changes_images_and_differs_within_a_batch(photos):
    x, y = batches(photos, count=2, randaugment=(2, 0.9))
    assert x.min() >= 0 and x.max() <= 255
    differs = np.abs(x - photos[y.argmax(1)]).max((1, 2, 3)) > 1
    assert differs.mean() > 0.95
    same = np.repeat(photos[:1], 24, 0)
    x, _ = batches(same, count=1, randaugment=(1, 0.9))
    assert len(np.unique(x.reshape(24, -1), axis=0)) > 10
    plain, _ = batches(same, count=1)
    np.testing.assert_array_equal(plain, same)


def flat(count, size=8):
    """Pictures of one value each: image `i` has 30 * i."""
    return np.repeat(30.0 * np.arange(count), size * size * 3).reshape(count, size, size, 3)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0])
def test_mixup_mixes_pixels_as_it_mixes_labels(alpha):
    x, y = batches(flat(8), count=100, mixup=alpha)
    assert np.ptp(x, axis=(1, 2, 3)).max() < 1e-3
    np.testing.assert_allclose(x[:, 0, 0, 0], y @ (30.0 * np.arange(8)), atol=1e-2)
    np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    assert ((y > 0).sum(1) <= 2).all()
    # An eighth of the images meets itself. The others' weights are of Beta(alpha, alpha), whose
    # variance is 1 / (4 (2 alpha + 1)).
    variance = 1 / (4 * (2 * alpha + 1))
    expected = 7 / 8 * variance + 1 / 8 * 0.25
    assert ((y.max(1) - 0.5) ** 2).mean() == pytest.approx(expected, abs=0.012)
    # Each image has a weight of its own.
    assert len(np.unique(y.max(1).round(5).reshape(100, 8)[0])) > 4


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_cutmix_labels_are_areas(alpha):
    x, y = batches(flat(8, 32), count=100, cutmix=alpha)
    share = np.stack([(x[..., 0] == 30 * i).mean((1, 2)) for i in range(8)], axis=1)
    np.testing.assert_allclose(share.sum(1), 1)  # no value is mixed
    np.testing.assert_allclose(y, share, atol=1e-6)
    other = share.argsort(1)[:, -2]  # the smaller of two, where there are two
    inside = x[..., 0] == 30.0 * other[:, None, None]
    two = (share > 0).sum(1) == 2
    rows, columns = inside.any(2).sum(1), inside.any(1).sum(1)
    boxes = inside.sum((1, 2)) == rows * columns
    assert (boxes | (rows * columns == 32**2))[two].all()
    variance = 1 / (4 * (2 * alpha + 1))
    expected = 7 / 8 * variance + 1 / 8 * 0.25
    assert ((y.max(1) - 0.5) ** 2).mean() == pytest.approx(expected, abs=0.012)


def test_each_batch_gets_mixup_or_cutmix_by_chance():
    x, _ = batches(flat(8), count=200, mixup=1.0, cutmix=1.0)
    cut = (np.ptp(x, axis=(1, 2, 3)) > 1).reshape(200, 8).any(1)
    mixed = (x[:, 0, 0, 0] % 30 > 1e-3).reshape(200, 8).any(1)
    assert (cut ^ mixed).all()
    check_share(cut, 0.5)
    check_share(cut[1:] == cut[:-1], 0.5)


def order(count, **kwargs):
    return batches(flat(8), count=count, batch_size=2, **kwargs)[1].argmax(1)


def test_each_epoch_has_an_order_of_its_own():
    epochs = order(200).reshape(50, 8)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(8), (50, 1)))
    assert len(np.unique(epochs, axis=0)) == 50
    for place in range(8):
        assert set(epochs[:, place]) == set(range(8))
    np.testing.assert_array_equal(order(200).reshape(50, 8), epochs)
    assert (order(4, seed=12) != epochs[0]).any()


def test_images_that_fill_no_batch_change_with_the_epoch():
    y = batches(flat(8), count=40, batch_size=3)[1].argmax(1).reshape(20, 6)
    assert all(len(set(epoch)) == 6 for epoch in y)
    assert set(y.ravel()) == set(range(8))


def test_shards_are_disjoint_and_cover_the_batch():
    options = dict(count=4, batch_size=6, flip=True)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3))
    whole = batches(pixels, **options)[1].argmax(1).reshape(4, 6)
    shards = [batches(pixels, shard=(index, 3), **options) for index in range(3)]
    labels = [y.argmax(1).reshape(4, 2) for _, y in shards]
    np.testing.assert_array_equal(np.concatenate(labels, axis=1), whole)
    assert all(len(set(batch)) == 6 for batch in whole)


def test_shards_draw_differently():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3))
    flips = []
    for index in range(2):
        x, y = batches(pixels, count=10, shard=(index, 2), flip=True)
        flips.append((x == pixels[y.argmax(1)][:, :, ::-1]).all((1, 2, 3)))
    check_share(flips[0] == flips[1], 0.5)


def test_batches_of_other_processes_are_the_same(photos):
    options = dict(
        count=3, batch_size=8, flip=True, crop_scale=(0.3, 1.0), randaugment=(2, 0.9), mixup=0.5,
        cutmix=1.0, erase=0.5,
    )  # fmt: skip
    for ours, theirs in zip(
        batches(photos, **options), batches(photos, worker_processes=1, **options)
    ):
        np.testing.assert_array_equal(ours, theirs)


BAD = {
    "crop_scale": [(0.5, 0.2), (0.0, 1.0), (0.5, 1.5), 0.5],
    "crop_padding": [-1, 1.5],
    "flip": ["False", 1],
    "randaugment": [(0, 0.5), (2, 1.5), 2, (2.0, 0.5)],
    "mixup": [-0.1, 1.1, float("nan"), "0.2"],
    "cutmix": [2],
    "erase": [1.5],
    "shard": [(2, 2), (0, 0), 1],
    "seed": [-1],
    "workers": [-1],
    "worker_processes": [-1],
    "batch_size": [0, 2.0, True],
}


@pytest.mark.parametrize("name", BAD)
def test_arguments_out_of_range_are_refused(name):
    for value in BAD[name]:
        with pytest.raises(ValueError, match=rf"`{name}` must be .* Received: `{name}="):
            batches(flat(4), count=1, **{name: value})


# A run that is continued with a later version gets the batches of the version that began it.
PATH = HERE / "frozen" / "batches.json"
RECORDED = {
    "plain": dict(),
    "flips": dict(flip=True),
    "crops": dict(crop_scale=(0.1, 0.9)),
    "crops of a padded image": dict(crop_padding=3),
    "RandAugment": dict(randaugment=(14, 0.7)),
    "erasing": dict(erase=0.7),
    "MixUp": dict(mixup=0.4),
    "CutMix": dict(cutmix=0.6),
    "all": dict(
        flip=True, crop_scale=(0.3, 1.0), randaugment=(2, 0.9), erase=0.3, mixup=0.8, cutmix=1.0
    ),
    "a part of all": dict(
        flip=True, crop_padding=2, randaugment=(1, 0.5), mixup=0.2, shard=(1, 3), batch_size=6
    ),
}


def recorded(name):
    """The fingerprints of the pixels and of the labels."""
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (14, 5, 7, 3)).repeat(4, axis=1).repeat(4, axis=2)
    options = dict(count=6, size=(16, 24), batch_size=4, seed=3)
    x, y = batches(pixels, np.arange(14) % 5, **{**options, **RECORDED[name]})
    return fingerprint(x) + fingerprint(y)


@pytest.mark.parametrize("name", RECORDED)
def test_batches_are_those_on_record(name):
    np.testing.assert_allclose(recorded(name), json.loads(PATH.read_text())[name], rtol=1e-5)


def write():
    numbers = {name: recorded(name) for name in RECORDED}
    PATH.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(write())
