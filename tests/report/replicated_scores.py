"""Random scores of replicated runs in which no method is better, for the statistics of a report."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

Floats = np.ndarray


@dataclass(frozen=True)
class Design:
    """A study: every method is run once for each combination."""

    folds: int = 5
    repeats: int = 1
    seeds: int = 1
    nets: int = 1

    @property
    def units(self) -> int:
        """Number of folds of all repeats, or of seeds if there is one split."""
        return self.folds * self.repeats if self.folds > 1 else self.seeds

    @property
    def index(self) -> pd.MultiIndex:
        """Index of a table of scores with all runs."""
        counts = (self.repeats, self.folds, self.nets, self.seeds)
        return pd.MultiIndex.from_product(map(range, counts), names=["repeat", "fold", "setting of net", "seed"])

    def __str__(self) -> str:
        counts = {"repeat": self.repeats, "fold": self.folds, "net": self.nets, "seed": self.seeds}
        words = [f"{number} {noun}s" for noun, number in counts.items() if number > 1]
        return " x ".join(words) or "1 run"


@dataclass(frozen=True)
class Noise:
    """Standard deviations of what makes a method better or worse by chance.

    Those of folds, photos and training are of the mean of a fold. On a single split they are constants of its images, about
    which seeds say nothing, and therefore absent.
    """

    seed: float = 1.0
    """Of every run."""
    fold: float = 0.0
    """Of a method on a fold, shared by nets and seeds."""
    photo: float = 0.0
    """Of a method on photos that test; repeats divide the same photos."""
    training: float = 0.0
    """Of a method through photos that train it."""
    common: float = 0.0
    """Of a method with a seed in all folds, as of its initial weights."""
    net: float = 0.0
    """Of a method with a net on a fold, shared by seeds."""
    photos: int = 100
    shape: str = "normal"
    """Distribution of seed and fold noise: normal, uniform, t3 (heavy tails), skewed (exponential)."""
    unequal: bool = False
    """Whether the noise of half of the methods is a fifth of that of the others."""


def draw(rng: np.random.Generator, tables: int, methods: int, design: Design, noise: Noise) -> Floats:
    """Return scores of null tables, (tables, methods, repeats, folds, nets, seeds)."""
    scores = rng.normal(0, noise.seed, (tables, methods, design.repeats, design.folds, design.nets, design.seeds))
    if noise.shape != "normal":
        scores = noise.seed * _shaped(rng, noise.shape, scores.shape)
    if design.folds > 1:
        shape = scores.shape[:4]
        if noise.fold:
            scores += noise.fold * _shaped(rng, noise.shape, shape)[..., None, None]
        if noise.photo or noise.training:
            scores += _of_photos(rng, shape, noise)[..., None, None]
        if noise.common:
            scores += noise.common * rng.normal(size=(tables, methods, 1, 1, 1, design.seeds))
        if noise.net:
            scores += noise.net * rng.normal(size=scores.shape[:5])[..., None]
    if noise.unequal:
        scores[:, : methods // 2] /= 5
    return scores


def _shaped(rng: np.random.Generator, shape: str, size: tuple[int, ...]) -> Floats:
    """Draw noise of mean 0 and variance 1."""
    if shape == "uniform":
        return rng.uniform(-np.sqrt(3), np.sqrt(3), size)
    if shape == "t3":
        return rng.standard_t(3, size) / np.sqrt(3)
    return rng.exponential(1, size) - 1 if shape == "skewed" else rng.normal(size=size)


def _of_photos(rng: np.random.Generator, shape: tuple[int, ...], noise: Noise) -> Floats:
    """Return the means of photo effects over the test and the training photos of every fold."""
    tables, methods, repeats, folds = shape
    per_fold = noise.photos // folds
    orders = [rng.permutation(noise.photos) for _ in range(repeats)]
    found = np.zeros(shape)
    for size, trains in ((noise.photo, False), (noise.training, True)):
        if size:
            effects = rng.normal(0, size * np.sqrt(per_fold), (tables, methods, noise.photos))
            for repeat, order in enumerate(orders):
                sums = effects[:, :, order].reshape(tables, methods, folds, per_fold).sum(-1)
                rest = (sums.sum(-1, keepdims=True) - sums) / (noise.photos - per_fold)
                found[:, :, repeat] += rest if trains else sums / per_fold
    return found
