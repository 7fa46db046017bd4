"""The reporting sidecar of a tracked pod.

Rules that every module keeps:

1. It never delays, fails or slows the user's containers: it never exits by itself, a fault in one
   beat or one request ends that beat or request only, and SIGTERM ends it within a second, code 0.
2. Standard library only, and little of it: values are `NamedTuple`s because importing
   `dataclasses` costs every tracked pod another megabyte.
3. Nothing grows: it keeps the latest state, and every read has a size and an instant it ends at.
4. The token is never printed, nor is anything that may contain it.
"""
