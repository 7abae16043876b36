"""`cracklab audit`: which masks of a labelled data set are probably wrong."""

from cracklab.audit.evidence import Evidence, gather
from cracklab.audit.ranking import rank
from cracklab.audit.suspect import KINDS, Suspect

__all__ = ["KINDS", "Evidence", "Suspect", "gather", "rank"]
