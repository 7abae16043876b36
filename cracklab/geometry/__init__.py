"""Geometry of binary masks: exact distances, centre lines, crack widths.

`masks` holds what the rest of the package calls; `distance_transform` is its compiled kernel. Nothing here imports
another part of cracklab.

- `distance_to` is the exact Euclidean distance transform: squared distances are integers until one square root, so the
  result has the same bits on every machine, for every memory layout and number of threads. A distance to nothing is the
  diagonal of the image.
- The kernel is compiled by Numba on first use, which takes about a second, and cached on disk if a folder is writable.
- `skeletonize` thins after Zhang and Suen (1984), since it runs once per training sample and Lee's method takes three to
  four times as long. `cracklab.measure` thins by distance, because lengths need every end.
- `widths` is exact along rows and columns, and its docstring states the measured error at other angles.
"""
