"""Many runs: cross-validation and grids, on one machine or a cluster, resumed by themselves, summed up in tables."""
