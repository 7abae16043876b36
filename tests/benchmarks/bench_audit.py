"""How well `cracklab audit` finds faults that are planted into the masks of DeepCrack.

    python tests/benchmarks/bench_audit.py --root DEEPCRACK --out DIR [--kinds erased ...] [--ckpt_path cracklab:cracks]

For each kind of fault, one of ten masks gets one; then either a kfold is trained on these masks, from the model that ships, and
audited (`--steps`, `--folds`, `--lr`), or with `--ckpt_path` a checkpoint that never saw any of these images is. A second start
goes on. `mixed` plants all kinds into one data set; `none` plants nothing, for a look at the audit of DeepCrack as published.

P@30: share of the first 30 images that have a planted fault; R@10%: share of the planted faults among the first tenth of the images.
`all`: images in the order of their first row of audit.csv; `kind`: by the rows of the planted kind alone; `share NAME`: of the faults of
this kind, those in the first tenth of `all`, and those whose image has a row of that kind. Beside it, the order by
mean cross-entropy of an image (loss), by soft Dice (dice), and the softmin score of Lad and Mueller (2023), where cleanlab is
installed. All orders are made of the same probabilities.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from planted_faults import KINDS, Mask, plant, plant_mixed

from cracklab import run_folder
from cracklab.audit.agreement import soft_dice
from cracklab.audit.kfold import labelled_of_kfold
from cracklab.audit.labelled import Labelled
from cracklab.data.layouts import LAYOUTS

OWN = {"erased": "missed", "invented": "unfounded", "dilated": "too-wide"}
"""Planted kind -> kind of the rows that name it, where the names differ."""


def write_data(root: Path, kind: str, seed: int, folder: Path) -> dict[str, str]:
    """Write DeepCrack with planted faults as a `folders` data set; return id -> kind of its fault."""
    records, _ = LAYOUTS["deepcrack"]().index(root)
    pairs = [(f"{Path(r.image).parent.name[:-4]}-{r.stem}", r) for r in records]
    masks = [cv2.imread(record.mask, cv2.IMREAD_GRAYSCALE) > 127 for _, record in pairs]
    planted, wrong = masks, dict[int, str]()
    if kind == "mixed":
        planted, wrong = plant_mixed(masks, seed=seed)
    elif kind != "none":
        planted, chosen = plant(kind, masks, seed=seed)
        wrong = dict.fromkeys(chosen, kind)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for (name, record), mask in zip(pairs, planted, strict=True):
        link = folder / "images" / f"{name}{Path(record.image).suffix}"
        if not link.exists():
            link.symlink_to(Path(record.image).resolve())
        file = folder / "masks" / f"{name}.png"
        if not file.exists():
            cv2.imwrite(str(file), mask.astype(np.uint8) * 255)
    return {pairs[i][0]: fault for i, fault in wrong.items()}


def audit(folder: Path, options: argparse.Namespace) -> tuple[Path, Labelled]:
    """Train and audit a kfold, or audit with a checkpoint; return the table and the data."""
    data = ["--data.layout", "folders", "--data.root", str(folder / "data")]
    configs = ["--config", "cracklab:base", "--config", "cracklab:finetune"]
    if options.ckpt_path:
        call = ["audit", "--ckpt_path", options.ckpt_path, *configs[:2], *data, "--out", str(folder / "audit")]
        subprocess.run([sys.executable, "-m", "cracklab", *call], check=True, stdout=subprocess.DEVNULL)
        layout = LAYOUTS["folders"]()
        records = [r for r in layout.index(folder / "data")[0]]
        from cracklab.data.samples import with_ids

        named = with_ids(records)
        files = {r.id: [run_folder.probability_file(folder / "audit", r.id)] for r in named}
        return folder / "audit" / "audit.csv", Labelled(layout, named, files, {})
    steps = options.steps
    training = ["--data.train_crop=256", "--data.crack_rate=0.75", "--data.batch_size=4", "--data.eval_batch_size=4"]
    training += [
        "--data.augment=strong",
        "--data.num_workers=0",
        "--trainer.max_epochs=1000",
        f"--trainer.max_steps={steps}",
    ]
    training += [f"--model.optimizer.lr={options.lr}", "--model.channels_last=true"]
    training += ["--trainer.check_val_every_n_epoch=2", "--panels.images=0", "--wandb.mode=disabled"]
    training += ["--model.evaluation.surface_every_n_epochs=100000", "--trainer.enable_progress_bar=false"]
    kfold = ["kfold", *configs, *data, *training, f"--folds={options.folds}", "--keep_probabilities"]
    subprocess.run([sys.executable, "-m", "cracklab", *kfold, "--out", str(folder / "kfold")], check=True)
    subprocess.run(
        [sys.executable, "-m", "cracklab", "audit", str(folder / "kfold")], check=True, stdout=subprocess.DEVNULL
    )
    return folder / "kfold" / "audit" / "audit.csv", labelled_of_kfold(folder / "kfold")


def orders(table: Path, labelled: Labelled, kind: str) -> dict[str, list[str]]:
    """Return the ids in the order of each method."""
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ids = [record.id for record in labelled.records]
    found = {
        "all": list(dict.fromkeys([*(row["id"] for row in rows), *ids])),
    }
    if kind in KINDS:
        own = (row["id"] for row in rows if row["kind"] == OWN.get(kind, kind))
        found["kind"] = list(dict.fromkeys([*own, *ids]))
    scores: dict[str, list[float]] = {"loss": [], "dice": [], "cleanlab": []}
    for record in labelled.records:
        mask = labelled.mask(record)[0]
        probability = labelled.probability(record, mask.shape)
        right = np.clip(np.where(mask, probability, 1 - probability), 1e-3, 1)
        scores["loss"].append(float(np.log(right).mean()))
        scores["dice"].append(soft_dice(mask, probability))
        scores["cleanlab"] += cleanlab_score(mask, probability)
    for name, values in scores.items():
        if values:
            found[name] = [ids[i] for i in np.argsort(values, kind="stable")]
    return found


def cleanlab_score(mask: Mask, probability: NDArray[np.float32]) -> list[float]:
    """Return cleanlab's score of a mask, lower for worse ones; nothing if it is not installed."""
    try:
        from cleanlab.segmentation.rank import get_label_quality_scores
    except ImportError:
        return []
    both = np.stack([1 - probability, probability])[None]
    scores, _ = get_label_quality_scores(mask.astype(int)[None], both, method="softmin", verbose=False)
    return [float(scores[0])]


