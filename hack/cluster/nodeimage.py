"""Builds kind's node image from Debian packages, Go modules and kind's own node files.

1. The base: a Debian root file system with systemd and containerd, kind's files on top.
2. The control plane's programs, each packed as the image that kubeadm expects.
3. Those images imported by the containerd inside a container of 1, which is then committed.
The image's name holds the versions and a key over this recipe, so a finished one is never stale.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from cluster import archives, buildsecrets, cachedir, engines, gotools, rootfs, steps, versions

SUITE = "bookworm"
ADVICE = (
    "run this again; if it fails in the same way, `python3 hack/cluster prune-cache --all`, "
    "then once more"
)
_REGISTRY = "registry.k8s.io"
_DATA = (
    cachedir.DATA / "node.Containerfile",
    cachedir.DATA / "cni.conflist",
    cachedir.DATA / "default-storage.yaml",
    cachedir.DATA / "import.sh",
    cachedir.DATA / "pause.c",
    cachedir.DATA.parents[1] / "images" / "closure.sh",
)
# Only the files of kind that Debian's containerd has a use for.
_UNUSED = ("etc/systemd/system/containerd-fuse-overlayfs.service", "usr/local/bin/clean-install")


def reference() -> str:
    """Name of the node image that this recipe makes."""
    parts = [versions.KIND, versions.ETCD, versions.COREDNS, versions.PAUSE, versions.LOCAL_PATH]
    files = [Path(__file__), Path(rootfs.__file__), Path(archives.__file__)]
    key = cachedir.recipe_key(*parts, *files, *_DATA)
    return f"localhost/rollcall/node:v{versions.KUBERNETES}-{key}"


def build(runner: steps.Runner, engine: engines.Engine) -> str:
    """Assemble the image of programs and base, both already there; its name."""
    name = reference()
    if engine.has_image(name):
        return name
    with tempfile.TemporaryDirectory(dir=cachedir.root(), prefix=".node.") as folder:
        context = Path(folder)
        _base(runner, engine, context)
        _commit(runner, engine, context, name)
    return name


def control_plane(programs: dict[str, Path]) -> list[archives.Image]:
    """Describe the images of one static program each, by the names that kubeadm and kind use."""
    release = f"v{versions.KUBERNETES}"
    names = {
        "kube-apiserver": f"kube-apiserver:{release}",
        "kube-controller-manager": f"kube-controller-manager:{release}",
        "kube-scheduler": f"kube-scheduler:{release}",
        "etcd": f"etcd:{versions.ETCD}-0",
        "coredns": f"coredns/coredns:v{versions.COREDNS}",
        "pause": f"pause:{versions.PAUSE}",
    }
    return [
        archives.Image(
            reference=f"{_REGISTRY}/{names[program]}",
            files={f"usr/local/bin/{program}": path},
            entrypoint=(f"/usr/local/bin/{program}",),
            # As the published one: it also steps in where a container must not be root.
            user="65535:65535" if program == "pause" else "",
        )
        for program, path in programs.items()
    ]


def unexpected(listed: str) -> list[str]:
    """Pick from `kubeadm config images list` what we do not make.

    The pause image does not count: containerd's configuration decides which one runs.
    """
    made = {image.reference for image in control_plane(dict.fromkeys(_PROGRAMS, Path()))}
    made.add(_BUILT["kube-proxy"])
    return [name for name in listed.split() if name not in made and "/pause:" not in name]


_PROGRAMS = (
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "coredns", "pause",
)  # fmt: skip


# Images that hold more than one program: target in the Containerfile -> reference.
_BUILT = {
    "kube-proxy": f"{_REGISTRY}/kube-proxy:v{versions.KUBERNETES}",
    "local-path-provisioner": "localhost/rollcall/local-path-provisioner:dev",
}


def _fill(step: steps.Step, context: Path) -> None:
    """Put the files there that the Containerfile copies."""
    kind = gotools.module_folder(step, gotools.KIND) / "images/base/files"
    _copy_kind_files(kind, context / "kind")
    for file in _DATA:
        shutil.copy(file, context)
    (context / "version").write_text(f"v{versions.KUBERNETES}")
    (context / "programs").mkdir()
    for program in ("kubeadm", "kubelet", "kubectl", "kube-proxy"):
        os.link(gotools.KUBERNETES.program(program), context / "programs" / program)
    provisioner = gotools.LOCAL_PATH.program("local-path-provisioner")
    os.link(provisioner, context / "programs" / provisioner.name)


def _copy_kind_files(source: Path, target: Path) -> None:
    """Copy kind's node files; in Go's module cache they are read-only and none is executable."""
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source)
        if file.is_dir() or str(name) in _UNUSED:
            continue
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
        copy.chmod(0o755 if name.parent.name == "bin" else 0o644)


def _base(runner: steps.Runner, engine: engines.Engine, context: Path) -> None:
    base = rootfs.reference(SUITE)
    with (
        runner.step("node packages", advice=rootfs.ADVICE) as step,
        buildsecrets.arguments(debian_suite=SUITE) as secrets,
    ):
        _fill(step, context)
        for target, name in (*_BUILT.items(), ("node", _draft())):
            step.run(
                ["podman", "build", "--pull=never", *secrets, "--build-arg", f"BASE={base}",
                 "--file", str(context / "node.Containerfile"), "--target", target,
                 "--tag", name, str(context)],
                env=engine.environment, attempts=2,
            )  # fmt: skip


def _draft() -> str:
    return reference().replace("/node:", "/node-draft:")


def _commit(runner: steps.Runner, engine: engines.Engine, context: Path, name: str) -> None:
    with runner.step("control plane images", advice=ADVICE) as step:
        _pack(step, engine, context)
        container = "rollcall-node-build"
        engine.ask("rm", "--force", container)  # of a run that was killed
        try:
            # Privileged, as containerd mounts; /mnt exists, so nothing of the mount remains.
            step.run(
                ["podman", "run", "--privileged", "--name", container,
                 "--volume", f"{context}:/mnt:ro", "--entrypoint", "sh",
                 _draft(), "/mnt/import.sh", "/mnt/programs.tar",
                 *(f"/mnt/{target}.tar" for target in _BUILT)],
                env=engine.environment,
            )  # fmt: skip
            step.run(
                ["podman", "commit", "--change",
                 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', "--change", "CMD []",
                 container, name],
                env=engine.environment,
            )  # fmt: skip
        finally:
            engine.ask("rm", "--force", container)
        engine.remove_images(*_BUILT.values(), _draft())


def _pack(step: steps.Step, engine: engines.Engine, context: Path) -> None:
    kubeadm = str(gotools.KUBERNETES.program("kubeadm"))
    listed = step.output(
        [kubeadm, "config", "images", "list", "--kubernetes-version", f"v{versions.KUBERNETES}"]
    )
    if unexpected(listed):
        raise step.failure(f"kubeadm also wants {', '.join(unexpected(listed))}")
    pause = context / "pause"
    step.run(["gcc", "-static", "-Os", "-s", "-o", str(pause), str(context / "pause.c")])
    programs = {
        name: gotools.KUBERNETES.program(name) for name in _PROGRAMS if name.startswith("kube-")
    }
    programs |= {
        "etcd": gotools.ETCD.program("etcd"),
        "coredns": gotools.COREDNS.program("coredns"),
        "pause": pause,
    }
    with (context / "programs.tar").open("wb") as stream:
        archives.write(control_plane(programs), stream)
    for target, name in _BUILT.items():
        archive = context / f"{target}.tar"
        step.run(["podman", "save", "--output", str(archive), name], env=engine.environment)
