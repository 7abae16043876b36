"""Many runs: cross-validation and grids of runs, on one machine or a cluster, resumable, summarised in tables."""
