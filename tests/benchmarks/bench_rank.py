"""Labels in the order of `cracklab rank`: a net trained on 10 to 50 photos of DeepCrack that a rule chose.

    python tests/benchmarks/bench_rank.py DEEPCRACK --rows ROWS.csv [--net cracks] [--picture curve.png]

The pool is the training side of the official split without photos that the test side shows; all images are at a quarter of their
size (136 x 96). A repetition starts from 10 random photos that all rules share. Then each rule chooses 10 more, four times, knowing
the masks of the labelled photos alone; all but `random` score the pool with the net that was trained on these:

- `rank`: that of the command;
- `random`;
- `error`: the largest expected Dice errors if the truth is drawn from the probabilities, whatever the photos look like;
- `error and look`: as `rank`, with these errors as weights.

The net is a U-Net of 0.1 M parameters from random weights, always the same, or with `--net cracks` the model that ships. Each training
takes 100 steps of random crops of 96 px, flipped and turned, with Dice and cross-entropy; trainings of one repetition and number of
labels share their seed. Scores are on every second test image, at the threshold 0.5. A row is written after each training, and a second
start goes on. Then the table is printed: means over repetitions, and differences from `random`, paired by repetition.
"""

import argparse
import time
from copy import deepcopy
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional

from cracklab.data.datamodule import CrackDataModule
from cracklab.files import write_image
from cracklab.losses import build_loss
from cracklab.models import UNet
from cracklab.pictures.colours import BLACK, BLUE, GREEN, VERMILION, as_hex
from cracklab.pictures.plots import as_image
from cracklab.predict.predictor import Predictor
from cracklab.predict.trained_model import restore
from cracklab.rank.score import by_gain, crack_weight, look
from cracklab.tables import read_csv, write_csv

RULES = ("rank", "random", "error", "error and look")
NUMBERS = (10, 20, 30, 40, 50)
"""Numbers of labels."""
STEPS, SIDE = 100, 96
"""Of a training: number of steps, and side of the crops, px."""
NETS = {"small": (8, 3e-3), "cracks": (4, 5e-4)}
"""Net -> crops in a step, learning rate."""
COLUMNS = ("repetition", "rule", "labels", "iou_image", "iou", "seconds", "next")
Pair = tuple[np.ndarray, np.ndarray]


class Bench:
    """The data at half size, and the net that is trained again and again."""

    def __init__(self, root: str, net: str) -> None:
        data = CrackDataModule("deepcrack", root=root, split="official-clean", resize=96)
        data.setup("fit")
        self.predictor: Predictor = Predictor([restore("cracklab:cracks")], "cpu", scales=[1])
        if net == "small":
            torch.manual_seed(0)
            self.predictor.models[0].net = UNet(widths=[8, 16, 32, 64]).to(memory_format=torch.channels_last).eval()
        self.batch, self.rate = NETS[net]
        self.trained: tuple[list[int], int] = [], -1
        self.start = deepcopy(self.predictor.models[0].net.state_dict())
        pairs = data.prepared.pairs
        self.pool: dict[int, Pair] = {i: pairs[i][:2] for i in sorted((*data.splits.train, *data.splits.val))}
        self.test: list[Pair] = [pairs[i][:2] for i in sorted(data.splits.test)[::2]]
        self.looks = {i: look(image) for i, (image, _) in self.pool.items()}
        print(f"{len(self.pool)} photos in the pool, {len(self.test)} test images", flush=True)

    def train(self, labelled: list[int], seed: int) -> None:
        """Fine-tune the model that ships on these photos, unless the net was just trained on them."""
        if self.trained == (labelled, seed):
            return
        self.trained = list(labelled), seed
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        net, transform = self.predictor.models[0].net, self.predictor.models[0].transform
        net.load_state_dict(
            self.start
        )  # in evaluation mode: statistics of so few photos would be worse than those it has
        dice = build_loss("dice")
        optimizer = torch.optim.AdamW(net.parameters(), lr=self.rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, total_steps=STEPS)
        queue: list[int] = []
        for _ in range(STEPS):
            while len(queue) < self.batch:
                queue += rng.permutation(labelled).tolist()
            crops = [crop(*self.pool[queue.pop(0)], rng) for _ in range(self.batch)]
            image = transform.normalise(torch.from_numpy(np.stack([transform.planes(one) for one, _ in crops])))
            mask = torch.from_numpy(np.stack([one for _, one in crops]))[:, None].float()
            logits = net(image.contiguous(memory_format=torch.channels_last))
            loss = dice(logits, mask, maps={}, valid=None) + functional.binary_cross_entropy_with_logits(logits, mask)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()

    def score(self) -> dict[str, float]:
        """Return the mean IoU over the test images, and the pooled one, at the threshold 0.5."""
        counts = []
        for image, truth in self.test:
            found = self.predictor.predict(image).probability > 0.5
            counts.append(((found & (truth > 0)).sum(), (found | (truth > 0)).sum()))
        both, either = np.array(counts, float).T
        return {"iou_image": float((both / np.maximum(either, 1)).mean()), "iou": float(both.sum() / either.sum())}

    def choose(self, rule: str, labelled: list[int], seed: int, count: int = 10) -> list[int]:
        """Return the photos that a rule labels next."""
        rest = [i for i in self.pool if i not in labelled]
        if rule == "random":
            return np.random.default_rng(seed).choice(rest, count, replace=False).tolist()
        found = [self.predictor.predict(self.pool[i][0]).probability for i in rest]
        errors = [expected_error(one) for one in found]
        if rule == "error":
            return [rest[i] for i in np.argsort(errors)[::-1][:count]]
        weights = [crack_weight(one) for one in found] if rule == "rank" else errors
        order = by_gain(weights, [self.looks[i] for i in rest], [self.looks[i] for i in labelled])
        return [rest[i] for i, _ in order[:count]]


