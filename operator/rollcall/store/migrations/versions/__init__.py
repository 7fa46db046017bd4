"""One file per schema change, `NNNN_{pre|post}_verb_object.py`, in sequence."""
