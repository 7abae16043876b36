"""The ranking: raw measures of each kind, turned into scores that can be compared, most suspicious first."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from cracklab.audit.agreement import RADII
from cracklab.audit.evidence import Evidence
from cracklab.audit.regions import Region
from cracklab.audit.suspect import Kind, Suspect
from cracklab.audit.swaps import find_swaps

CALIBRATION: dict[Kind, tuple[float, float]] = {
    "missed": (0.73, 0.04),
    "unfounded": (0.60, 0.04),
    "shifted": (0.09, 0.02),
    "too-wide": (0.09, 0.02),
    "too-thin": (0.09, 0.02),
    "inverted": (0.20, 0.05),
    "swapped": (0.15, 0.03),
    "empty": (0.73, 0.04),
}
"""Kind -> raw measure at which one of two masks had a planted fault, and the width of the logistic curve around it. Of DeepCrack's
training images, with faults in one of ten masks; see `tests/benchmarks/bench_audit.py`."""
LOWEST_SCORE = 0.02
"""Suspects of a lower score are dropped."""
MIN_SHIFT_PX = 2.0
"""Shorter shifts are within the care of any annotator."""
MIN_RADIUS_PX = 0.5
"""The same for the radius by which a mask is wider or thinner than usual, px."""
MIN_DICE = 0.3
"""Masks that fit the prediction worse than this even when repaired are neither shifted nor of a wrong width."""
WHOLE = 0.5
"""Score from which on a fault of the whole mask stands for all others of its image, which are its consequences."""


def rank(evidence: Sequence[Evidence]) -> list[Suspect]:
    """Return the suspects of a data set, most suspicious first.

    A score is 1 / (1 + exp(-(r - m) / w)), where r is the raw measure of its kind, and m and w are in `CALIBRATION`.

    Args:
        evidence: one for each image. The width that most masks have relative to the prediction is taken from all of them.
    """
    usual = usual_radius(evidence)
    swaps = {swap.index: swap for swap in find_swaps(evidence)}
    found: list[Suspect] = []
    for i, one in enumerate(evidence):
        suspects = [*_regions(one), *_whole(one, usual)]
        if i in swaps:
            note = f"fits {evidence[swaps[i].other].id}"
            suspects.append(_suspect(one, "swapped", swaps[i].gain, one.box, note))
        found += _without_consequences(suspects)
    kept = [suspect for suspect in found if suspect.score >= LOWEST_SCORE]
    return sorted(kept, key=lambda suspect: (-suspect.score, suspect.id, suspect.kind, suspect.y, suspect.x))


def raw_measures(evidence: Sequence[Evidence]) -> dict[Kind, list[float]]:
    """Return the largest raw measure of each kind for each image, for the calibration."""
    usual = usual_radius(evidence)
    swaps = {swap.index: swap.gain for swap in find_swaps(evidence)}
    measures: dict[Kind, list[float]] = defaultdict(list)
    for i, one in enumerate(evidence):
        largest = dict.fromkeys(CALIBRATION, 0.0)
        for kind, regions in _kinds_of_regions(one).items():
            largest[kind] = max((region.raw_score for region in regions), default=0.0)
        largest |= {kind: raw for kind, raw, _ in _whole_measures(one, usual)} | {"swapped": swaps.get(i, 0.0)}
        for kind, raw in largest.items():
            measures[kind].append(raw)
    return measures


def usual_radius(evidence: Sequence[Evidence]) -> float:
    """Return the radius by which the median mask has to be dilated to fit the prediction best, px; inverted ones do not count."""
    radii = [one.best_radius for one in evidence if one.has_crack and one.inverted <= 0]
    return float(np.median(radii)) if radii else 0.0


def _kinds_of_regions(one: Evidence) -> dict[Kind, list[Region]]:
    return {"missed" if one.has_crack else "empty": one.missed, "unfounded": one.unfounded}


def _regions(one: Evidence) -> Iterator[Suspect]:
    for kind, regions in _kinds_of_regions(one).items():
        for region in regions:
            yield _suspect(one, kind, region.raw_score, (region.x, region.y, region.width, region.height))


def _whole(one: Evidence, usual: float) -> Iterator[Suspect]:
    for kind, raw, note in _whole_measures(one, usual):
        if raw > 0:
            yield _suspect(one, kind, raw, one.box, note)


def _whole_measures(one: Evidence, usual: float) -> Iterator[tuple[Kind, float, str]]:
    """Yield kind, raw measure and note of the faults of a whole mask; a measure of at most 0 is not suspicious."""
    yield "inverted", one.inverted, ""
    if not one.has_crack:
        return
    shift = one.shift
    if shift.length_px >= MIN_SHIFT_PX:
        yield "shifted", _gain(one.dice, shift.dice), f"fits best {shift.dx:+d} px right, {shift.dy:+d} px down"
    excess = one.best_radius - usual
    if abs(excess) >= MIN_RADIUS_PX:
        kind: Kind = "too-wide" if excess < 0 else "too-thin"
        usual_dice = float(np.interp(usual, RADII, one.dices))
        note = f"fits best with {2 * abs(excess):.0f} px {'less' if excess < 0 else 'more'} width"
        yield kind, _gain(usual_dice, float(one.dices.max())), note


def _gain(dice: float, repaired: float) -> float:
    """Return the share of the repaired agreement that the mask lacks."""
    return float((repaired - dice) / repaired) if repaired >= MIN_DICE else 0.0


def _suspect(one: Evidence, kind: Kind, raw: float, box: tuple[int, int, int, int], note: str = "") -> Suspect:
    middle, width = CALIBRATION[kind]
    return Suspect(one.id, kind, float(1 / (1 + np.exp(-(raw - middle) / width))), *box, note)


def _without_consequences(suspects: list[Suspect]) -> list[Suspect]:
    """Return the suspects of one image without those that its worst fault of the whole mask explains."""
    explaining = [one for one in suspects if one.kind in ("inverted", "swapped", "shifted") and one.score >= WHOLE]
    if not explaining:
        return suspects
    worst = max(explaining, key=lambda one: one.score)
    if worst.kind == "shifted":
        return [worst, *(one for one in suspects if one.kind in ("missed", "unfounded", "empty"))]
    return [worst]
