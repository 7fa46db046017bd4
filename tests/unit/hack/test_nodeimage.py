"""The node image: what goes into it."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from cluster import archives, engines, gotools, hostpackages, nodeimage

LISTED = """\
registry.k8s.io/kube-apiserver:v1.36.3
registry.k8s.io/kube-controller-manager:v1.36.3
registry.k8s.io/kube-scheduler:v1.36.3
registry.k8s.io/kube-proxy:v1.36.3
registry.k8s.io/coredns/coredns:v1.14.2
registry.k8s.io/pause:3.10.2
registry.k8s.io/etcd:3.6.8-0
"""


def test_every_image_that_kubeadm_asks_for_is_made() -> None:
    assert nodeimage.unexpected(LISTED) == []


def test_an_image_that_a_new_kubeadm_asks_for_is_named() -> None:
    newer = LISTED.replace("etcd:3.6.8-0", "etcd:3.7.0-0")

    assert nodeimage.unexpected(newer) == ["registry.k8s.io/etcd:3.7.0-0"]


def test_an_archive_holds_the_files_executable_and_names_its_layers_by_digest(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"binary")
    image = archives.Image(
        reference="example.test/program:v1",
        files={"usr/local/bin/program": program},
        entrypoint=("/usr/local/bin/program",),
    )
    buffer = io.BytesIO()

    archives.write([image], buffer)

    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        content = {member.name: archive.extractfile(member) for member in archive}
        files = {name: stream.read() for name, stream in content.items() if stream}
    [entry] = json.loads(files["manifest.json"])
    config = json.loads(files[entry["Config"]])
    layer = files[entry["Layers"][0]]
    assert entry["RepoTags"] == ["example.test/program:v1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/usr/local/bin/program"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as root:
        assert root.getmember("usr/local/bin/program").mode == 0o755
        assert root.getmember("usr/local").isdir()


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        pytest.param("x86_64", "amd64", id="Intel"),
        pytest.param("aarch64", "arm64", id="ARM"),
        pytest.param("riscv64", "riscv64", id="same name"),
    ],
)
def test_processors_have_the_names_that_images_use(machine: str, name: str) -> None:
    assert archives.architecture(machine) == name


def test_the_modules_that_kubernetes_keeps_in_its_own_repository_are_found() -> None:
    go_mod = """\
replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/kubelet => ./staging/src/k8s.io/kubelet
\texample.test/other => example.test/fork v1.0.0
)
"""

    assert gotools.replacements(go_mod) == ["k8s.io/api", "k8s.io/kubelet"]


def test_a_package_counts_as_installed_only_when_its_status_says_so() -> None:
    listing = "podman installed\nrunc config-files\nodd line here\n"

    assert hostpackages.parse_installed(listing) == {"podman"}


def test_podmans_settings_hold_this_machines_limits() -> None:
    template = 'default_ulimits = ["nofile=@NOFILE@:@NOFILE@", "nproc=@NPROC@:@NPROC@"]'

    assert engines.containers_conf(template, {"NOFILE": 20000, "NPROC": 32768}) == (
        'default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]'
    )
