"""The names that Rollcall puts on objects of the cluster."""

GROUP = "rollcall.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "TrackedCronJob"
MANAGER = "rollcall"  # of the fields that we apply

LABEL_NAME = f"{GROUP}/name"  # of the TrackedCronJob, on CronJob, Job and Pod
LABEL_UID = f"{GROUP}/uid"
ADOPT = f"{GROUP}/adopt"  # on a CronJob that may be taken over; its value is its own name
# On a pod that goes without its sidecar: since when, and the kubelet's words for why.
UNTRACKED = f"{GROUP}/untracked"

CONTAINER = "rollcall"
TOKEN_VOLUME = "rollcall-token"  # noqa: S105 - a volume's name
TOKEN_AUDIENCE = f"{GROUP}/ingest"  # whom the token is for
