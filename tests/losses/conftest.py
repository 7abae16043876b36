"""The package in `thirdparty` is installed by a test, not collected: importing it would register its loss here."""

collect_ignore = ["thirdparty"]