def expected_error(p: np.ndarray) -> float:
    """Return the expected Dice error of the mask p > 0.5 if the truth is drawn from the probabilities."""
    mask, smooth = p > 0.5, 0.001 * p.size
    return 1 - (2 * float(p[mask].sum()) + smooth) / (float(p.sum()) + int(mask.sum()) + smooth)


def crop(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Pair:
    """Return a random square of a photo and its mask, flipped and turned."""
    top, left = (int(rng.integers(0, max(side - SIDE, 0) + 1)) for side in mask.shape)
    turns, flip = int(rng.integers(4)), int(rng.integers(2))
    both = [np.rot90(one[top : top + SIDE, left : left + SIDE], turns) for one in (image, (mask == 1).astype(np.uint8))]
    return tuple(np.ascontiguousarray(one[:, ::-1] if flip else one) for one in both)


def simulate(bench: Bench, repetition: int, rules: list[str], rows: list[dict], path: Path) -> None:
    """Add the missing rows of a repetition."""
    done = {(row["rule"], int(row["labels"])): row for row in rows if int(row["repetition"]) == repetition}
    first = np.random.default_rng(repetition).choice(sorted(bench.pool), 10, replace=False).tolist()
    for number in NUMBERS:
        for rule in rules:
            if (rule, number) in done:
                continue
            before = [done[rule, one]["next"] for one in NUMBERS if one < number]
            labelled = first + [int(i) for text in before for i in str(text).split()]
            seed, began = 1000 * repetition + number, time.process_time()
            bench.train(labelled, seed)
            scores = bench.score()
            chosen = bench.choose(rule, labelled, seed) if number < NUMBERS[-1] else []
            row = {"repetition": repetition, "rule": rule, "labels": number, **scores}
            row |= {"seconds": round(time.process_time() - began, 1), "next": " ".join(map(str, chosen))}
            rows.append(row)
            done[rule, number] = row
            write_csv(path, COLUMNS, rows)
            print(f"{repetition} {rule} {number}: {scores}, {row['seconds']} s", flush=True)


def single(bench: Bench, rows: list[dict], path: Path, what: str, labelled: list[int]) -> None:
    """Add the row of the untrained net, or of a training on all photos, if it is missing."""
    if any(row["rule"] == what for row in rows):
        return
    if labelled:
        bench.train(labelled, 0)
    rows.append({"repetition": -1, "rule": what, "labels": len(labelled), **bench.score()})
    write_csv(path, COLUMNS, rows)


def by_repetition(rows: list[dict]) -> dict[tuple[str, int], dict[int, float]]:
    """Return the mean IoU over test images, by rule and number of labels, of each repetition."""
    values: dict[tuple[str, int], dict[int, float]] = {}
    for row in rows:
        if int(row["repetition"]) >= 0:
            values.setdefault((row["rule"], int(row["labels"])), {})[int(row["repetition"])] = float(row["iou_image"])
    return values


def print_table(rows: list[dict]) -> None:
    """Print the mean over repetitions, and its difference from `random`: mean, standard deviation, each repetition."""
    values = by_repetition(rows)
    rules = [rule for rule in RULES if (rule, NUMBERS[0]) in values]
    print(f"| labels | {' | '.join(rules)} |\n|--:|{'--:|' * len(rules)}")
    for number in NUMBERS:
        cells = []
        for rule in rules:
            found, other = values.get((rule, number), {}), values.get(("random", number), {})
            paired = [found[one] - other[one] for one in sorted(found.keys() & other.keys())]
            text = f"{fmean(found.values()):.3f}" if found else ""
            if rule != "random" and number > NUMBERS[0] and len(paired) > 1:
                each = ", ".join(f"{one:+.3f}" for one in paired)
                text += f"; {fmean(paired):+.3f} ± {stdev(paired):.3f} ({each})"
            cells.append(text)
        print(f"| {number} | {' | '.join(cells)} |")
    for row in rows:
        if int(row["repetition"]) < 0:
            print(f"\n{row['rule']}, {row['labels']} labels: {float(row['iou_image']):.3f}")


def draw_curves(rows: list[dict]) -> Figure:
    """Plot the mean IoU of each rule against the number of labels: the mean over repetitions, and a point for each."""
    values = by_repetition(rows)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for shift, rule, colour in zip((-0.6, -0.2, 0.2, 0.6), RULES, (VERMILION, BLACK, BLUE, GREEN), strict=True):
        means = [fmean(values[rule, number].values()) for number in NUMBERS]
        axes.plot([number + shift for number in NUMBERS], means, color=as_hex(colour), label=rule)
        for number in NUMBERS:
            points = list(values[rule, number].values())
            axes.plot([number + shift] * len(points), points, ".", color=as_hex(colour))
    axes.set(xlabel="labelled photos", ylabel="IoU, mean over test images", xticks=NUMBERS)
    axes.legend()
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--rows", type=Path, required=True, help="table of finished trainings; a second run resumes")
    parser.add_argument("--net", default="small", choices=NETS)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=RULES)
    parser.add_argument("--picture", type=Path, help="curves of all rules, .png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict] = list(read_csv(options.rows)) if options.rows.exists() else []
    bench = Bench(options.root, options.net)
    single(bench, rows, options.rows, "untrained", [])
    for repetition in range(options.repetitions):
        simulate(bench, repetition, options.rules, rows, options.rows)
    single(bench, rows, options.rows, "all", sorted(bench.pool))
    print_table(rows)
    if options.picture:
        write_image(options.picture, as_image(draw_curves(rows)))
