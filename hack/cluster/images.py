"""Builds our images when their inputs changed and loads them into a cluster that lacks them.

An image's tag is a key over everything it is made of. The same tag therefore means the same image:
it is neither built nor loaded twice, and a pod never runs an older one under the name of a newer.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster import buildsecrets, cachedir, engines, kindcluster, prepare, rootfs, steps

REPOSITORY = Path(__file__).resolve().parents[2]
ADVICE = (
    "read the log above; a package that cannot be downloaded needs apt and pip to work on this "
    "machine too"
)
_PUBLIC_BASE = "docker.io/library/debian:trixie-slim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A target of the Dockerfile and the files that go into it."""

    target: str
    inputs: tuple[str, ...]

    def reference(self, base: str) -> str:
        paths = [REPOSITORY / name for name in ("Dockerfile", ".dockerignore", *self.inputs)]
        key = cachedir.recipe_key(base, cachedir.tree_key(REPOSITORY, paths))
        return f"{self.repository}:dev-{key}"

    @property
    def repository(self) -> str:
        return f"localhost/rollcall/{self.target}"


ALL = (
    Image(
        target="operator",
        inputs=("operator/rollcall", "requirements/server.txt", "hack/images/rollcall"),
    ),
    Image(
        target="sidecar",
        inputs=("sidecar", "hack/images/closure.sh", "hack/images/sidecar-root.sh"),
    ),
    Image(
        target="postgres",
        inputs=("hack/images/closure.sh", "hack/images/postgres-entrypoint.sh"),
    ),
)


def provide(runner: steps.Runner, cluster: kindcluster.Cluster) -> dict[str, str]:
    """Build what is not built, load what is not loaded; the references by target."""
    base = _base(runner, cluster.engine)
    references = {image.target: image.reference(base) for image in ALL}
    for image in ALL:
        _build(runner, cluster.engine, image, base)
        cluster.engine.ask("tag", references[image.target], f"{image.repository}:dev")
        _load(runner, cluster, image.target, references[image.target])
    record = json.dumps(references, indent=2) + "\n"
    cachedir.write(cachedir.images_record(cluster.name), record)
    _drop_stale(cluster.engine)
    return references


def discard(cluster: kindcluster.Cluster) -> None:
    """Remove the images made for a cluster, except those that another one uses.

    The layers of the Dockerfile's earlier stages stay: they are cache, and most of a build's time.
    """
    own = _recorded(cachedir.images_record(cluster.name))
    cachedir.images_record(cluster.name).unlink(missing_ok=True)
    others = in_use()
    floating = set() if others else {f"{image.repository}:dev" for image in ALL}
    cluster.engine.remove_images(*sorted((own | floating) - others))


def _drop_stale(engine: engines.Engine) -> None:
    """Remove what earlier builds left under a tag that no cluster uses any more."""
    listed = engine.ask("images", "--format", "{{.Repository}}:{{.Tag}}") or ""
    ours = tuple(f"{image.repository}:dev-" for image in ALL)
    stale = {name for name in listed.split() if name.startswith(ours)} - in_use()
    engine.remove_images(*sorted(stale))


def in_use() -> set[str]:
    """Collect the references that some cluster runs."""
    records = (_recorded(file) for file in cachedir.root().glob("images-*.json"))
    return set().union(*records)


def _recorded(file: Path) -> set[str]:
    try:
        return set(json.loads(file.read_text()).values())
    except (OSError, ValueError, AttributeError):
        return set()


def _base(runner: steps.Runner, engine: engines.Engine) -> str:
    if engine.pulls:
        return _PUBLIC_BASE
    return rootfs.ensure(runner, engine, prepare.OWN_SUITE)


def _build(runner: steps.Runner, engine: engines.Engine, image: Image, base: str) -> None:
    reference = image.reference(base)
    if engine.has_image(reference):
        return
    with (
        runner.step(f"build image {image.target}", advice=ADVICE) as step,
        buildsecrets.arguments(debian_suite=None if engine.pulls else prepare.OWN_SUITE) as secrets,
    ):
        policy = [] if engine.pulls else ["--pull=never"]
        step.run(
            [engine.name, "build", *policy, *secrets, "--build-arg", f"BASE={base}",
             "--file", str(REPOSITORY / "Dockerfile"), "--target", image.target,
             "--tag", reference, str(REPOSITORY)],
            env={**engine.environment, "DOCKER_BUILDKIT": "1"}, attempts=2,
        )  # fmt: skip
    runner.say(f"image {image.target} is {engine.image_size(reference)}")


def _load(runner: steps.Runner, cluster: kindcluster.Cluster, target: str, reference: str) -> None:
    if _loaded(cluster, reference):
        return
    with (
        runner.step(f"load image {target} into {cluster.name}", advice=ADVICE) as step,
        tempfile.TemporaryDirectory(dir=cachedir.root(), prefix=".load.") as folder,
    ):
        archive = f"{folder}/image.tar"
        environment = cluster.engine.environment
        step.run([cluster.engine.name, "save", "--output", archive, reference], env=environment)
        step.run(cluster.kind("load", "image-archive", archive), env=environment)
        if not _loaded(cluster, reference):
            raise step.failure(f"the node does not know {reference} after loading it")


def _loaded(cluster: kindcluster.Cluster, reference: str) -> bool:
    command = ("exec", cluster.node, "ctr", "-n", "k8s.io", "images", "ls", "-q")
    return (cluster.engine.ask(*command, f"name=={reference}") or "").strip() == reference
