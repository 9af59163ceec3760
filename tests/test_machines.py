"""Machines that lack a home, a cache or an accelerator, or whose JAX is set up otherwise."""

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import pytest
from batteries.environments import ENVIRONMENTS, attempt, section

import basin_jax as bj
from basin_jax import devices
from basin_jax.devices import cache_directory, expect_devices
from basin_jax.files import is_private


ADVICE = "set XDG_CACHE_HOME to a folder that you may write to"
NO_HOME = """
import os, pwd
def nobody(*args):
    raise KeyError("uid not found")
pwd.getpwuid = nobody
for name in ("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
    os.environ.pop(name, None)
import basin_jax.cli.main, jax
from basin_jax.devices import cache_directory
assert jax.config.jax_compilation_cache_dir == f"{cache_directory()}/xla"
print(cache_directory())
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A temporary folder that is empty, and no home."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME")

    def nobody(*args):
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    found = devices.find_cache
    found.cache_clear()
    yield tmp_path
    found.cache_clear()


def test_a_container_without_home_and_passwd_entry_imports_and_says_what_it_uses(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", NO_HOME], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == tmp_path / f"basin_jax-{os.geteuid()}"
    (line,) = done.stderr.splitlines()
    assert ADVICE in line


def test_the_temporary_cache_is_private_and_found_again(elsewhere):
    with pytest.warns(UserWarning, match=ADVICE):
        folder = cache_directory()
    assert folder.parent == elsewhere
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    devices.find_cache.cache_clear()
    with pytest.warns(UserWarning, match="there is no cache folder: Could not determine home"):
        assert cache_directory() == folder


@pytest.mark.parametrize("spoil", ["open", "link", "file"])
def test_no_temporary_cache_is_used_that_others_may_write_to(elsewhere, spoil):
    planted = elsewhere / f"basin_jax-{os.geteuid()}"
    if spoil == "link":
        (elsewhere / "theirs").mkdir()
        planted.symlink_to(elsewhere / "theirs")
    elif spoil == "file":
        planted.touch()
    else:
        planted.mkdir()
        planted.chmod(0o777)
    with pytest.warns(UserWarning, match=ADVICE):
        folder = cache_directory()
    assert folder != planted
    assert is_private(folder)


def test_a_cache_that_cannot_be_written_to_is_replaced(elsewhere, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    with pytest.warns(UserWarning, match=f"/proc/none.* cannot be used: .*{ADVICE}"):
        assert cache_directory().parent == elsewhere
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "read-only"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.warns(UserWarning, match=f"read-only/basin_jax cannot be written to.*{ADVICE}"):
        assert cache_directory().parent == elsewhere


@pytest.mark.parametrize("value", ["", "relative", "~/cache"])
def test_a_cache_that_is_no_absolute_path_is_that_of_the_home(elsewhere, monkeypatch, value):
    monkeypatch.setenv("HOME", str(elsewhere))
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_directory() == elsewhere / ".cache" / "basin_jax"


@pytest.mark.ci
def test_a_platform_that_is_not_there_is_refused_in_a_line(tmp_path):
    (tmp_path / "mine.py").write_text("import jax.numpy as jnp\nx = jnp.ones(3)\nsweep = None\n")
    done = subprocess.run(
        [sys.executable, "-m", "basin_jax", "run", "mine.py"],
        env=os.environ | {"JAX_PLATFORMS": "cuda"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    _, line = done.stderr.splitlines()  # after what is going on
    assert "no device, with JAX_PLATFORMS = 'cuda'" in line
    assert "allowed: to leave it out, cpu" in line


def test_no_sweep_is_traced_without_a_device(wells, monkeypatch):
    def none():
        raise RuntimeError("Unable to initialize backend 'cuda': no GPU\nand more")

    monkeypatch.setattr(jax, "local_devices", none)
    for use in (expect_devices, lambda: bj.trial(wells[0], 3)):
        with pytest.raises(ValueError, match=r"JAX finds no device, .*: no GPU\); allowed"):
            use()


PAGE = (Path(__file__).parent.parent / "docs/compatibility.md").read_text()


@pytest.mark.ci
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_run_in_an_environment_does_what_the_page_says(tmp_path, name):
    written = section([attempt(name, tmp_path)]).splitlines()[-1]
    assert written in PAGE.splitlines()


def test_the_page_has_no_other_environments():
    shown = PAGE.partition("## Environments")[2].partition("\n## ")[0]
    kinds = {environment.kind for environment in ENVIRONMENTS.values()}
    assert shown.count("\n| ") == 1 + len(kinds) + len(ENVIRONMENTS)
