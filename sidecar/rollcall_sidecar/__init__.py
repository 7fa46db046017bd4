"""The reporting sidecar of a tracked pod.

Rules that every module keeps:

1. It never delays, fails or slows the user's containers: it never exits by itself, a fault in one
   beat or one request ends that beat or request only, and SIGTERM ends it with code 0: within a
   second, or five while the api has not acknowledged what the program reported.
2. Standard library only, and little of it: every tracked pod pays for each import, with time at
   its start and with memory. So values are `NamedTuple`s and not dataclasses, `typed` stands for
   `typing`, `http1` for http.server and http.client, `forms` for urllib.parse; patterns are
   compiled when they are first used, and `__main__` says in which order modules are imported.
3. Nothing grows: what is unacknowledged has 1 MiB, everything else is the latest state, and every
   read has a size and an instant it ends at.
4. The token is never printed, nor is anything that may contain it.
"""
