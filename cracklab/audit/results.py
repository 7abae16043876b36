"""The results of an audit: the table, the page, the list of images to leave out, and the printed summary."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cracklab.audit.evidence import Evidence, gather
from cracklab.audit.labelled import Labelled
from cracklab.audit.options import EXCLUDE, PAGE, TABLE, AuditOptions
from cracklab.audit.page import write_page
from cracklab.audit.ranking import rank
from cracklab.audit.suspect import COLUMNS, Suspect
from cracklab.data.exclude import line_of
from cracklab.data.parallel import parallel_map
from cracklab.files import remove_leftovers, write_text
from cracklab.tables import write_csv


def write_results(labelled: Labelled, out: Path, options: AuditOptions) -> str:
    """Compare masks and probabilities, write the suspects, and return the summary to print."""
    evidence = examine(labelled, options.tolerance_px)
    suspects = rank(evidence)
    remove_leftovers(out)
    write_csv(out / TABLE, COLUMNS, [suspect.to_row() for suspect in suspects])
    write_text(out / EXCLUDE, exclude_list(suspects, options.exclude_from))
    write_page(out / PAGE, labelled, suspects[: options.rows], len(suspects))
    return as_text(suspects, len(evidence), out)


def examine(labelled: Labelled, tolerance_px: float) -> list[Evidence]:
    """Compare every mask with the probabilities of its image, in parallel threads."""

    def one(index: int) -> Evidence:
        record = labelled.records[index]
        mask, valid, (x, y) = labelled.mask(record)
        probability = labelled.probability(record, mask.shape) * valid  # ignored pixels are background for both
        return gather(record.id, mask, probability, labelled.thresholds[record.id], tolerance_px).moved(x, y)

    return list(parallel_map(one, len(labelled.records), "Comparing masks", labelled.num_threads()))


def exclude_list(suspects: Sequence[Suspect], lowest: float) -> str:
    """Return the list of images that `data.exclude` takes: one id a line, the most suspicious first, with the reason.

    Example:
        >>> print(exclude_list([Suspect("wall", "inverted", 0.98, 0, 0, 40, 60), Suspect("wall", "missed", 0.9, 0, 0, 4, 6)], 0.5))
        # images whose masks are probably wrong, by `cracklab audit`: check them, and remove lines; for --data.exclude
        wall  # inverted 0.98
        <BLANKLINE>
    """
    worst: dict[str, Suspect] = {}
    for suspect in suspects:
        if suspect.score >= lowest:
            worst.setdefault(suspect.id, suspect)
    head = (
        "# images whose masks are probably wrong, by `cracklab audit`: check them, and remove lines; for --data.exclude"
    )
    return "\n".join([head, *(f"{line_of(one.id)}  # {one.kind} {one.score:.2f}" for one in worst.values())]) + "\n"


def as_text(suspects: Sequence[Suspect], images: int, out: Path) -> str:
    """Return the summary that is printed."""
    likely = [suspect for suspect in suspects if suspect.score >= 0.5]
    counts = ", ".join(f"{number} {kind}" for kind, number in Counter(one.kind for one in likely).most_common())
    wrong = len({one.id for one in likely})
    lines = [f"{images} masks: {wrong} with a score of at least 0.5 ({counts or 'none'})"]
    if wrong > images / 2:
        lines.append(
            "  these are most masks: either all were made wrongly, or the net does not fit this data, and the scores are meaningless; "
            "then audit a kfold, or set --tolerance_px to the difference in width"
        )
    lines += [f"  {one.score:.2f}  {one.kind:9}  {one.id}  {one.note}".rstrip() for one in suspects[:10]]
    return "\n".join([*lines, f"open {out / PAGE}; {TABLE} and {EXCLUDE} are beside it"])