def main(options: argparse.Namespace) -> None:
    """Print the table, a row as soon as its kind is done."""
    print("| planted | faults | order | P@30 | R@10% |\n|---|--:|---|--:|--:|", flush=True)
    for kind in options.kinds:
        folder = options.out / kind
        wrong = write_data(options.root, kind, options.seed, folder / "data")
        table, labelled = audit(folder, options)
        if not wrong:
            print(f"see {table.with_suffix('.html')}", flush=True)
            continue
        tenth = round(len(labelled.records) / 10)
        for name, order in orders(table, labelled, kind).items():
            precision = sum(one in wrong for one in order[:30]) / 30
            recall = sum(one in wrong for one in order[:tenth]) / len(wrong)
            print(f"| {kind} | {len(wrong)} | {name} | {precision:.2f} | {recall:.2f} |", flush=True)
            if kind == "mixed" and name == "all":
                print_shares(table, wrong, set(order[:tenth]))


def print_shares(table: Path, wrong: dict[str, str], first: set[str]) -> None:
    """Print for each kind how many of its faults are among the first images, and how many have a row of their kind."""
    with table.open(encoding="utf-8") as file:
        rows = {(row["id"], row["kind"]) for row in csv.DictReader(file)}
    for kind in KINDS:
        ids = [name for name, fault in wrong.items() if fault == kind]
        named = sum((name, OWN.get(kind, kind)) in rows for name in ids)
        print(f"| mixed | {len(ids)} | share {kind} | {len(first & set(ids))} | {named} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, "mixed", "none"], default=list(KINDS))
    parser.add_argument("--ckpt_path")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
