"""What an image build learns of this machine's network."""

from pathlib import Path

from cluster import buildsecrets


def test_pip_settings_of_files_and_environment_are_merged_and_the_environment_wins(
    tmp_path: Path,
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://file.example/simple\ntimeout = 30\ncert = /only/here.pem\n"
        "[install]\nextra-index-url =\n    https://one.example\n    https://two.example\n"
    )
    environ = {"PIP_INDEX_URL": "https://environ.example/simple", "PIP_DEFAULT_TIMEOUT": "180"}

    assert buildsecrets.pip_options(environ, [config]) == {
        "index-url": "https://environ.example/simple",
        "extra-index-url": "\nhttps://one.example\nhttps://two.example",
        "timeout": "180",
    }


def test_a_broken_or_absent_pip_file_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "pip.conf"
    broken.write_text("no section = here\n")

    assert buildsecrets.pip_options({}, [broken, tmp_path / "absent"]) == {}


def test_pip_looks_at_no_file_when_its_variable_names_the_null_device() -> None:
    assert buildsecrets.pip_files({"PIP_CONFIG_FILE": "/dev/null"}) == []


def test_a_named_certificate_bundle_comes_before_the_systems(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificate")
    environ = {"PIP_CERT": str(tmp_path / "absent"), "SSL_CERT_FILE": str(bundle)}

    assert buildsecrets.ca_bundle(environ) == bundle
