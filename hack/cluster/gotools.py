"""Builds programs from Go modules: one small module per tool, as their dependencies do not mix.

A finished tool is a directory `tools/<name>-<version>-<key>` in the cache, renamed into place.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from cluster import cachedir, programs, steps, versions

ADVICE = (
    "check that Go can reach its module proxy (`go env GOPROXY`), then run this again: "
    "what was downloaded and compiled is kept"
)
_VERSION_VARIABLE = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A module, the commands in it to build, and what the linker writes into them."""

    name: str
    module: str
    version: str
    commands: dict[str, str]
    variables: tuple[str, ...] = ()
    nice: int = 0

    @property
    def home(self) -> Path:
        key = cachedir.recipe_key(repr(sorted(self.commands.items())), *self.variables)
        return cachedir.root() / "tools" / f"{self.name}-{self.version}-{key}"

    def program(self, name: str) -> Path:
        return self.home / name

    @property
    def title(self) -> str:
        return f"build {self.name} {self.version}"


def _kubernetes(name: str, *commands: str) -> Tool:
    major, minor, *_ = versions.parse(versions.KUBERNETES)
    return Tool(
        name=name,
        module="k8s.io/kubernetes",
        version=versions.KUBERNETES,
        commands={command: f"k8s.io/kubernetes/cmd/{command}" for command in commands},
        # Without them a program says v0.0.0 and kubeadm refuses the version skew.
        variables=(
            f"{_VERSION_VARIABLE}.gitVersion=v{versions.KUBERNETES}",
            f"{_VERSION_VARIABLE}.gitMajor={major}",
            f"{_VERSION_VARIABLE}.gitMinor={minor}",
        ),
    )


KUBERNETES = _kubernetes(
    "kubernetes",
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy",
    "kubelet", "kubeadm", "kubectl",
)  # fmt: skip
KUBECTL = _kubernetes("kubectl", "kubectl")
KIND = Tool(
    name="kind",
    module="sigs.k8s.io/kind",
    version=versions.KIND,
    commands={"kind": "sigs.k8s.io/kind"},
)
ETCD = Tool(
    name="etcd",
    module="go.etcd.io/etcd/server/v3",
    version=versions.ETCD,
    commands={"etcd": "go.etcd.io/etcd/server/v3"},
)
COREDNS = Tool(
    name="coredns",
    module="github.com/coredns/coredns",
    version=versions.COREDNS,
    commands={"coredns": "github.com/coredns/coredns"},
)
LOCAL_PATH = Tool(
    name="local-path-provisioner",
    module="github.com/rancher/local-path-provisioner",
    version=versions.LOCAL_PATH,
    commands={"local-path-provisioner": "github.com/rancher/local-path-provisioner"},
)
HELM = Tool(
    name="helm",
    module="helm.sh/helm/v4",
    version=versions.HELM,
    commands={"helm": "helm.sh/helm/v4/cmd/helm"},
    variables=(f"helm.sh/helm/v4/internal/version.version=v{versions.HELM}",),
    nice=10,  # the cluster does not wait for it
)
KWOK = Tool(
    name="kwok",
    module="sigs.k8s.io/kwok",
    version=versions.KWOK,
    commands={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
)
ALL = (KUBERNETES, KUBECTL, KIND, ETCD, COREDNS, LOCAL_PATH, HELM, KWOK)


def go() -> str:
    """Path of a go command that can build these tools."""
    path = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    wanted = ".".join(map(str, versions.GO))
    install = f"install Go {wanted} or newer and put it on PATH"
    if path is None:
        raise steps.Failed("no `go` on PATH to build the cluster's programs with", advice=install)
    found = versions.parse(programs.ask([path, "env", "GOVERSION"]) or "")
    updating = (programs.ask([path, "env", "GOTOOLCHAIN"]) or "").strip() != "local"
    if found >= versions.GO or (updating and found >= versions.GO_SELF_UPDATING):
        return path
    have = ".".join(map(str, found)) or "of unknown version"
    raise steps.Failed(f"{path} is Go {have}, too old for Kubernetes {wanted}", advice=install)


def build(runner: steps.Runner, tool: Tool) -> Path:
    """Directory with the tool's programs, built now unless the cache has them."""
    if tool.home.is_dir():
        return tool.home
    command = go()
    with runner.step(tool.title, advice=ADVICE) as step, cachedir.taking_shape(tool.home) as draft:
        _compile(step, command, tool, draft)
    return tool.home


def module_folder(step: steps.Step, tool: Tool) -> Path:
    """Where Go keeps the sources of the tool's module; downloads them if it must."""
    return Path(_download(step, go(), tool)["Dir"])


def replacements(go_mod: str) -> list[str]:
    """Modules that a go.mod replaces by folders of its own repository."""
    return re.findall(r"^\s*(?:replace\s+)?(\S+) => \./staging/", go_mod, re.MULTILINE)


def _compile(step: steps.Step, go_command: str, tool: Tool, draft: Path) -> None:
    work = draft / "module"
    work.mkdir()
    env = {"CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}
    step.run([go_command, "mod", "init", f"rollcall.dev/build/{tool.name}"], cwd=work, env=env)
    for edit in _staging(step, go_command, tool):
        step.run([go_command, "mod", "edit", edit], cwd=work, env=env)
    packages = [f"{package}@v{tool.version}" for package in tool.commands.values()]
    step.run([go_command, "get", "-tool", *packages], cwd=work, env=env, attempts=3)
    flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in tool.variables)])
    for name, package in _outputs(tool, draft):
        step.run(
            ["nice", "-n", str(tool.nice), go_command, "build", "-trimpath",
             "-buildvcs=false", "-ldflags", flags, "-o", name, *package],
            cwd=work, env=env, timeout=3600, attempts=2,
        )  # fmt: skip
    shutil.rmtree(work)


def _outputs(tool: Tool, draft: Path) -> list[tuple[str, list[str]]]:
    """One build for all commands whose package is named like the program, else one each."""
    packages = tool.commands
    if all(package.rsplit("/", 1)[-1] == name for name, package in packages.items()):
        return [(f"{draft}/", list(packages.values()))]
    return [(str(draft / name), [package]) for name, package in packages.items()]


def _staging(step: steps.Step, go_command: str, tool: Tool) -> list[str]:
    """Kubernetes' own modules: v1.36.3 of it belongs to v0.36.3 of each of them."""
    if tool.module != "k8s.io/kubernetes":
        return []
    go_mod = Path(_download(step, go_command, tool)["GoMod"]).read_text()
    major_less = tool.version.split(".", 1)[1]
    return [f"-replace={name}={name}@v0.{major_less}" for name in replacements(go_mod)]


def _download(step: steps.Step, go_command: str, tool: Tool) -> dict[str, str]:
    command = [go_command, "mod", "download", "-json", f"{tool.module}@v{tool.version}"]
    answer: dict[str, str] = json.loads(step.output(command, cwd=cachedir.root(), timeout=900))
    return answer
