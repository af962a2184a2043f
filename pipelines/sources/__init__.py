"""One file per source kind. A new file here is a new source: nothing else has to be edited in Python."""
