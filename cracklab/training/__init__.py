"""The commands `fit`, `validate` and `test`."""
