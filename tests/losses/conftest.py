"""Keeps `thirdparty` out of the collection: a test installs that package, and importing it here would register its loss."""

collect_ignore = ["thirdparty"]
